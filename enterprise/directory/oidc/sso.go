package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/maypok86/otter/v2"
	"golang.org/x/oauth2"

	"github.com/isobar-iot/isobar/enterprise/directory"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/security/access"
)

// Callback is the path that the provider sends the browser back to.
const Callback = "/tenant/oauth"

// Deps is what SSO needs.
type Deps struct {
	// Users is asked late, because the directory of users is made with the Provider of this package.
	Users func() *access.Users
	// Exists says whether an object of a tenant is there, for inventory roles.
	Exists func(ctx context.Context, t iot.TenantID, id iot.ID) error
	Vault  access.Vault
	Door   directory.Door
	Clock  clock.Clock
	Log    *slog.Logger
	// PublicURL is where browsers reach the platform; empty: where the request came to.
	PublicURL string
}

// SSO logs people in through OpenID Connect providers. It is safe for concurrent use.
type SSO struct {
	d         Deps
	providers *otter.Cache[[32]byte, *provider]
	used      *otter.Cache[string, struct{}] // states that were presented
}

// Bounds of what is remembered.
const (
	loginTime    = 10 * time.Minute // from Start to Finish
	maxProviders = 1000
	providerTTL  = time.Hour // then the provider's addresses are looked up again; its keys whenever an unknown one signs
	maxUsed      = 100_000
)

// New makes the face. Close must be called.
func New(d Deps) *SSO {
	return &SSO{d: d,
		providers: otter.Must(&otter.Options[[32]byte, *provider]{MaximumSize: maxProviders, ExpiryCalculator: otter.ExpiryWriting[[32]byte, *provider](providerTTL)}),
		used:      otter.Must(&otter.Options[string, struct{}]{MaximumSize: maxUsed, ExpiryCalculator: otter.ExpiryWriting[string, struct{}](2 * loginTime)}),
	}
}

// provider is a login option made ready.
type provider struct {
	*config
	oidc     *oidc.Provider
	endpoint oauth2.Endpoint
	http     context.Context // carries the HTTP client, nothing else
	metadata struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		Iss     bool     `json:"authorization_response_iss_parameter_supported"`
	}
}

// algorithms that may sign an ID token.
var algorithms = []string{oidc.RS256, oidc.ES256, oidc.PS256}

// provider makes a login option ready, which may ask the provider for its addresses.
func (s *SSO) provider(ctx context.Context, t iot.TenantID, o access.LoginOption) (*provider, error) {
	text := o.Doc.AppendTo(nil)
	key := sha256.Sum256(append([]byte(string(t)+"\x00"+o.ID+"\x00"), text...))
	return s.providers.Get(ctx, key, otter.LoaderFunc[[32]byte, *provider](func(context.Context, [32]byte) (*provider, error) { return s.connect(o.Doc) }))
}

