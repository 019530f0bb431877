package access

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// The login options that are built in. Every tenant has both until it says otherwise.
const (
	BasicLogin     = "BASIC"
	OAuth2Internal = "OAUTH2_INTERNAL"
)

// LoginOption is one way to log in to a tenant. Doc is what the API calls authConfig, without id and type.
type LoginOption struct {
	ID   string  `json:"id"`   // the type for what is built in, else made by us
	Type string  `json:"type"` // in upper case
	Off  bool    `json:"off,omitempty"`
	Doc  iot.Doc `json:"doc,omitempty"`
}

// Provider is a kind of login option beside those that are built in, such as single sign-on.
type Provider struct {
	// Validate checks a document that an administrator sends and returns it as it is to be stored. old is the stored one when it is changed,
	// so that members which are never shown (secrets) can be kept; nil for a new one.
	Validate func(ctx context.Context, t iot.TenantID, doc, old iot.Doc) (iot.Doc, error)
	// Show returns what administrators see of a stored document.
	Show func(doc iot.Doc) iot.Doc
	// Public returns what the login page of a tenant needs to know.
	Public func(t iot.TenantID, id string, doc iot.Doc) iot.Doc
}

// Limits of login options.
const (
	maxParallel   = 1000
	maxAgentRules = 100
	maxOptions    = 20
	maxOptionDoc  = 64 << 10
)

// sessionConfiguration is a member of the document of OAUTH2_INTERNAL.
type sessionConfiguration struct {
	Absolute  *int64 `json:"absoluteTimeoutMillis"`
	Renewal   *int64 `json:"renewalTimeoutMillis"`
	Parallel  *int   `json:"maximumNumberOfParallelSessions"`
	SameAgent *bool  `json:"userAgentValidationRequired"`
}

// restrictions is the member authenticationRestrictions, about who may use Basic authentication.
type restrictions struct {
	ForbiddenClients []string `json:"forbiddenClients"`
	Trusted          []string `json:"trustedUserAgents"`
	Forbidden        []string `json:"forbiddenUserAgents"`
}

func (o LoginOption) sessions(r *SessionRules) {
	var c sessionConfiguration
	if raw := o.Doc.Get("sessionConfiguration"); raw == nil || json.Unmarshal(raw, &c) != nil {
		return
	}
	if c.Absolute != nil {
		r.Absolute = time.Duration(*c.Absolute) * time.Millisecond
	}
	if c.Renewal != nil {
		r.Renewal = time.Duration(*c.Renewal) * time.Millisecond
	}
	if c.Parallel != nil {
		r.Parallel = *c.Parallel
	}
	if c.SameAgent != nil {
		r.SameAgent = *c.SameAgent
	}
}

func (o LoginOption) restrictions() (r restrictions) {
	if raw := o.Doc.Get("authenticationRestrictions"); raw != nil {
		_ = json.Unmarshal(raw, &r) // was checked when it was stored
	}
	return r
}

// checkBuiltin checks the document of an option that is built in.
func checkBuiltin(doc iot.Doc) error {
	const op = fault.Op("access.LoginOption")
	if raw := doc.Get("sessionConfiguration"); raw != nil {
		var c sessionConfiguration
		if err := json.Unmarshal(raw, &c); err != nil {
			return fault.E(op, fault.Invalid, "sessionConfiguration must be an object whose members are numbers and true or false, as documented")
		}
		const most = int64(maxLifetime / time.Millisecond)
		switch {
		case c.Absolute != nil && (*c.Absolute < minLifetime.Milliseconds() || *c.Absolute > most):
			return fault.E(op, fault.Invalid, "absoluteTimeoutMillis must be at least 300000 (5 minutes)")
		case c.Renewal != nil && (*c.Renewal < 60_000 || *c.Renewal > most):
			return fault.E(op, fault.Invalid, "renewalTimeoutMillis must be at least 60000 (a minute)")
		case c.Absolute != nil && c.Renewal != nil && *c.Renewal >= *c.Absolute:
			return fault.E(op, fault.Invalid, "renewalTimeoutMillis must be less than absoluteTimeoutMillis")
		case c.Parallel != nil && (*c.Parallel < 1 || *c.Parallel > maxParallel):
			return fault.Errorf(op, fault.Invalid, "maximumNumberOfParallelSessions must lie between 1 and %d", maxParallel)
		}
	}
	if raw := doc.Get("authenticationRestrictions"); raw != nil {
		var r restrictions
		if err := json.Unmarshal(raw, &r); err != nil {
			return fault.E(op, fault.Invalid, "authenticationRestrictions must be an object with lists of texts, as documented")
		}
		if slices.ContainsFunc(r.ForbiddenClients, func(c string) bool { return c != webBrowsers }) {
			return fault.E(op, fault.Invalid, "forbiddenClients may only hold "+webBrowsers)
		}
		if len(r.Trusted) > maxAgentRules || len(r.Forbidden) > maxAgentRules {
			return fault.Errorf(op, fault.Invalid, "there may be at most %d user agents in a list", maxAgentRules)
		}
	}
	return nil
}

