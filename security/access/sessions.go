package access

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Lifetimes of tokens, where a tenant sets nothing else.
const (
	TokenLifetime   = 14 * 24 * time.Hour
	oneTimeLifetime = 24 * time.Hour
	setupLifetime   = 10 * time.Minute

	defaultRenewal  = 24 * time.Hour
	defaultParallel = 5
	minLifetime     = 5 * time.Minute // c8y
	maxLifetime     = 10 * 365 * 24 * time.Hour
	renewalGrace    = time.Minute     // so long a token goes on after its renewal, for requests under way
	seenEvery       = 5 * time.Minute // coarse, so that requests do not write
	maxAgent        = 256             // bytes of a user agent that are kept
)

// SessionRules are how long sessions of people last, and how many there may be. They come from the login option OAUTH2_INTERNAL
// (sessionConfiguration) and the options of category "oauth.internal".
type SessionRules struct {
	Cookie   time.Duration // basic-token.lifespan.seconds: of one token in a cookie
	Body     time.Duration // body-token.lifespan.seconds: of a token in a body
	MaxAge   time.Duration // basic-user.cookie.lifespan.seconds: of the cookie itself; negative: until the browser closes
	Absolute time.Duration // absoluteTimeoutMillis: of a session, however often its token is renewed
	Renewal  time.Duration // renewalTimeoutMillis: a token older than this is renewed
	Parallel int           // maximumNumberOfParallelSessions, of a user and kind; the oldest end
	// SameAgent is userAgentValidationRequired: a session ends for a client that calls itself something else.
	SameAgent bool
}

// SessionRules returns the rules of a tenant.
func (u *Users) SessionRules(ctx context.Context, t iot.TenantID) (SessionRules, error) {
	o := u.options(ctx, t, "oauth.internal")
	r := SessionRules{Absolute: TokenLifetime, Renewal: defaultRenewal, Parallel: defaultParallel,
		Cookie: o.seconds("basic-token.lifespan.seconds", TokenLifetime, minLifetime, maxLifetime),
		Body:   o.seconds("body-token.lifespan.seconds", TokenLifetime, minLifetime, maxLifetime),
		MaxAge: o.seconds("basic-user.cookie.lifespan.seconds", TokenLifetime, minLifetime, maxLifetime)}
	option, err := u.enabledOption(ctx, t, OAuth2Internal)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return r, err
	}
	option.sessions(&r)
	for _, life := range []*time.Duration{&r.Cookie, &r.Body} {
		if *life < 0 {
			*life = TokenLifetime
		}
		*life = min(*life, r.Absolute)
	}
	return r, nil
}

// newSession makes a session whose token lasts for life.
func newSession(name iot.UserName, kind SessionKind, now time.Time, life, absolute time.Duration) Session {
	return Session{ID: rand.Text(), User: name, XSRF: rand.Text(), Chain: rand.Text(), Kind: kind, Created: now, Started: now, Seen: now, Expires: now.Add(life), Ends: now.Add(absolute)}
}