func (s *SSO) connect(doc iot.Doc) (*provider, error) {
	const op = fault.Op("oidc.Connect")
	c, err := parse(doc)
	if err != nil {
		return nil, err
	}
	roots, err := directory.Pool(c.CA)
	if err != nil {
		return nil, err
	}
	p := &provider{config: c, http: oidc.ClientContext(context.Background(), s.d.Door.Client(roots))}
	if c.Authorize.URL != "" && c.Token.URL != "" && c.jwks() != "" {
		explicit := oidc.ProviderConfig{IssuerURL: c.Issuer, AuthURL: c.Authorize.URL, TokenURL: c.Token.URL, JWKSURL: c.jwks(), Algorithms: algorithms}
		p.oidc = explicit.NewProvider(p.http)
	} else if p.oidc, err = oidc.NewProvider(p.http, c.Issuer); err != nil {
		return nil, fault.E(op, fault.Unavailable, err, "the provider '"+c.Name+"' cannot be reached, or is not the issuer that was configured")
	} else if err := p.oidc.Claims(&p.metadata); err != nil {
		return nil, fault.E(op, fault.Unavailable, err, "the provider '"+c.Name+"' does not describe itself as it should")
	} else if url := c.jwks(); url != "" {
		found := oidc.ProviderConfig{IssuerURL: c.Issuer, AuthURL: p.oidc.Endpoint().AuthURL, TokenURL: p.oidc.Endpoint().TokenURL, UserInfoURL: p.oidc.UserInfoEndpoint(), JWKSURL: url, Algorithms: algorithms}
		p.oidc = found.NewProvider(p.http)
	}
	p.endpoint = p.oidc.Endpoint()
	p.endpoint.AuthURL, p.endpoint.TokenURL = first(c.Authorize.URL, p.endpoint.AuthURL), first(c.Token.URL, p.endpoint.TokenURL)
	p.endpoint.AuthStyle = oauth2.AuthStyleInHeader // what providers must offer (OpenID Connect Discovery 1.0, section 3)
	post := c.AuthMethod == "client_secret_post" || c.AuthMethod == "" && len(p.metadata.Methods) > 0 && !slices.Contains(p.metadata.Methods, "client_secret_basic")
	if post || c.ClientSecret == "" {
		p.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	if err := s.d.Door.CheckURL("the address where the provider logs in", p.endpoint.AuthURL); err != nil {
		return nil, fault.E(op, fault.Unavailable, err)
	}
	return p, nil
}

func (p *provider) oauth(secret, redirect string) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID}
	for scope := range strings.FieldsSeq(first(p.Scope, "profile email")) {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: secret, Endpoint: p.endpoint, RedirectURL: redirect, Scopes: scopes}
}

// pending is what a login remembers until the browser comes back.
type pending struct {
	Tenant   iot.TenantID `json:"t"`
	Option   string       `json:"o"`
	State    string       `json:"s"`
	Nonce    string       `json:"n"`
	Verifier string       `json:"v"`
	Redirect string       `json:"r"`
	Target   string       `json:"g"`
	Expires  int64        `json:"e"` // Unix seconds
}

// purpose is what pending logins are sealed for.
const purpose = "single sign-on in progress"

func (s *SSO) seal(p pending) (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", fault.E(fault.Op("oidc.Start"), err)
	}
	return s.d.Vault.Seal(b, purpose), nil
}

func (s *SSO) open(sealed string) (p pending, err error) {
	b, err := s.d.Vault.Open(sealed, purpose)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(b, &p)
}

// Cookie is what the browser keeps during a login. It must be HttpOnly, SameSite=Lax, and sent to Callback only.
type Cookie struct {
	Name, Value string
	MaxAge      time.Duration
}

// CookieName is the name of the cookie of a login, so that several may be under way in one browser. It is empty if state cannot be one of ours.
func CookieName(state string) string {
	if len(state) != len(rand.Text()) || strings.IndexFunc(state, func(r rune) bool { return r < '2' || r > 'Z' || r > '7' && r < 'A' }) >= 0 {
		return ""
	}
	return "isobar-sso-" + state[:8]
}

