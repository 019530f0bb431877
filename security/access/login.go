package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Login is what a client says of itself.
type Login struct {
	Tenant      iot.TenantID // from the request; a prefix "tenant/" of User wins; empty means the default tenant
	User        string
	Password    string
	Code        string // one-time password of the second factor, empty if none was given
	Application string // application key
	RemoteAddr  string
	UserAgent   string // empty if the dialect has none
	// Setup lets in who must set up a second factor first. Only for what serves that purpose.
	Setup bool
	Kind  SessionKind // of the session to open; empty: CookieSession
}

func (l Login) kind() SessionKind {
	if l.Kind == "" {
		return CookieSession
	}
	return l.Kind
}

// split applies the rules by which a login names its tenant.
func (l Login) split() (iot.TenantID, iot.UserName) {
	t, name := l.Tenant, l.User
	if before, after, found := strings.Cut(l.User, "/"); found {
		t, name = iot.TenantID(before), after
	}
	if t == "" {
		t = iot.DefaultTenant
	}
	return t, iot.UserName(name)
}

// The refusals of logins. The first says nothing about what was wrong. c8y: login forms recognise the words "TOTP", "TOTP setup required" and
// the whole text about the lock.
var (
	errBadCredentials = fault.E(fault.Op("access.Login"), fault.Unauthenticated)
	errLocked         = fault.E(fault.Op("access.Login"), fault.Unauthenticated, fault.Reason("locked"), "Authentication failed! : User account is locked")
	errCodeNeeded     = fault.E(fault.Op("access.Login"), fault.Unauthenticated, fault.Reason("totp"), "Authentication failed! : TOTP code required")
	errCodeWrong      = fault.E(fault.Op("access.Login"), fault.Unauthenticated, fault.Reason("totp"), "Authentication failed! : TOTP code is not valid")
	errSetupRequired  = fault.E(fault.Op("access.Login"), fault.Unauthenticated, fault.Reason("totp-setup"), "Authentication failed! : TOTP setup required")
	errFactorBasic    = fault.E(fault.Op("access.Login"), fault.Unauthenticated, fault.Reason("factor"),
		"Authentication failed! : this user needs a second factor, which Basic authentication cannot carry: log in with POST /tenant/oauth")
)

// ResetRequired is the cause of a refused login whose password was right but must be changed first.
type ResetRequired struct {
	Token string // for ResetPassword, works once
}

// Error implements error.
func (*ResetRequired) Error() string { return "the password must be changed" }

// ResetToken returns the token in a refusal because of ResetRequired, empty for any other error.
func ResetToken(err error) string {
	var r *ResetRequired
	if errors.As(err, &r) {
		return r.Token
	}
	return ""
}

// Basic checks a user name and password (RFC 7617, MQTT CONNECT) and returns the principal, or a fault of kind Unauthenticated that is
// the same whatever was wrong, or of kind Exhausted after too many failures. Only who gives the right password learns more: that it must be
// changed first, or that Basic authentication does not do for a user with a second factor.
func (u *Users) Basic(ctx context.Context, l Login) (iot.Principal, error) {
	t, name := l.split()
	if err := u.allowBasic(ctx, t, name, l.UserAgent); err != nil {
		return iot.Principal{}, err
	}
	key, generation := u.credentialKey(t, name, l.Password), u.generation.Load()
	if known, ok := u.verified.GetIfPresent(key); ok {
		known.p.Application, known.p.RemoteAddr = l.Application, l.RemoteAddr
		return known.p, nil
	}
	user, fresh, err := u.authenticate(ctx, t, name, l)
	if err != nil {
		return iot.Principal{}, err
	}
	if !user.Machine() {
		factor, err := u.factorOf(ctx, t, user)
		switch {
		case err != nil:
			return iot.Principal{}, err
		case factor.Active, factor.Enforced && !l.Setup:
			return iot.Principal{}, errFactorBasic
		}
		if err := u.mustChange(ctx, t, user); err != nil {
			return iot.Principal{}, err
		}
	}
	groups, err := u.groupsAtLogin(ctx, t)
	if err != nil {
		return iot.Principal{}, err
	}
	p, err := u.principalOf(ctx, t, user, groups)
	if err != nil {
		return iot.Principal{}, err
	}
	if !l.Setup {
		u.remember(key, proof{p: p}, generation)
	}
	p.Application, p.RemoteAddr = l.Application, l.RemoteAddr
	if fresh {
		u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User login", Text: "User '" + string(p.User) + "' logged in"})
	}
	return p, nil
}

