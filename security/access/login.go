package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Login is what a client says of itself.
type Login struct {
	Tenant      iot.TenantID // from the request; a prefix "tenant/" of User wins; empty means the default tenant
	User        string
	Password    string
	Application string // application key
	RemoteAddr  string
}

// Lifetimes of tokens.
const (
	TokenLifetime   = 14 * 24 * time.Hour
	oneTimeLifetime = 24 * time.Hour
)

// Failed logins of one user from one address: after maxFailures within the window, further ones are refused unchecked until it ends.
// Counting per address as well keeps an attacker from locking a user out elsewhere.
const (
	maxFailures    = 20
	throttleWindow = time.Minute
)

type throttle struct {
	mu sync.Mutex // guards n
	n  int
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

// Basic checks a user name and password (RFC 7617, MQTT CONNECT) and returns the principal, or a fault of kind Unauthenticated that is
// the same whatever was wrong, or of kind Exhausted after too many failures.
func (u *Users) Basic(ctx context.Context, l Login) (iot.Principal, error) {
	t, name := l.split()
	key := u.credentialKey(t, name, l.Password)
	if p, ok := u.verified.GetIfPresent(key); ok {
		p.Application, p.RemoteAddr = l.Application, l.RemoteAddr
		return p, nil
	}
	user, err := u.authenticate(ctx, t, name, l)
	if err != nil {
		return iot.Principal{}, err
	}
	p, err := u.principal(ctx, t, user)
	if err != nil {
		return iot.Principal{}, err
	}
	u.verified.Set(key, p)
	p.Application, p.RemoteAddr = l.Application, l.RemoteAddr
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User login", Text: "User '" + string(p.User) + "' logged in"})
	return p, nil
}

func (u *Users) credentialKey(t iot.TenantID, name iot.UserName, password string) (k [32]byte) {
	h := hmac.New(sha256.New, u.cacheKey[:])
	h.Write([]byte(string(t) + "\x00" + string(name) + "\x00" + password))
	h.Sum(k[:0])
	return k
}

var errBadCredentials = fault.E(fault.Op("access.Login"), fault.Unauthenticated)

// authenticate checks a password. It takes about the same time whether or not the user exists.
func (u *Users) authenticate(ctx context.Context, t iot.TenantID, name iot.UserName, l Login) (User, error) {
	const op = fault.Op("access.Login")
	counter, _ := u.failures.ComputeIfAbsent(string(t)+"/"+string(name)+"@"+host(l.RemoteAddr), func() (*throttle, bool) { return &throttle{}, false })
	counter.mu.Lock()
	blocked := counter.n >= maxFailures
	counter.mu.Unlock()
	if blocked {
		return User{}, fault.E(op, fault.Exhausted, throttleWindow, "too many failed logins, try again in a minute")
	}
	user, err := u.d.Store.User(ctx, t, name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return User{}, sqlkit.Fault(op, err)
	}
	hash := user.PasswordHash
	if hash == "" {
		hash = u.dummy()
	}
	if ok := verify(hash, l.Password); !ok || err != nil || !user.Enabled || l.Password == "" || u.d.Tenants.Active(ctx, t) != nil {
		counter.mu.Lock()
		counter.n++
		counter.mu.Unlock()
		u.auditFailure(ctx, t, name, l)
		return User{}, errBadCredentials
	}
	u.failures.Invalidate(string(t) + "/" + string(name) + "@" + host(l.RemoteAddr))
	return user, nil
}

// auditFailure records a failed login in the tenant it was aimed at, if there is such a tenant.
func (u *Users) auditFailure(ctx context.Context, t iot.TenantID, name iot.UserName, l Login) {
	if u.d.Tenants.Active(ctx, t) != nil || len(name) > maxUserName {
		return
	}
	p := iot.Principal{Tenant: t, User: name, RemoteAddr: l.RemoteAddr, Application: l.Application}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User login failed", Severity: "WARNING", Text: "Login of '" + string(name) + "' from " + host(l.RemoteAddr) + " failed"})
}

func host(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i > 0 {
		return addr[:i]
	}
	return addr
}

func (u *Users) principal(ctx context.Context, t iot.TenantID, user User) (iot.Principal, error) {
	groups, err := u.d.Store.Groups(ctx, t)
	if err != nil {
		return iot.Principal{}, sqlkit.Fault("access.Login", err)
	}
	return iot.Principal{Tenant: t, User: user.Name, Roles: effective(user, groups)}, nil
}

// LoginWithPassword checks a password and opens a session. It returns the token and the value for X-XSRF-TOKEN.
func (u *Users) LoginWithPassword(ctx context.Context, l Login) (token string, s Session, err error) {
	t, name := l.split()
	user, err := u.authenticate(ctx, t, name, l)
	if err != nil {
		return "", Session{}, err
	}
	return u.open(ctx, t, user, l)
}

// LoginWithCode exchanges a one-time code for a session. A code works once.
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
	return u.open(ctx, t, user, l)
}