// Start begins a login: it returns where the browser must go and what it must keep. base is where the platform was called, such as
// https://iot.example.com. idOrType names the login option; empty: the tenant's first. target is where to go at the end: a path, or an address
// below base.
func (s *SSO) Start(ctx context.Context, t iot.TenantID, idOrType, base, target string) (location string, c Cookie, err error) {
	const op = fault.Op("oidc.Start")
	target, err = sameOrigin(first(s.d.PublicURL, base), base, target)
	if err != nil {
		return "", c, err
	}
	o, err := s.option(ctx, t, first(idOrType, Type))
	if err != nil {
		return "", c, err
	}
	p, err := s.provider(ctx, t, o)
	if err != nil {
		s.d.Log.Warn("single sign-on cannot start", "tenant", t, "provider", o.ID, "err", err)
		return "", c, err
	}
	w := pending{Tenant: t, Option: o.ID, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Target: target,
		Redirect: first(p.Redirect, strings.TrimSuffix(first(s.d.PublicURL, base), "/")+Callback), Expires: s.d.Clock.Now().Add(loginTime).Unix()}
	c = Cookie{Name: CookieName(w.State), MaxAge: loginTime}
	if c.Value, err = s.seal(w); err != nil {
		return "", c, err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(w.Nonce), oauth2.S256ChallengeOption(w.Verifier)}
	for name, values := range p.Authorize.extra() {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	location = p.oauth("", w.Redirect).AuthCodeURL(w.State, options...)
	if len(location) > 8<<10 {
		return "", c, fault.E(op, fault.TooLarge, "the address of the provider is too long")
	}
	return location, c, nil
}

// option finds an enabled login option of ours.
func (s *SSO) option(ctx context.Context, t iot.TenantID, idOrType string) (access.LoginOption, error) {
	o, err := s.d.Users().StoredLoginOption(ctx, t, idOrType)
	if err == nil && o.Type != Type {
		return o, fault.E(fault.Op("oidc.Option"), fault.NotFound, "this login option is not one of single sign-on")
	}
	return o, err
}

// sameOrigin accepts where to go after a login: only within the platform itself. The result has neither scheme nor host.
func sameOrigin(public, base, target string) (string, error) {
	if target == "" {
		return "/", nil
	}
	u, err := url.Parse(target)
	bad := err != nil || len(target) > 2048 || strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' })
	if !bad && (u.Scheme != "" || u.Host != "") {
		origin := u.Scheme + "://" + u.Host
		bad = u.User != nil || !strings.EqualFold(origin, strings.TrimSuffix(base, "/")) && !strings.EqualFold(origin, strings.TrimSuffix(public, "/"))
		u.Scheme, u.Host = "", ""
		if u.Path == "" {
			u.Path = "/"
		}
	}
	if bad || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.String(), "//") {
		return "", fault.E(fault.Op("oidc.Start"), fault.Malformed, "originUri must be an address of this platform")
	}
	return u.String(), nil
}

// Reply is what the provider sent the browser back with.
type Reply struct {
	State, Code, Error, Issuer string
	Sealed                     string       // the cookie of the login
	Tenant                     iot.TenantID // that the request names, empty if none
}

// Done is a finished login.
type Done struct {
	Tenant  iot.TenantID
	Token   string
	Session access.Session
	Target  string // path to go to
}

// errRefused tells a stranger nothing about why; the audit has it.
var errRefused = fault.E(fault.Op("oidc.Finish"), fault.Unauthenticated, fault.Reason("sso"), "the login could not be completed: start it again")

