package ldap

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/isobar-iot/isobar/enterprise/directory"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Type is the type of the login option.
const Type = "LDAP"

// config is the document of a login option. As it is ours, members that it does not have are refused: they are mistakes.
type config struct {
	Name     string   `json:"providerName"`
	URLs     []string `json:"urls"`     // asked in this order
	StartTLS *bool    `json:"startTls"` // for ldap://; true if absent
	CA       string   `json:"caCertificates"`

	// Either the DN, with {user} in it, or where and how to search for it.
	UserDN     string `json:"userDN"`
	BaseDN     string `json:"baseDN"`
	UserFilter string `json:"userFilter"`

	BindDN       string `json:"bindDN"`
	BindPassword string `json:"bindPassword"` // sealed where it is stored

	Attributes struct {
		User      string `json:"user"`
		FirstName string `json:"firstName"`
		LastName  string `json:"lastName"`
		Email     string `json:"email"`
		Phone     string `json:"phone"`
	} `json:"attributes"`

	Groups struct {
		MemberOf bool   `json:"memberOf"` // read the attribute of the entry
		BaseDN   string `json:"baseDN"`   // search for groups below
		Filter   string `json:"filter"`   // with {dn} and {user} in it
		Nested   bool   `json:"nested"`   // Active Directory: also groups of groups
	} `json:"groups"`

	Mappings      []mapping               `json:"groupMappings"`
	Configuration directory.Configuration `json:"configuration"`

	// What every login option may have.
	Button  string `json:"buttonName"`
	Visible *bool  `json:"visibleOnLoginPage"`
	Source  string `json:"userManagementSource"`
	Grant   string `json:"grantType"`
}

// mapping gives rights to the members of a group: its DN, the value of its cn, or * for everybody whom the directory knows.
type mapping struct {
	Group          string                    `json:"group"`
	Groups         []int64                   `json:"thenGroups"`
	InventoryRoles []directory.InventoryRole `json:"thenInventoryRoles"`
}

const (
	secretMember   = "bindPassword"
	maxURLs        = 8
	maxText        = 1024
	maxMappings    = 200
	userMark       = "{user}"
	dnMark         = "{dn}"
	nestedRule     = "(member:1.2.840.113556.1.4.1941:={dn})" // LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS section 3.1.1.3.4.4
	defaultGroups  = "(|(member={dn})(uniqueMember={dn})(memberUid={user}))"
	defaultFilter  = "(uid={user})"
	defaultUserKey = "uid"
)

var attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9;-]{0,127}$`)

func parse(doc iot.Doc) (*config, error) {
	d := json.NewDecoder(bytes.NewReader(doc.AppendTo(nil)))
	d.DisallowUnknownFields()
	var c config
	if err := d.Decode(&c); err != nil {
		return nil, fault.E(fault.Op("ldap.Config"), fault.Invalid, err, "the login option is not as documented: "+err.Error())
	}
	set := func(s *string, to string) {
		if *s == "" {
			*s = to
		}
	}
	set(&c.UserFilter, defaultFilter)
	set(&c.Attributes.User, defaultUserKey)
	set(&c.Attributes.FirstName, "givenName")
	set(&c.Attributes.LastName, "sn")
	set(&c.Attributes.Email, "mail")
	set(&c.Attributes.Phone, "telephoneNumber")
	if c.Groups.Nested {
		set(&c.Groups.Filter, nestedRule)
	}
	set(&c.Groups.Filter, defaultGroups)
	return &c, nil
}

// Provider is the kind of login option.
func (s *Directories) Provider() access.Provider {
	return access.Provider{Validate: s.validate, Show: func(doc iot.Doc) iot.Doc { return doc.Without(secretMember) }, Public: public}
}

// public says only that passwords of another system work here: people use the same form.
func public(_ iot.TenantID, _ string, doc iot.Doc) iot.Doc {
	name, _ := doc.Text("providerName")
	return iot.Doc{}.SetText("grantType", "PASSWORD").SetText("userManagementSource", "REMOTE").SetText("providerName", name).Set("visibleOnLoginPage", json.RawMessage("false"))
}

func owner(t iot.TenantID) []string { return []string{"login option", string(t), Type} }

// validate implements access.Provider.
func (s *Directories) validate(_ context.Context, t iot.TenantID, patch, old iot.Doc) (iot.Doc, error) {
	const op = fault.Op("ldap.Validate")
	doc := old.Merge(patch.Without("self", "initRequest", secretMember)).WithoutNulls()
	c, err := parse(doc)
	if err != nil {
		return nil, err
	}
	if err := s.check(c); err != nil {
		return nil, err
	}
	if raw := patch.Get(secretMember); raw != nil {
		plain, ok := patch.Text(secretMember)
		if !ok && !iot.IsNull(raw) || len(plain) > maxText {
			return nil, fault.Errorf(op, fault.Invalid, "bindPassword must be a text of at most %d bytes", maxText)
		}
		doc = doc.Without(secretMember)
		if plain != "" {
			doc = doc.SetText(secretMember, s.d.Vault.Seal([]byte(plain), owner(t)...))
		}
	} else if c.BindPassword != "" {
		before, err := parse(old)
		if err != nil || !slices.Equal(before.URLs, c.URLs) || before.BindDN != c.BindDN || before.CA != c.CA {
			return nil, fault.E(op, fault.Invalid, "urls, bindDN or caCertificates changed: give the bindPassword again, which would be sent there")
		}
	}
	if c.BindDN != "" && !doc.Has(secretMember) {
		return nil, fault.E(op, fault.Invalid, "bindPassword is needed with bindDN: without a password a server takes the bind for an anonymous one")
	}
	return doc, nil
}

// check says what cannot work.
func (s *Directories) check(c *config) error {
	const op = fault.Op("ldap.Validate")
	invalid := func(text string) error { return fault.E(op, fault.Invalid, text) }
	switch {
	case strings.TrimSpace(c.Name) == "":
		return invalid("Following mandatory fields should be included: providerName")
	case len(c.URLs) == 0 || len(c.URLs) > maxURLs:
		return fault.Errorf(op, fault.Invalid, "urls must hold 1 to %d addresses such as ldaps://ldap.example.com", maxURLs)
	case (c.UserDN == "") == (c.BaseDN == ""):
		return invalid("either userDN, with {user} in it, or baseDN and userFilter are needed")
	case c.UserDN != "" && !strings.Contains(c.UserDN, userMark), c.BaseDN != "" && !strings.Contains(c.UserFilter, userMark):
		return invalid("userDN or userFilter must have {user} where the name goes")
	case c.UserDN != "" && c.BindDN != "":
		return invalid("userDN needs no bindDN: people read their own entry")
	case len(c.Mappings) == 0 || len(c.Mappings) > maxMappings:
		return fault.Errorf(op, fault.Invalid, "groupMappings must hold 1 to %d mappings: who none applies to is refused; the group * is everybody", maxMappings)
	case c.Configuration.FromIDToken:
		return invalid("configuration.mapFromIdToken is for single sign-on")
	case c.Source != "" && !strings.EqualFold(c.Source, "REMOTE"), c.Grant != "" && !strings.EqualFold(c.Grant, "PASSWORD"):
		return invalid("userManagementSource can only be REMOTE, and grantType PASSWORD")
	}
	for _, v := range []string{c.Name, c.UserDN, c.BaseDN, c.UserFilter, c.BindDN, c.Groups.BaseDN, c.Groups.Filter, c.Button} {
		if len(v) > maxText || strings.ContainsRune(v, 0) {
			return fault.Errorf(op, fault.Invalid, "a text of the login option must not be longer than %d bytes", maxText)
		}
	}
	for _, raw := range c.URLs {
		if err := s.checkURL(c, raw); err != nil {
			return err
		}
	}
	if _, err := directory.Pool(c.CA); err != nil {
		return err
	}
	for _, dn := range []string{c.BaseDN, c.Groups.BaseDN, fill(c.UserDN, "x", "", ldap.EscapeDN)} {
		if _, err := ldap.ParseDN(dn); err != nil {
			return invalid("baseDN and userDN must be DNs such as ou=people,dc=example,dc=org and uid={user},ou=people,dc=example,dc=org")
		}
	}
	for _, f := range []string{c.UserFilter, c.Groups.Filter} {
		if _, err := ldap.CompileFilter(fill(f, "x", "cn=x", ldap.EscapeFilter)); err != nil {
			return invalid("userFilter and groups.filter must be filters such as (uid={user})")
		}
	}
	a := c.Attributes
	for _, name := range []string{a.User, a.FirstName, a.LastName, a.Email, a.Phone} {
		if !attributeName.MatchString(name) {
			return invalid("attributes must be names of attributes such as givenName")
		}
	}
	for _, m := range c.Mappings {
		if m.Group == "" || len(m.Group) > maxText {
			return invalid("each of groupMappings needs a group: its DN, its cn, or *")
		}
		if _, err := ldap.ParseDN(m.Group); strings.Contains(m.Group, "=") && err != nil {
			return invalid("the group of a mapping is not a DN: " + m.Group)
		}
		if err := directory.CheckGiven(m.Groups, m.InventoryRoles); err != nil {
			return err
		}
	}
	return nil
}

// checkURL refuses addresses without encryption.
func (s *Directories) checkURL(c *config, raw string) error {
	const op = fault.Op("ldap.URL")
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || len(raw) > maxText || u.Scheme != "ldap" && u.Scheme != "ldaps":
		return fault.E(op, fault.Invalid, "each of urls must be an address such as ldaps://ldap.example.com or ldap://ldap.example.com:389")
	case u.Scheme == "ldap" && !c.startTLS() && !s.d.Door.Loopback(u.Hostname()):
		return fault.E(op, fault.Invalid, "passwords are not sent without encryption: use ldaps, or leave startTls on")
	}
	return nil
}

func (c *config) startTLS() bool { return c.StartTLS == nil || *c.StartTLS }

// fill puts a name and a DN, escaped, where a template has their marks, at once, so that what is put in is not looked at again.
func fill(template, user, dn string, escape func(string) string) string {
	return strings.NewReplacer(userMark, escape(user), dnMark, escape(dn)).Replace(template)
}

// given applies the mappings to the groups of a person.
func (c *config) given(groups []string) (out directory.Result) {
	for _, m := range c.Mappings {
		if m.Group == "*" || slices.ContainsFunc(groups, func(g string) bool { return sameGroup(m.Group, g) }) {
			out.Matched = true
			out.Give(m.Groups, m.InventoryRoles)
		}
	}
	return out
}

func (c *config) all() (out directory.Result) {
	for _, m := range c.Mappings {
		out.Give(m.Groups, m.InventoryRoles)
	}
	return out
}

// sameGroup compares a group as an administrator names it with the DN of one.
func sameGroup(named, dn string) bool {
	have, err := ldap.ParseDN(dn)
	if err != nil || len(have.RDNs) == 0 {
		return false
	}
	if strings.Contains(named, "=") {
		want, err := ldap.ParseDN(named)
		return err == nil && want.EqualFold(have)
	}
	return slices.ContainsFunc(have.RDNs[0].Attributes, func(a *ldap.AttributeTypeAndValue) bool {
		return strings.EqualFold(a.Type, "cn") && strings.EqualFold(a.Value, named)
	})
}