const webBrowsers = "WEB_BROWSERS"

// forbids reports whether a client may not use Basic authentication. A name that is listed counts more than the kind of client.
func (r restrictions) forbids(agent string) bool {
	switch {
	case slices.Contains(r.Forbidden, agent):
		return true
	case slices.Contains(r.Trusted, agent):
		return false
	}
	return slices.Contains(r.ForbiddenClients, webBrowsers) && strings.HasPrefix(agent, "Mozilla/") // as every browser starts
}

// allowBasic refuses Basic authentication where it is switched off or forbidden for the client. Devices, and dialects that know no user agents,
// are never concerned. It is decided before the password, so that it says nothing about that.
func (u *Users) allowBasic(ctx context.Context, t iot.TenantID, name iot.UserName, agent string) error {
	if agent == "" || machineName(name) {
		return nil
	}
	options, err := u.LoginOptions(ctx, t)
	if err != nil {
		return err
	}
	refused := true
	for _, o := range options {
		if o.Type == BasicLogin {
			refused = false
		}
	}
	for _, o := range options {
		refused = refused || o.restrictions().forbids(agent)
	}
	if refused {
		return fault.E(fault.Op("access.Login"), fault.Denied, "Basic authentication is not allowed for this client: log in with POST /tenant/oauth")
	}
	return nil
}

// LoginOptions returns the ways to log in to a tenant that are enabled, the built-in ones first. It acts for the platform, which also shows them
// to strangers; a tenant that does not exist has those of a fresh one.
func (u *Users) LoginOptions(ctx context.Context, t iot.TenantID) ([]LoginOption, error) {
	all, err := u.loginOptions(ctx, t)
	return slices.DeleteFunc(slices.Clone(all), func(o LoginOption) bool { return o.Off }), err
}

// loginOptions returns what is stored, completed by what is built in. The result is shared and must not be changed.
func (u *Users) loginOptions(ctx context.Context, t iot.TenantID) ([]LoginOption, error) {
	u.mu.Lock()
	known, ok := u.logins[t]
	u.mu.Unlock()
	if ok {
		return known, nil
	}
	generation := u.generation.Load()
	stored, err := u.d.Store.LoginOptions(ctx, t)
	if err != nil {
		return nil, sqlkit.Fault("access.LoginOptions", err)
	}
	var out []LoginOption
	for _, id := range []string{BasicLogin, OAuth2Internal} {
		i := slices.IndexFunc(stored, func(o LoginOption) bool { return o.ID == id })
		if i < 0 {
			out = append(out, LoginOption{ID: id, Type: id})
			continue
		}
		out = append(out, stored[i])
		stored = slices.Delete(stored, i, i+1)
	}
	slices.SortStableFunc(stored, func(a, b LoginOption) int { return strings.Compare(a.Type, b.Type) })
	out = append(out, stored...)
	if u.d.Tenants.Active(ctx, t) == nil { // bounded by the number of tenants
		u.mu.Lock()
		if u.generation.Load() == generation {
			u.logins[t] = out
		}
		u.mu.Unlock()
	}
	return out, nil
}

// enabledOption finds a login option by id or type, in any case; NotFound if there is none or it is off.
func (u *Users) enabledOption(ctx context.Context, t iot.TenantID, idOrType string) (LoginOption, error) {
	options, err := u.LoginOptions(ctx, t)
	if err != nil {
		return LoginOption{}, err
	}
	for _, o := range options {
		if strings.EqualFold(o.ID, idOrType) || strings.EqualFold(o.Type, idOrType) {
			return o, nil
		}
	}
	return LoginOption{}, fault.E(fault.Op("access.LoginOption"), fault.NotFound, "there is no login option "+clip(idOrType, 64))
}