// Finish ends a login: it exchanges the code, verifies who it is and opens a session. Every refusal is audited where a tenant is known.
func (s *SSO) Finish(ctx context.Context, r Reply, l access.Login) (Done, error) {
	t := first(string(r.Tenant), string(l.Tenant), string(iot.DefaultTenant))
	refuse := func(tenant iot.TenantID, why string, cause error) (Done, error) {
		s.d.Log.Info("single sign-on refused", "tenant", tenant, "op", "oidc.Finish", "reason", why, "err", cause)
		s.d.Users().ReportLogin(ctx, tenant, l, "single sign-on: "+why)
		return Done{Tenant: tenant}, errRefused
	}
	w, err := s.open(r.Sealed)
	switch {
	case err != nil:
		return refuse(iot.TenantID(t), "it was not started in this browser", nil)
	case r.State == "" || subtle.ConstantTimeCompare([]byte(w.State), []byte(r.State)) != 1:
		return refuse(w.Tenant, "the state is not that of the login", nil)
	case r.Tenant != "" && r.Tenant != w.Tenant:
		return refuse(w.Tenant, "it was started for another tenant", nil)
	case s.d.Clock.Now().Unix() >= w.Expires:
		return refuse(w.Tenant, "it took too long", nil)
	}
	if _, fresh := s.used.SetIfAbsent(w.State, struct{}{}); !fresh {
		return refuse(w.Tenant, "its answer was sent twice", nil)
	}
	if r.Error != "" || r.Code == "" {
		return refuse(w.Tenant, "the provider refused", errors.New(clip(r.Error)))
	}
	o, err := s.option(ctx, w.Tenant, w.Option)
	if err != nil {
		return refuse(w.Tenant, "the login option has been removed", err)
	}
	p, err := s.provider(ctx, w.Tenant, o)
	if err != nil {
		return Done{Tenant: w.Tenant}, err
	}
	if r.Issuer != p.Issuer && (r.Issuer != "" || p.metadata.Iss) { // RFC 9207
		return refuse(w.Tenant, "the answer is of another provider", nil)
	}
	claims, err := s.exchange(ctx, p, w, r.Code)
	if fault.Is(err, fault.Unavailable) {
		s.d.Log.Warn("the provider of single sign-on does not answer", "tenant", w.Tenant, "provider", p.Name, "err", err)
		return Done{Tenant: w.Tenant}, err
	}
	if err != nil {
		return refuse(w.Tenant, fault.Message(err), err)
	}
	id, err := p.identity(claims)
	if err != nil {
		return refuse(w.Tenant, fault.Message(err), err)
	}
	l.User = string(id.User)
	return s.enter(ctx, p, w, claims, id, l)
}

// enter makes the account and the session of somebody whose identity is proved.
func (s *SSO) enter(ctx context.Context, p *provider, w pending, claims directory.Claims, id access.ExternalIdentity, l access.Login) (Done, error) {
	rules := &p.OnNewUser.Rules
	provision := rules.Configuration.Provision(id, rules.Evaluate(claims), rules.All())
	done := Done{Tenant: w.Tenant, Target: w.Target}
	id, err := s.d.Users().Provision(ctx, w.Tenant, provision, func(id iot.ID) error { return s.d.Exists(ctx, w.Tenant, id) })
	if err == nil {
		done.Token, done.Session, err = s.d.Users().Adopt(ctx, w.Tenant, id, l)
	}
	if err != nil {
		if kind := fault.KindOf(err); !kind.Ours() {
			s.d.Users().ReportLogin(ctx, w.Tenant, l, "single sign-on: "+fault.Message(err))
		}
		return Done{Tenant: w.Tenant}, err
	}
	return done, nil
}

// exchange turns the code into claims that are verified.
func (s *SSO) exchange(ctx context.Context, p *provider, w pending, code string) (directory.Claims, error) {
	const op = fault.Op("oidc.Exchange")
	bad := func(why string, err error) error { return fault.E(op, fault.Unauthenticated, err, why) }
	secret, err := s.secret(w.Tenant, p)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, p.http.Value(oauth2.HTTPClient))
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(w.Verifier)}
	for name, values := range p.Token.extra() {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	config := p.oauth(secret, w.Redirect)
	token, err := config.Exchange(ctx, code, options...)
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < 500:
		return nil, bad("the provider refused the code", err)
	case err != nil:
		return nil, fault.E(op, fault.Unavailable, err, "the provider cannot be reached: try again in a moment")
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, bad("the provider sent no ID token", nil)
	}
	verified, err := p.oidc.VerifierContext(p.http, &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms, Now: s.d.Clock.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, bad("the ID token is not valid", err)
	}
	if subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(w.Nonce)) != 1 {
		return nil, bad("the ID token has another nonce", nil)
	}
	if verified.AccessTokenHash != "" && verified.VerifyAccessToken(token.AccessToken) != nil {
		return nil, bad("the ID token belongs to another access token", nil)
	}
	var text json.RawMessage
	if err := verified.Claims(&text); err != nil {
		return nil, bad("the ID token is not valid", err)
	}
	claims, err := directory.ParseClaims(text)
	if err != nil {
		return nil, bad("the ID token is not valid", err)
	}
	if azp := claims.Text("azp"); azp != p.ClientID && (azp != "" || len(verified.Audience) > 1) { // OpenID Connect Core 1.0, section 3.1.3.7
		return nil, bad("the ID token was made for another client", nil)
	}
	if p.Audience != "" && !slices.Contains(verified.Audience, p.Audience) {
		return nil, bad("the ID token was made for another audience", nil)
	}
	if p.UserInfo {
		return s.userInfo(ctx, p, config.TokenSource(ctx, token), verified.Subject, claims)
	}
	return claims, nil
}