// remember keeps what a credential has proved, unless rights or sessions changed while it was looked at.
func (u *Users) remember(key [32]byte, what proof, generation uint64) {
	u.verified.Set(key, what)
	if u.generation.Load() != generation {
		u.verified.Invalidate(key)
	}
}

func (u *Users) credentialKey(t iot.TenantID, name iot.UserName, password string) (k [32]byte) {
	h := hmac.New(sha256.New, u.cacheKey[:])
	h.Write([]byte(string(t) + "\x00" + string(name) + "\x00" + password))
	h.Sum(k[:0])
	return k
}

// authenticate checks a password, here or in the directory that the account belongs to. It takes about the same time whether or not the user
// exists. fresh tells that a good login from there was not audited lately.
func (u *Users) authenticate(ctx context.Context, t iot.TenantID, name iot.UserName, l Login) (user User, fresh bool, err error) {
	const op = fault.Op("access.Login")
	now, addr := u.d.Clock.Now(), host(l.RemoteAddr)
	if err := u.guard.admit(t, name, addr, now); err != nil {
		return User{}, false, err
	}
	user, err = u.d.Store.User(ctx, t, name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return User{}, false, sqlkit.Fault(op, err)
	}
	found := err == nil
	open := u.d.Tenants.Active(ctx, t) == nil
	person := !user.Machine() && (found || !machineName(name))
	if person && open {
		locked, err := u.locked(ctx, t, user, name, now)
		if err != nil {
			return User{}, false, err
		}
		if locked {
			u.guard.failed(t, name, addr, now)
			u.auditFailure(ctx, t, name, l)
			return User{}, false, errLocked
		}
	}
	good, err := u.prove(ctx, t, name, &user, found, open, l)
	if err != nil {
		return User{}, false, err
	}
	if !good {
		u.guard.failed(t, name, addr, now)
		if person && open {
			if err := u.countFailure(ctx, t, user, name, now); err != nil {
				return User{}, false, err
			}
		}
		u.auditFailure(ctx, t, name, l)
		return User{}, false, errBadCredentials
	}
	if person {
		if err := u.unlock(ctx, t, user.Name); err != nil {
			return User{}, false, err
		}
	}
	return user, u.guard.succeeded(t, name, addr, now), nil
}

// prove reports whether the password opens the account, which a directory may create on the way.
func (u *Users) prove(ctx context.Context, t iot.TenantID, name iot.UserName, user *User, found, open bool, l Login) (bool, error) {
	if l.Password != "" && open && (!found && !machineName(name) || found && user.Enabled && user.Origin != Local) {
		adopted, handled, err := u.askDirectories(ctx, t, name, user.Origin, l.Password)
		switch {
		case err != nil && !fault.Is(err, fault.Unauthenticated):
			return false, err
		case handled:
			*user = adopted
			return err == nil && adopted.Enabled, nil
		}
	}
	hash := user.PasswordHash
	if !found || hash == "" || user.Origin != Local {
		hash = u.dummy(machineName(name))
	}
	ok, err := u.verify(ctx, hash, l.Password)
	return ok && found && user.Origin == Local && user.PasswordHash != "" && user.Enabled && l.Password != "" && open, err
}

// mustChange refuses a login whose password is right but must be changed first.
func (u *Users) mustChange(ctx context.Context, t iot.TenantID, user User) error {
	if user.Origin != Local || !user.MustReset && !u.PasswordPolicy(ctx, t).expired(user, u.d.Clock.Now()) {
		return nil
	}
	token := u.resetToken(forcedReset, t, user, u.d.Clock.Now())
	return fault.E(fault.Op("access.Login"), fault.Unauthenticated, fault.Reason("reset"), &ResetRequired{Token: token},
		"the password must be changed: send the token in the header passwordresettoken and a new password to PUT /user/passwordReset")
}