// open starts a session of a person and audits the login.
func (u *Users) open(ctx context.Context, t iot.TenantID, user User, l Login, kind SessionKind, tfa bool) (string, Session, error) {
	const op = fault.Op("access.Login")
	p, err := u.principal(ctx, t, user)
	if err != nil {
		return "", Session{}, err
	}
	rules, err := u.SessionRules(ctx, t)
	if err != nil {
		return "", Session{}, err
	}
	now, life, absolute := u.d.Clock.Now(), rules.Cookie, rules.Absolute
	switch kind {
	case BodySession:
		life = rules.Body
	case SetupSession:
		life, absolute = setupLifetime, setupLifetime
	}
	s := newSession(user.Name, kind, now, life, absolute)
	s.Address, s.UserAgent, s.TFA, s.SameAgent = host(l.RemoteAddr), clip(l.UserAgent, maxAgent), tfa, rules.SameAgent && l.UserAgent != ""
	if kind == CookieSession && rules.Renewal > 0 && rules.Renewal < life {
		s.RenewAfter = now.Add(rules.Renewal)
	}
	if err := u.d.Sessions.PutSession(ctx, t, s); err != nil {
		return "", Session{}, sqlkit.Fault(op, err)
	}
	if err := u.trim(ctx, t, s, rules.Parallel); err != nil {
		return "", Session{}, sqlkit.Fault(op, err)
	}
	token, err := u.sign(t, s)
	if err != nil {
		return "", Session{}, fault.E(op, err)
	}
	p.Application, p.RemoteAddr = l.Application, l.RemoteAddr
	activity, text := "User login", "User '"+string(p.User)+"' logged in"
	if kind == SetupSession {
		activity, text = "Second factor required", "User '"+string(p.User)+"' must set up a second factor"
	}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: activity, Text: text})
	return token, s, nil
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// trim ends the oldest sessions of a user beyond so many of the kind of s.
func (u *Users) trim(ctx context.Context, t iot.TenantID, s Session, most int) error {
	all, err := u.d.Sessions.Sessions(ctx, t, s.User, "", s.Created)
	if err != nil {
		return err
	}
	var chains []string
	for _, x := range all {
		if x.Kind == s.Kind && !slices.Contains(chains, x.Chain) {
			chains = append(chains, x.Chain)
		}
	}
	if len(chains) <= most {
		return nil
	}
	old := chains[:len(chains)-most]
	for _, x := range all {
		if slices.Contains(old, x.Chain) && x.Chain != s.Chain {
			if err := u.d.Sessions.DeleteSessions(ctx, t, s.User, x.ID, s.Created); err != nil {
				return err
			}
		}
	}
	if s.Kind != DeviceSession { // devices ask often, and what is remembered of all others must not suffer: their old tokens may go on for a minute
		u.changed(t, s.User)
	}
	return nil
}

// proof is what a credential has proved, for the cache.
type proof struct {
	p     iot.Principal
	s     Session
	until time.Time // of the session; zero: as long as the cache keeps it
}

// Token checks a bearer token and returns the principal. The session must not have been ended.
func (u *Users) Token(ctx context.Context, token string) (iot.Principal, error) {
	p, _, err := u.Resume(ctx, token, Login{})
	return p, err
}

// Resume is Token for a client of which more is known: l.UserAgent and l.Setup are looked at. It returns the session as well, so that the
// caller can renew its token when RenewAfter has passed.
func (u *Users) Resume(ctx context.Context, token string, l Login) (iot.Principal, Session, error) {
	const op = fault.Op("access.Token")
	now, generation := u.d.Clock.Now(), u.generation.Load()
	key := u.credentialKey("", "\x00token", token)
	if known, ok := u.verified.GetIfPresent(key); ok && now.Before(known.until) {
		if err := u.sessionAllows(ctx, known.p.Tenant, known.s, l); err != nil {
			return iot.Principal{}, Session{}, err
		}
		known.p.Application, known.p.RemoteAddr = l.Application, l.RemoteAddr
		return known.p, known.s, nil
	}
	c, trusted, err := u.parse(token)
	if err != nil {
		u.refuseToken(ctx, c, trusted, l, "it was not made here, was changed or has expired")
		return iot.Principal{}, Session{}, errBadCredentials
	}
	s, err := u.d.Sessions.Session(ctx, c.Tenant, c.ID, now)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && (s.OneTime || s.User != c.Subject || s.XSRF != c.XSRF)) {
		u.refuseToken(ctx, c, true, l, "its session has ended")
		return iot.Principal{}, Session{}, errBadCredentials
	}
	if err != nil {
		return iot.Principal{}, Session{}, sqlkit.Fault(op, err)
	}
	if err := u.sessionAllows(ctx, c.Tenant, s, l); err != nil {
		return iot.Principal{}, Session{}, err
	}
	user, err := u.d.Store.User(ctx, c.Tenant, s.User)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return iot.Principal{}, Session{}, sqlkit.Fault(op, err)
	}
	if err != nil || !user.Enabled || user.Name != s.User || u.d.Tenants.Active(ctx, c.Tenant) != nil {
		u.refuseToken(ctx, c, true, l, "the user or the tenant is disabled")
		return iot.Principal{}, Session{}, errBadCredentials
	}
	p, err := u.principal(ctx, c.Tenant, user)
	if err != nil {
		return iot.Principal{}, Session{}, err
	}
	if now.Sub(s.Seen) >= seenEvery { // who looks at the list of sessions wants to know; a request does not fail over it
		s.Seen = now
		if err := u.d.Sessions.UpdateSession(ctx, c.Tenant, s.ID, now, s.Expires); err != nil {
			u.d.Log.Warn("session seen", "tenant", c.Tenant, "err", err)
		}
	}
	p.TokenID, p.XSRF = s.ID, s.XSRF
	u.remember(key, proof{p, s, s.Expires}, generation)
	p.Application, p.RemoteAddr = l.Application, l.RemoteAddr
	return p, s, nil
}