// userInfo adds what the provider tells on request. The ID token, which is signed, wins.
func (s *SSO) userInfo(ctx context.Context, p *provider, source oauth2.TokenSource, subject string, claims directory.Claims) (directory.Claims, error) {
	const op = fault.Op("oidc.UserInfo")
	info, err := p.oidc.UserInfo(ctx, source)
	if err != nil {
		return nil, fault.E(op, fault.Unavailable, err, "the provider does not tell about the user: try again in a moment")
	}
	var text json.RawMessage
	if err := info.Claims(&text); err != nil {
		return nil, fault.E(op, fault.Unauthenticated, err, "what the provider tells about the user cannot be read")
	}
	more, err := directory.ParseClaims(text)
	if err != nil || info.Subject != subject {
		return nil, fault.E(op, fault.Unauthenticated, err, "what the provider tells is not about the user of the ID token")
	}
	for name, value := range more {
		if _, ok := claims[name]; !ok {
			claims[name] = value
		}
	}
	return claims, nil
}

func (s *SSO) secret(t iot.TenantID, p *provider) (string, error) {
	if p.ClientSecret == "" {
		return "", nil
	}
	plain, err := s.d.Vault.Open(p.ClientSecret, owner(t)...)
	if err != nil {
		return "", fault.E(fault.Op("oidc.Secret"), fault.Unavailable, err, "the secret of the login option cannot be read: an administrator must set it again")
	}
	return string(plain), nil
}

// identity reads who it is from claims.
func (p *provider) identity(c directory.Claims) (access.ExternalIdentity, error) {
	const op = fault.Op("oidc.Identity")
	field := first(p.UserID.Field, "sub")
	name := c.Text(field)
	if p.UserID.UseConstant {
		name = p.UserID.Constant
	}
	if name == "" {
		return access.ExternalIdentity{}, fault.E(op, fault.Unauthenticated, "the token has no claim '"+clip(field)+"' for the user name")
	}
	if field == "email" && c["email_verified"] == false && !p.UserID.UseConstant {
		return access.ExternalIdentity{}, fault.E(op, fault.Unauthenticated, "the provider has not verified the e-mail address that is the user name")
	}
	return access.ExternalIdentity{User: iot.UserName(name), Origin: access.OAuth2, FirstName: c.Text(first(p.Fields.FirstName, "given_name")),
		LastName: c.Text(first(p.Fields.LastName, "family_name")), Email: c.Text(first(p.Fields.Email, "email")), Phone: c.Text(first(p.Fields.Phone, "phone_number"))}, nil
}

// LogoutURL is where a browser goes to log out of the provider as well; empty if the tenant has no such address.
func (s *SSO) LogoutURL(ctx context.Context, t iot.TenantID, base string) string {
	o, err := s.option(ctx, t, Type)
	if err != nil {
		return ""
	}
	c, err := parse(o.Doc)
	if err != nil || c.Logout.URL == "" {
		return ""
	}
	u, err := url.Parse(c.Logout.URL)
	if err != nil {
		return ""
	}
	q := u.Query()
	for name, values := range c.Logout.extra() {
		q[name] = values
	}
	q.Set("client_id", c.ClientID)
	q.Set("post_logout_redirect_uri", strings.TrimSuffix(first(s.d.PublicURL, base), "/")+"/")
	u.RawQuery = q.Encode()
	return u.String()
}

func clip(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.ToValidUTF8(s, "?")
}