// lockRule is authentication/badRequestCounter: so many failed logins lock an account; zero: none do. lock.minutes is how long that lasts; zero:
// until an administrator enables the account or the password is reset.
func (u *Users) lockRule(ctx context.Context, t iot.TenantID) (failures int, lasts time.Duration) {
	o := u.options(ctx, t, "authentication")
	return o.number("badRequestCounter", 0, 0, 1000), time.Duration(o.number("lock.minutes", 0, 0, 1_000_000)) * time.Minute
}

// locked reports whether too many logins have failed. A name that does not exist is locked like one that does, so that the lock tells nothing;
// only that this is forgotten in time, because names that people make up are without end.
func (u *Users) locked(ctx context.Context, t iot.TenantID, user User, name iot.UserName, now time.Time) (bool, error) {
	limit, lasts := u.lockRule(ctx, t)
	if limit == 0 {
		return false, nil
	}
	if user.Name == "" {
		w, ok := u.ghosts.GetIfPresent(userKey(t, name))
		if !ok {
			return false, nil
		}
		n, _ := w.add(now, lockSpan(lasts), 0)
		return n >= limit, nil
	}
	n, last, err := u.d.Store.Failures(ctx, t, user.Name)
	if err != nil {
		return false, sqlkit.Fault("access.Login", err)
	}
	if n >= limit && lasts > 0 && now.Sub(last) >= lasts {
		return false, u.unlock(ctx, t, user.Name)
	}
	return n >= limit, nil
}

func lockSpan(lasts time.Duration) time.Duration {
	if lasts == 0 {
		return knownTTL
	}
	return lasts
}

// countFailure counts towards the lock, if the tenant wants one.
func (u *Users) countFailure(ctx context.Context, t iot.TenantID, user User, name iot.UserName, now time.Time) error {
	limit, lasts := u.lockRule(ctx, t)
	if limit == 0 {
		return nil
	}
	if user.Name == "" {
		w, _ := u.ghosts.ComputeIfAbsent(userKey(t, name), func() (*window, bool) { return &window{}, false })
		w.add(now, lockSpan(lasts), 1)
		return nil
	}
	n, err := u.d.Store.AddFailure(ctx, t, user.Name, now)
	if err != nil {
		return sqlkit.Fault("access.Login", err)
	}
	if n == limit {
		u.d.Audit.Record(ctx, iot.Principal{Tenant: t, User: user.Name}, iot.AuditRecord{Type: "User", Activity: "User locked", Severity: "MAJOR",
			Text: "The account '" + string(user.Name) + "' was locked after too many failed logins"})
	}
	return nil
}

// unlock forgets failures. It writes only if there are some.
func (u *Users) unlock(ctx context.Context, t iot.TenantID, name iot.UserName) error {
	n, _, err := u.d.Store.Failures(ctx, t, name)
	if err == nil && n > 0 {
		err = u.d.Store.ClearFailures(ctx, t, name)
	}
	return sqlkit.Fault("access.Login", err)
}

// auditFailure records a failed login in the tenant it was aimed at, if there is such a tenant.
func (u *Users) auditFailure(ctx context.Context, t iot.TenantID, name iot.UserName, l Login) {
	if u.d.Tenants.Active(ctx, t) != nil || len(name) > maxUserName {
		return
	}
	p := iot.Principal{Tenant: t, User: name, RemoteAddr: l.RemoteAddr, Application: l.Application}
	u.tally.record(ctx, p, "User login failed", "Login of '"+string(name)+"' from "+host(l.RemoteAddr)+" failed", u.d.Clock.Now())
}

// host is an address without its port.
func host(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}

func (u *Users) principal(ctx context.Context, t iot.TenantID, user User) (iot.Principal, error) {
	groups, err := u.d.Store.Groups(ctx, t)
	if err != nil {
		return iot.Principal{}, sqlkit.Fault("access.Login", err)
	}
	return u.principalOf(ctx, t, user, groups)
}

// groupsAtLogin returns the groups of a tenant as they were not more than a moment ago, under the same conditions as what remember keeps: who looks
// again at the rights of a connection must not ask here. The result is shared and must not be changed.
func (u *Users) groupsAtLogin(ctx context.Context, t iot.TenantID) ([]Group, error) {
	if known, ok := u.groups.GetIfPresent(t); ok {
		return known, nil
	}
	generation := u.generation.Load()
	groups, err := u.d.Store.Groups(ctx, t)
	if err != nil {
		return nil, sqlkit.Fault("access.Login", err)
	}
	u.groups.Set(t, groups)
	if u.generation.Load() != generation {
		u.groups.Invalidate(t)
	}
	return groups, nil
}