// OneTimeCode makes a code with which a user can log in once within a day. It acts for the platform.
func (u *Users) OneTimeCode(ctx context.Context, t iot.TenantID, name iot.UserName) (string, error) {
	secret := rand.Text()
	now := u.d.Clock.Now()
	err := u.d.Sessions.PutSession(ctx, t, Session{ID: codeID(secret), User: name, OneTime: true, Created: now, Expires: now.Add(oneTimeLifetime)})
	return string(t) + "." + secret, sqlkit.Fault("access.OneTimeCode", err)
}

// codeID is the key under which a one-time code is kept, so that the store does not hold the code itself.
func codeID(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "otp-" + hex.EncodeToString(sum[:])
}

func (u *Users) open(ctx context.Context, t iot.TenantID, user User, l Login) (string, Session, error) {
	const op = fault.Op("access.Login")
	p, err := u.principal(ctx, t, user)
	if err != nil {
		return "", Session{}, err
	}
	now := u.d.Clock.Now()
	s := Session{ID: rand.Text(), User: user.Name, XSRF: rand.Text(), Created: now, Expires: now.Add(TokenLifetime)}
	if err := u.d.Sessions.PutSession(ctx, t, s); err != nil {
		return "", Session{}, sqlkit.Fault(op, err)
	}
	token, err := u.sign(t, s)
	if err != nil {
		return "", Session{}, fault.E(op, err)
	}
	p.Application, p.RemoteAddr = l.Application, l.RemoteAddr
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User login", Text: "User '" + string(p.User) + "' logged in"})
	return token, s, nil
}

// Token checks a bearer token and returns the principal. The session must not have been ended.
func (u *Users) Token(ctx context.Context, token string) (iot.Principal, error) {
	const op = fault.Op("access.Token")
	t, id, err := u.parse(token)
	if err != nil {
		return iot.Principal{}, errBadCredentials
	}
	key := u.credentialKey(t, "\x00token", token)
	if p, ok := u.verified.GetIfPresent(key); ok {
		return p, nil
	}
	s, err := u.d.Sessions.Session(ctx, t, id, u.d.Clock.Now())
	if errors.Is(err, sql.ErrNoRows) || (err == nil && s.OneTime) {
		return iot.Principal{}, errBadCredentials
	}
	if err != nil {
		return iot.Principal{}, sqlkit.Fault(op, err)
	}
	user, err := u.d.Store.User(ctx, t, s.User)
	if err != nil || !user.Enabled || u.d.Tenants.Active(ctx, t) != nil {
		return iot.Principal{}, errBadCredentials
	}
	p, err := u.principal(ctx, t, user)
	if err != nil {
		return iot.Principal{}, err
	}
	p.TokenID, p.XSRF = s.ID, s.XSRF
	u.verified.Set(key, p)
	return p, nil
}

// Logout ends the session of the token that p came with.
func (u *Users) Logout(ctx context.Context, p iot.Principal) error {
	if p.TokenID == "" {
		return nil
	}
	if err := u.d.Sessions.DeleteSessions(ctx, p.Tenant, p.User, p.TokenID, u.d.Clock.Now()); err != nil {
		return sqlkit.Fault("access.Logout", err)
	}
	u.changed(p.Tenant, p.User)
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User logout", Text: "User '" + string(p.User) + "' logged out"})
	return nil
}

// LogoutAll ends all sessions of the tenant.
func (u *Users) LogoutAll(ctx context.Context, p iot.Principal) error {
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return err
	}
	if err := u.d.Sessions.DeleteSessions(ctx, p.Tenant, "", "", u.d.Clock.Now()); err != nil {
		return sqlkit.Fault("access.LogoutAll", err)
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User logout", Text: "All sessions of the tenant were ended"})
	return nil
}
