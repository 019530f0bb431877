package ldap

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/isobar-iot/isobar/enterprise/directory"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/security/access"
)

// Deps is what Directories needs.
type Deps struct {
	// Users is asked late, because the directory of users is made with this one.
	Users func() *access.Users
	// Exists says whether an object of a tenant is there, for inventory roles.
	Exists func(ctx context.Context, t iot.TenantID, id iot.ID) error
	Vault  access.Vault
	Door   directory.Door
	Clock  clock.Clock
	Log    *slog.Logger
}

// Directories asks the LDAP directories of all tenants. It is safe for concurrent use.
type Directories struct {
	d    Deps
	pool *pool
}

const (
	maxName   = 256
	maxGroup  = 5000
	pageSize  = 500 // Active Directory returns at most 1000 at once
	opTime    = 5 * time.Second
	wholeTime = 15 * time.Second // of one login, all servers together
)

// New makes the face. Close must be called.
func New(d Deps) *Directories { return &Directories{d: d, pool: newPool(d.Clock)} }

// Close ends idle connections.
func (s *Directories) Close() { s.pool.close() }

var errWrong = fault.E(fault.Op("ldap.Authenticate"), fault.Unauthenticated)

// Authenticate implements access.Directory.
func (s *Directories) Authenticate(ctx context.Context, t iot.TenantID, user, password string) (access.ExternalIdentity, bool, error) {
	options, err := s.d.Users().LoginOptions(ctx, t)
	if err != nil {
		return access.ExternalIdentity{}, true, err
	}
	if password == "" || !possible(user) {
		return access.ExternalIdentity{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	var down error
	for _, o := range options {
		if o.Type != Type {
			continue
		}
		id, known, err := s.ask(ctx, t, o, user, password)
		switch {
		case err != nil && fault.Is(err, fault.Unavailable):
			s.d.Log.Error("the LDAP directory of a tenant does not answer: its people cannot log in", "tenant", t, "option", o.ID, "err", err)
			down = err
		case errors.Is(err, errWrong): // as if it were unknown: then it takes as long to refuse
			return access.ExternalIdentity{}, false, nil
		case err != nil || known:
			return id, true, err
		}
	}
	return access.ExternalIdentity{}, down != nil, down
}

// possible reports whether a name can be one of a user here, whatever the directory says.
func possible(user string) bool {
	return user != "" && len(user) <= maxName && utf8.ValidString(user) && !strings.ContainsAny(user, `/\+$:`) && !strings.ContainsFunc(user, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// ask asks one directory.
func (s *Directories) ask(ctx context.Context, t iot.TenantID, o access.LoginOption, user, password string) (id access.ExternalIdentity, known bool, err error) {
	const op = fault.Op("ldap.Authenticate")
	c, err := parse(o.Doc)
	if err != nil {
		return id, false, fault.E(op, fault.Unavailable, err, "the login option of the directory cannot be read")
	}
	secret := ""
	if c.BindPassword != "" {
		plain, err := s.d.Vault.Open(c.BindPassword, owner(t)...)
		if err != nil {
			return id, false, fault.E(op, fault.Unavailable, err, "the password of the service account cannot be read: an administrator must set it again")
		}
		secret = string(plain)
	}
	p, err := s.person(ctx, key(t, o), c, secret, user, password)
	switch {
	case err != nil || p == nil:
		return id, false, err
	case !p.proved:
		return id, true, errWrong
	}
	id = access.ExternalIdentity{User: iot.UserName(p.entry.GetEqualFoldAttributeValue(c.Attributes.User)), Origin: access.LDAP,
		FirstName: p.entry.GetEqualFoldAttributeValue(c.Attributes.FirstName), LastName: p.entry.GetEqualFoldAttributeValue(c.Attributes.LastName),
		Email: p.entry.GetEqualFoldAttributeValue(c.Attributes.Email), Phone: p.entry.GetEqualFoldAttributeValue(c.Attributes.Phone)}
	if !possible(string(id.User)) {
		s.d.Log.Warn("an LDAP entry has no name that can be one of a user here", "tenant", t, "option", o.ID, "attribute", c.Attributes.User)
		return id, true, errWrong
	}
	id, err = s.d.Users().Provision(ctx, t, c.Configuration.Provision(id, c.given(p.groups), c.all()), func(id iot.ID) error { return s.d.Exists(ctx, t, id) })
	if err != nil {
		if !fault.KindOf(err).Ours() {
			s.d.Users().ReportLogin(ctx, t, access.Login{User: user}, "LDAP: "+fault.Message(err))
		}
		return id, true, err
	}
	return id, true, nil
}

// person is what a directory knows.
type person struct {
	entry  *ldap.Entry
	groups []string // DNs
	proved bool     // the password is right
}

// person finds an entry and tries the password. It is nil if there is no entry of the name.
func (s *Directories) person(ctx context.Context, key [32]byte, c *config, secret, user, password string) (p *person, err error) {
	err = s.with(ctx, key, c, func(l *ldap.Conn) error {
		p = nil
		if c.UserDN != "" {
			p, err = own(l, c, user, password)
		} else {
			p, err = search(l, c, secret, user, password)
		}
		return err
	})
	return p, err
}

// own binds with a DN that follows from the name, and reads the entry with the rights of the user. Who does not exist cannot be told from a wrong
// password here.
func own(l *ldap.Conn, c *config, user, password string) (*person, error) {
	dn := fill(c.UserDN, user, "", ldap.EscapeDN)
	if err := bind(l, dn, password); err != nil {
		if isWrong(err) {
			return nil, nil
		}
		return nil, err
	}
	p := &person{proved: true}
	if err := p.read(l, c, dn, ldap.ScopeBaseObject, "(objectClass=*)", user); err != nil {
		if errors.Is(err, errNobody) {
			return nil, nil
		}
		return nil, err
	}
	return p, nil
}

// search looks for the entry as the service account (or as nobody), reads it and its groups, and then tries the password.
func search(l *ldap.Conn, c *config, secret, user, password string) (*person, error) {
	if err := asService(l, c, secret); err != nil {
		return nil, fault.E(fault.Op("ldap.Search"), fault.Unavailable, err, "the directory refuses the service account")
	}
	p := &person{}
	if err := p.read(l, c, c.BaseDN, ldap.ScopeWholeSubtree, fill(c.UserFilter, user, "", ldap.EscapeFilter), user); err != nil {
		if errors.Is(err, errNobody) {
			return nil, nil
		}
		return nil, err
	}
	if err := bind(l, p.entry.DN, password); err != nil {
		if isWrong(err) {
			return p, nil
		}
		return nil, err
	}
	p.proved = true
	return p, nil
}

func asService(l *ldap.Conn, c *config, secret string) error {
	if c.BindDN == "" {
		return l.UnauthenticatedBind("") // RFC 4513, section 5.1.1: anonymous, and takes back what an earlier bind gave
	}
	return bind(l, c.BindDN, secret)
}

// bind never sends an empty password.
func bind(l *ldap.Conn, dn, password string) error {
	if password == "" || dn == "" {
		return ldap.NewError(ldap.LDAPResultInvalidCredentials, errors.New("there is no password"))
	}
	_, err := l.SimpleBind(ldap.NewSimpleBindRequest(dn, password, nil))
	return err
}

// isWrong reports that a server refused a password: also that of an account which it has locked or disabled, or an entry that has none.
func isWrong(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultUnwillingToPerform,
		ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultConstraintViolation)
}

var errNobody = errors.New("no entry")

// read reads the entry and its groups.
func (p *person) read(l *ldap.Conn, c *config, base string, scope int, filter, user string) error {
	a := c.Attributes
	names := []string{a.User, a.FirstName, a.LastName, a.Email, a.Phone}
	if c.Groups.MemberOf {
		names = append(names, "memberOf")
	}
	found, err := l.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 2, int(opTime.Seconds()), false, filter, names, nil))
	switch {
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject):
		return errNobody
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultSizeLimitExceeded) || err == nil && len(found.Entries) > 1:
		return fault.E(fault.Op("ldap.Search"), fault.Unauthenticated, errors.New("the name fits more than one entry"))
	case err != nil:
		return err
	case len(found.Entries) == 0:
		return errNobody
	}
	p.entry = found.Entries[0]
	if c.Groups.MemberOf {
		p.groups = append(p.groups, p.entry.GetEqualFoldAttributeValues("memberOf")...)
	}
	if c.Groups.BaseDN == "" {
		return nil
	}
	filter = fill(c.Groups.Filter, user, p.entry.DN, ldap.EscapeFilter)
	groups, err := l.SearchWithPaging(ldap.NewSearchRequest(c.Groups.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, maxGroup, int(opTime.Seconds()), false, filter, []string{"1.1"}, nil), pageSize)
	if err != nil && !ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject) {
		return err
	}
	if groups != nil {
		for _, g := range groups.Entries {
			p.groups = append(p.groups, g.DN)
		}
	}
	return nil
}