func (u *Users) principalOf(ctx context.Context, t iot.TenantID, user User, groups []Group) (iot.Principal, error) {
	grants, err := u.grants(ctx, t, user)
	if err != nil {
		return iot.Principal{}, sqlkit.Fault("access.Login", err)
	}
	return iot.Principal{Tenant: t, User: user.Name, Roles: effective(user, groups), Grants: grants}, nil
}

// LoginWithPassword checks a password, and the second factor of who has one, and opens a session. It returns the token and the value for
// X-XSRF-TOKEN. Who must set up a second factor first gets a session that serves only for that, together with the refusal.
func (u *Users) LoginWithPassword(ctx context.Context, l Login) (token string, s Session, err error) {
	t, name := l.split()
	if _, err := u.enabledOption(ctx, t, OAuth2Internal); err != nil {
		if fault.Is(err, fault.NotFound) {
			return "", Session{}, fault.E(fault.Op("access.Login"), fault.Denied, "OAI-Secure logins are not enabled in this tenant")
		}
		return "", Session{}, err
	}
	user, _, err := u.authenticate(ctx, t, name, l)
	if err != nil {
		return "", Session{}, err
	}
	if user.Machine() {
		return u.open(ctx, t, user, l, l.kind(), false)
	}
	factor, err := u.factorOf(ctx, t, user)
	if err != nil {
		return "", Session{}, err
	}
	if factor.Active {
		if err := u.giveCode(ctx, t, user.Name, l); err != nil {
			return "", Session{}, err
		}
	}
	if err := u.mustChange(ctx, t, user); err != nil {
		return "", Session{}, err
	}
	if factor.Enforced && !factor.Active {
		token, s, err = u.open(ctx, t, user, l, SetupSession, false)
		if err == nil {
			err = errSetupRequired
		}
		return token, s, err
	}
	return u.open(ctx, t, user, l, l.kind(), factor.Active)
}

// LoginWithCode exchanges a one-time code for a session. A code works once. Whoever made the code vouches for the user, so that no second
// factor is asked for.
func (u *Users) LoginWithCode(ctx context.Context, code string, l Login) (token string, s Session, err error) {
	const op = fault.Op("access.LoginWithCode")
	tenant, secret, found := strings.Cut(code, ".")
	t := iot.TenantID(tenant)
	if !found || !t.Valid() {
		return "", Session{}, errBadCredentials
	}
	once, err := u.d.Sessions.TakeSession(ctx, t, codeID(secret), u.d.Clock.Now())
	if errors.Is(err, sql.ErrNoRows) || (err == nil && !once.OneTime) {
		return "", Session{}, errBadCredentials
	}
	if err != nil {
		return "", Session{}, sqlkit.Fault(op, err)
	}
	user, err := u.d.Store.User(ctx, t, once.User)
	if err != nil || !user.Enabled || u.d.Tenants.Active(ctx, t) != nil {
		return "", Session{}, errBadCredentials
	}
	return u.open(ctx, t, user, l, l.kind(), false)
}

// OneTimeCode makes a code with which a user can log in once within a day. It acts for the platform.
func (u *Users) OneTimeCode(ctx context.Context, t iot.TenantID, name iot.UserName) (string, error) {
	const op = fault.Op("access.OneTimeCode")
	if _, err := u.d.Store.User(ctx, t, name); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return "", fault.E(op, fault.NotFound, fault.Subject(name), "there is no such user")
		}
		return "", sqlkit.Fault(op, err)
	}
	secret := rand.Text()
	now := u.d.Clock.Now()
	s := newSession(name, codeSession, now, oneTimeLifetime, oneTimeLifetime)
	s.ID, s.OneTime = codeID(secret), true
	err := u.d.Sessions.PutSession(ctx, t, s)
	return string(t) + "." + secret, sqlkit.Fault(op, err)
}

// codeID is the key under which a one-time code is kept, so that the store does not hold the code itself.
func codeID(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "otp-" + hex.EncodeToString(sum[:])
}