// MaySetLogins checks the permission to change login options.
func (u *Users) MaySetLogins(ctx context.Context, p iot.Principal) error {
	if p.Has("ROLE_TENANT_ADMIN") {
		return nil
	}
	return u.d.Policy.Check(ctx, p, TenantAdmin, Admin, Object{})
}

// LoginOption returns one login option of p's tenant, for who administers the tenant or users.
func (u *Users) LoginOption(ctx context.Context, p iot.Principal, idOrType string) (LoginOption, error) {
	if err := u.MaySetLogins(ctx, p); err != nil && u.d.Policy.Check(ctx, p, UserAdmin, Create, Object{}) != nil {
		return LoginOption{}, err
	}
	o, err := u.enabledOption(ctx, p.Tenant, idOrType)
	if provider, ok := u.d.Providers[o.Type]; ok && provider.Show != nil {
		o.Doc = provider.Show(o.Doc)
	}
	return o, err
}

// PublicLoginOption returns what the login page may know of an option of a Provider; nil for what is built in.
func (u *Users) PublicLoginOption(t iot.TenantID, o LoginOption) iot.Doc {
	if provider, ok := u.d.Providers[o.Type]; ok && provider.Public != nil {
		return provider.Public(t, o.ID, o.Doc)
	}
	return nil
}

// StoredLoginOption returns an enabled option as it was stored, with its secrets, for the Provider that implements it.
func (u *Users) StoredLoginOption(ctx context.Context, t iot.TenantID, idOrType string) (LoginOption, error) {
	return u.enabledOption(ctx, t, idOrType)
}

// CreateLoginOption enables a way to log in. Conflict: it is there already.
func (u *Users) CreateLoginOption(ctx context.Context, p iot.Principal, kind string, doc iot.Doc) (LoginOption, error) {
	const op = fault.Op("access.CreateLoginOption")
	if err := u.MaySetLogins(ctx, p); err != nil {
		return LoginOption{}, err
	}
	o := LoginOption{ID: strings.ToUpper(kind), Type: strings.ToUpper(kind)}
	options, err := u.LoginOptions(ctx, p.Tenant)
	switch {
	case err != nil:
		return LoginOption{}, err
	case slices.ContainsFunc(options, func(x LoginOption) bool { return x.ID == o.ID && isBuiltin(o.Type) }):
		return LoginOption{}, fault.E(op, fault.Malformed, "the login option "+o.ID+" exists already") // c8y: 400
	case len(options) >= maxOptions:
		return LoginOption{}, fault.Errorf(op, fault.Conflict, "a tenant may have at most %d login options", maxOptions)
	}
	if !isBuiltin(o.Type) {
		o.ID = newID()
	}
	return u.putLoginOption(ctx, p, o, doc.Without(managementOnly), nil, "Login option created")
}

// managementOnly is the member of a login option that only members of management may change.
const managementOnly = "onlyManagementTenantAccess"

func restricted(p iot.Principal, o LoginOption) error {
	if string(o.Doc.Get(managementOnly)) == "true" && p.Tenant != iot.Management {
		return fault.E(fault.Op("access.LoginOption"), fault.Denied, "only the tenant management may change this login option")
	}
	return nil
}

// RestrictLoginOption says whether only members of management may change a login option of a tenant, and returns it. It needs to be one of
// them who administers logins.
func (u *Users) RestrictLoginOption(ctx context.Context, p iot.Principal, t iot.TenantID, idOrType string, only bool) (LoginOption, error) {
	const op = fault.Op("access.RestrictLoginOption")
	if err := u.MaySetLogins(ctx, p); err != nil {
		return LoginOption{}, err
	}
	if p.Tenant != iot.Management {
		return LoginOption{}, fault.E(op, fault.Denied, "only the tenant management restricts login options")
	}
	if err := u.d.Tenants.Active(ctx, t); err != nil {
		return LoginOption{}, err
	}
	o, err := u.enabledOption(ctx, t, idOrType)
	if err != nil {
		return LoginOption{}, err
	}
	o.Doc = append(o.Doc.Without(managementOnly), iot.Member{Name: managementOnly, Raw: strconv.AppendBool(nil, only)})
	if err := u.d.Store.PutLoginOption(ctx, t, o, u.revision(p)); err != nil {
		return LoginOption{}, sqlkit.Fault(op, err)
	}
	u.changed(t, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "TenantAuthConfig", Activity: "Login option restricted", Text: "Login option restricted: '" + o.ID + "' of tenant '" + string(t) + "'"})
	if provider, ok := u.d.Providers[o.Type]; ok && provider.Show != nil {
		o.Doc = provider.Show(o.Doc)
	}
	return o, nil
}