// sessionAllows checks what differs from request to request.
func (u *Users) sessionAllows(ctx context.Context, t iot.TenantID, s Session, l Login) error {
	c := claims{Tenant: t, Subject: s.User}
	if s.Kind == SetupSession && !l.Setup {
		u.refuseToken(ctx, c, true, l, "it only serves to set up a second factor")
		return errSetupRequired
	}
	if s.SameAgent && clip(l.UserAgent, maxAgent) != s.UserAgent {
		u.refuseToken(ctx, c, true, l, "it came from another client than the one that logged in")
		return errBadCredentials
	}
	return nil
}

// refuseToken audits a bad token: in its own tenant if it is signed by us, in management otherwise.
func (u *Users) refuseToken(ctx context.Context, c claims, trusted bool, l Login, why string) {
	p := iot.Principal{Tenant: iot.Management, User: "unknown", RemoteAddr: l.RemoteAddr, Application: l.Application}
	if trusted && u.d.Tenants.Active(ctx, c.Tenant) == nil {
		p.Tenant, p.User = c.Tenant, c.Subject
	}
	u.tally.record(ctx, p, "Token refused", "A token from "+host(l.RemoteAddr)+" was refused: "+why, u.d.Clock.Now())
}

// ReportXSRF audits a request that came with the cookie of p but without the right value of X-XSRF-TOKEN.
func (u *Users) ReportXSRF(ctx context.Context, p iot.Principal) {
	u.tally.record(ctx, p, "XSRF token refused", "A request with the cookie of '"+string(p.User)+"' from "+host(p.RemoteAddr)+" had no or a wrong X-XSRF-TOKEN", u.d.Clock.Now())
}

// Renew replaces the token that p came with by a new one of the same session. The old one goes on for a minute, for requests that are under way.
func (u *Users) Renew(ctx context.Context, p iot.Principal) (token string, s Session, err error) {
	const op = fault.Op("access.Renew")
	now := u.d.Clock.Now()
	old, err := u.d.Sessions.Session(ctx, p.Tenant, p.TokenID, now)
	if err != nil {
		return "", Session{}, sqlkit.Fault(op, err)
	}
	rules, err := u.SessionRules(ctx, p.Tenant)
	if err != nil {
		return "", Session{}, err
	}
	s = old
	s.ID, s.XSRF, s.Created, s.Seen, s.RenewAfter = rand.Text(), rand.Text(), now, now, time.Time{}
	if s.Expires = now.Add(rules.Cookie); s.Expires.After(old.Ends) && !old.Ends.IsZero() {
		s.Expires = old.Ends
	}
	if rules.Renewal > 0 && now.Add(rules.Renewal).Before(s.Expires) {
		s.RenewAfter = now.Add(rules.Renewal)
	}
	grace := now.Add(renewalGrace)
	if old.Expires.Before(grace) {
		grace = old.Expires
	}
	if err := u.d.Sessions.UpdateSession(ctx, p.Tenant, old.ID, old.Seen, grace); err != nil {
		return "", Session{}, sqlkit.Fault(op, err)
	}
	if err := u.d.Sessions.PutSession(ctx, p.Tenant, s); err != nil {
		return "", Session{}, sqlkit.Fault(op, err)
	}
	u.changed(p.Tenant, p.User) // every node forgets how long the old one was valid
	if token, err = u.sign(p.Tenant, s); err != nil {
		return "", Session{}, fault.E(op, err)
	}
	return token, s, nil
}

// ActiveSession is a session as people see it. Nothing in it opens anything.
type ActiveSession struct {
	Handle    string
	User      iot.UserName
	Kind      SessionKind
	Started   time.Time
	Seen      time.Time // to some minutes
	Expires   time.Time
	Address   string
	UserAgent string
	Current   bool // the one that asks
}