// UpdateLoginOption replaces members of a login option. endSessions logs everybody of the tenant out.
func (u *Users) UpdateLoginOption(ctx context.Context, p iot.Principal, idOrType string, doc iot.Doc, endSessions bool) (LoginOption, error) {
	if err := u.MaySetLogins(ctx, p); err != nil {
		return LoginOption{}, err
	}
	o, err := u.enabledOption(ctx, p.Tenant, idOrType)
	if err != nil {
		return LoginOption{}, err
	}
	if kind, ok := doc.Text("type"); ok && !strings.EqualFold(kind, o.Type) {
		return LoginOption{}, fault.E(fault.Op("access.UpdateLoginOption"), fault.Invalid, "the type of a login option cannot be changed")
	}
	if err := restricted(p, o); err != nil {
		return LoginOption{}, err
	}
	doc = doc.Without(managementOnly) // RestrictLoginOption sets it
	old := o.Doc
	if old == nil {
		old = iot.Doc{}
	}
	if o, err = u.putLoginOption(ctx, p, o, doc, old, "Login option updated"); err != nil {
		return o, err
	}
	if endSessions {
		err = u.endAll(ctx, p)
	}
	return o, err
}

func isBuiltin(kind string) bool { return kind == BasicLogin || kind == OAuth2Internal }

func (u *Users) putLoginOption(ctx context.Context, p iot.Principal, o LoginOption, doc, old iot.Doc, activity string) (LoginOption, error) {
	const op = fault.Op("access.PutLoginOption")
	doc = doc.Without("id", "type", "self", "_type")
	if len(doc.AppendTo(nil)) > maxOptionDoc {
		return LoginOption{}, fault.E(op, fault.TooLarge, "a login option must not be larger than 64 KiB")
	}
	provider, known := u.d.Providers[o.Type]
	var err error
	switch {
	case isBuiltin(o.Type):
		doc = old.Merge(doc).WithoutNulls()
		err = checkBuiltin(doc)
	case known:
		doc, err = provider.Validate(ctx, p.Tenant, doc, old)
	default:
		err = fault.E(op, fault.Invalid, "login options of type "+clip(o.Type, 64)+" are not offered here")
	}
	if err != nil {
		return LoginOption{}, err
	}
	o.Doc = doc
	if err := u.d.Store.PutLoginOption(ctx, p.Tenant, o, u.revision(p)); err != nil {
		return LoginOption{}, sqlkit.Fault(op, err)
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "TenantAuthConfig", Activity: activity, Text: activity + ": '" + o.ID + "'"})
	if known && provider.Show != nil {
		o.Doc = provider.Show(o.Doc)
	}
	return o, nil
}

// DeleteLoginOption switches a way to log in off. The last one that needs no other system cannot be: nobody could switch it on again.
func (u *Users) DeleteLoginOption(ctx context.Context, p iot.Principal, idOrType string) error {
	const op = fault.Op("access.DeleteLoginOption")
	if err := u.MaySetLogins(ctx, p); err != nil {
		return err
	}
	o, err := u.enabledOption(ctx, p.Tenant, idOrType)
	if err == nil {
		err = restricted(p, o)
	}
	if err != nil {
		return err
	}
	if isBuiltin(o.Type) {
		options, err := u.LoginOptions(ctx, p.Tenant)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(options, func(x LoginOption) bool { return isBuiltin(x.Type) && x.ID != o.ID }) {
			return fault.E(op, fault.Conflict, "the last way to log in cannot be removed")
		}
		o.Off, o.Doc = true, nil
		err = u.d.Store.PutLoginOption(ctx, p.Tenant, o, u.revision(p))
		if errors.Is(err, ErrLastLogin) { // somebody else removed the other one meanwhile
			return fault.E(op, fault.Conflict, err, "the last way to log in cannot be removed")
		}
		if err != nil {
			return sqlkit.Fault(op, err)
		}
	} else if err := u.d.Store.DeleteLoginOption(ctx, p.Tenant, o.ID, u.revision(p)); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return sqlkit.Fault(op, err)
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "TenantAuthConfig", Activity: "Login option deleted", Text: "Login option deleted: '" + o.ID + "'"})
	return nil
}