// ListSessions returns the sessions of a user, the oldest first. Everybody may list their own (name empty).
func (u *Users) ListSessions(ctx context.Context, p iot.Principal, name iot.UserName) ([]ActiveSession, error) {
	if name == "" {
		name = p.User
	}
	if err := u.may(ctx, p, name, Read); err != nil {
		return nil, err
	}
	all, err := u.d.Sessions.Sessions(ctx, p.Tenant, name, "", u.d.Clock.Now())
	if err != nil {
		return nil, sqlkit.Fault("access.ListSessions", err)
	}
	out := []ActiveSession{}
	for _, s := range all {
		if s.Kind == codeSession || s.Kind == usedSession || s.OneTime {
			continue
		}
		x := ActiveSession{Handle: s.Chain, User: s.User, Kind: s.Kind, Started: s.Started, Seen: s.Seen, Expires: s.Expires, Address: s.Address, UserAgent: s.UserAgent, Current: s.ID == p.TokenID}
		if i := slices.IndexFunc(out, func(o ActiveSession) bool { return o.Handle == x.Handle }); i >= 0 {
			x.Current = x.Current || out[i].Current
			out[i] = x // the newer token of the same session
		} else {
			out = append(out, x)
		}
	}
	return out, nil
}

// RevokeSession ends one session, by its handle. Everybody may end their own; a session that p may not end does not exist for p.
func (u *Users) RevokeSession(ctx context.Context, p iot.Principal, handle string) error {
	const op = fault.Op("access.RevokeSession")
	now := u.d.Clock.Now()
	missing := fault.E(op, fault.NotFound, fault.Subject(clip(handle, 64)), "no session with this id")
	if handle == "" {
		return missing
	}
	tokens, err := u.d.Sessions.Sessions(ctx, p.Tenant, "", handle, now)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	if len(tokens) == 0 || u.mayEndSessions(ctx, p, tokens[0].User) != nil {
		return missing
	}
	for _, s := range tokens {
		if err := u.d.Sessions.DeleteSessions(ctx, p.Tenant, s.User, s.ID, now); err != nil {
			return sqlkit.Fault(op, err)
		}
	}
	u.changed(p.Tenant, tokens[0].User)
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "Session revoked", Text: "A session of '" + string(tokens[0].User) + "' was ended"})
	return nil
}

func (u *Users) mayEndSessions(ctx context.Context, p iot.Principal, name iot.UserName) error {
	if name == p.User && u.d.Policy.Check(ctx, p, OwnUser, Read, Object{}) == nil {
		return nil
	}
	return u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{})
}

// Logout ends the session of the token that p came with.
func (u *Users) Logout(ctx context.Context, p iot.Principal) error {
	const op = fault.Op("access.Logout")
	if p.TokenID == "" {
		return nil
	}
	now := u.d.Clock.Now()
	s, err := u.d.Sessions.Session(ctx, p.Tenant, p.TokenID, now)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return sqlkit.Fault(op, err)
	}
	ids := []string{p.TokenID}
	if err == nil { // with the token that this one replaced a moment ago, or that replaced it
		tokens, err := u.d.Sessions.Sessions(ctx, p.Tenant, "", s.Chain, now)
		if err != nil {
			return sqlkit.Fault(op, err)
		}
		for _, x := range tokens {
			ids = append(ids, x.ID)
		}
	}
	for _, id := range ids {
		if err := u.d.Sessions.DeleteSessions(ctx, p.Tenant, p.User, id, now); err != nil {
			return sqlkit.Fault(op, err)
		}
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
	return u.endAll(ctx, p)
}

func (u *Users) endAll(ctx context.Context, p iot.Principal) error {
	if err := u.d.Sessions.DeleteSessions(ctx, p.Tenant, "", "", u.d.Clock.Now()); err != nil {
		return sqlkit.Fault("access.LogoutAll", err)
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User logout", Text: "All sessions of the tenant were ended"})
	return nil
}

// endGroupSessions ends the sessions of the members of a group.
func (u *Users) endGroupSessions(ctx context.Context, p iot.Principal, id int64) error {
	for _, devices := range []bool{false, true} {
		q := UserQuery{Groups: []int64{id}, OnlyDevices: devices, Limit: 500}
		for {
			users, n, err := u.d.Store.Users(ctx, p.Tenant, q)
			if err != nil {
				return err
			}
			for _, user := range users {
				if err := u.d.Sessions.DeleteSessions(ctx, p.Tenant, user.Name, "", u.d.Clock.Now()); err != nil {
					return err
				}
			}
			if q.Offset += len(users); len(users) == 0 || q.Offset >= n {
				break
			}
		}
	}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "Session revoked", Text: "The sessions of all members of a global role were ended"})
	return nil
}
