package apimgmt

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/security/access"
)

// Endpoint is one version of a published endpoint: a query that is kept, with parameters.
type Endpoint struct {
	Name        string      `json:"name"`
	Version     int         `json:"version"`
	Kind        QueryKind   `json:"kind"`
	State       State       `json:"state"`
	Description string      `json:"description,omitempty"`
	Query       string      `json:"query,omitempty"` // of INVENTORY: in the query language; '${name}' as a whole literal stands for a parameter
	Devices     bool        `json:"devices,omitempty"`
	Series      *Series     `json:"series,omitempty"` // of SERIES
	Parameters  []Parameter `json:"parameters,omitempty"`
	// MaxPage is the largest page that a caller gets.
	MaxPage int          `json:"maxPage"`
	Owner   iot.UserName `json:"owner"`
	Created time.Time    `json:"created"`
	Updated time.Time    `json:"updated"`
	// Deprecated is since when the version is deprecated, Sunset when it is going to be retired; zero: not.
	Deprecated time.Time `json:"deprecated,omitzero"`
	Sunset     time.Time `json:"sunset,omitzero"`
}

// QueryKind is what an endpoint asks.
type QueryKind string

// The kinds of queries.
const (
	InventoryQuery QueryKind = "INVENTORY"
	SeriesQuery    QueryKind = "SERIES"
)

// State is where a version stands in its life, which goes one way only, except that a retired version can be published no more.
type State string

// The states. Drafts answer only to who may change them, retired versions to nobody.
const (
	Draft      State = "DRAFT"
	Published  State = "PUBLISHED"
	Deprecated State = "DEPRECATED"
	Retired    State = "RETIRED"
)

var stateOrder = map[State]int{Draft: 1, Published: 2, Deprecated: 3, Retired: 4}

// Series is an aggregation of measurements. Its period is always given by the caller, as dateFrom and dateTo.
type Series struct {
	Source    string   `json:"source"` // an id, or ${name} of a parameter of type ID
	Series    []string `json:"series,omitempty"`
	Interval  string   `json:"aggregationInterval"`
	Functions []string `json:"aggregationFunctions,omitempty"`
	Zone      string   `json:"timezone,omitempty"`
}

// Parameter is something that a caller gives.
type Parameter struct {
	Name        string        `json:"name"`
	Type        ParameterType `json:"type"`
	Default     *string       `json:"default,omitempty"` // nil: it must be given
	Description string        `json:"description,omitempty"`
}

// ParameterType is what values a parameter takes.
type ParameterType string

// The types of parameters.
const (
	TextType     ParameterType = "TEXT"
	NumberType   ParameterType = "NUMBER"
	BooleanType  ParameterType = "BOOLEAN"
	DateTimeType ParameterType = "DATE_TIME"
	IDType       ParameterType = "ID"
)

// Bounds of endpoints.
const (
	MaxEndpoints   = 200  // versions in a tenant
	maxParameters  = 20   // of an endpoint
	maxQueryText   = 4000 // bytes
	maxDescription = 2000
	maxSeries      = 20
	maxParameter   = 1000 // bytes of a value
	MaxPage        = 2000 // objects
)

var (
	endpointName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,49}$`)
	parameterName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,49}$`)
	placeholder   = regexp.MustCompile(`^\$\{([A-Za-z][A-Za-z0-9_]*)\}$`)
)

// reservedNames are parameters that every endpoint has.
var reservedNames = map[string]bool{"pageSize": true, "currentPage": true, "withTotalPages": true, "withTotalElements": true, "dateFrom": true, "dateTo": true, "revert": true}

// Label is the endpoint's name and version, as in its path.
func (e Endpoint) Label() string { return e.Name + "/v" + strconv.Itoa(e.Version) }

// check returns a fault of kind Invalid unless the endpoint can be kept.
func (e Endpoint) check() error {
	const op = fault.Op("apimgmt.Endpoint")
	switch {
	case !endpointName.MatchString(e.Name):
		return fault.E(op, fault.Invalid, fault.Subject(e.Name), "name must begin with a small letter and have up to 50 small letters, digits and hyphens")
	case len(e.Description) > maxDescription:
		return fault.Errorf(op, fault.Invalid, "description must not be longer than %d bytes", maxDescription)
	case len(e.Parameters) > maxParameters:
		return fault.Errorf(op, fault.Invalid, "an endpoint has at most %d parameters", maxParameters)
	case e.MaxPage < 1 || e.MaxPage > MaxPage:
		return fault.Errorf(op, fault.Invalid, "maxPageSize must be between 1 and %d", MaxPage)
	}
	seen := map[string]bool{}
	for _, p := range e.Parameters {
		if err := p.check(); err != nil {
			return err
		}
		if seen[p.Name] {
			return fault.E(op, fault.Invalid, fault.Subject(p.Name), "the parameter "+p.Name+" is declared twice")
		}
		seen[p.Name] = true
	}
	used, err := e.uses()
	if err != nil {
		return err
	}
	for _, p := range e.Parameters {
		if !used[p.Name] {
			return fault.E(op, fault.Invalid, fault.Subject(p.Name), "the parameter "+p.Name+" is declared but not used")
		}
	}
	for name := range used {
		if !seen[name] {
			return fault.E(op, fault.Invalid, fault.Subject(name), "${"+name+"} is used but not declared as a parameter")
		}
	}
	return nil
}

func (p Parameter) check() error {
	const op = fault.Op("apimgmt.Parameter")
	switch {
	case !parameterName.MatchString(p.Name) || reservedNames[p.Name]:
		return fault.E(op, fault.Invalid, fault.Subject(p.Name), "the name of a parameter must begin with a letter and have up to 50 letters, digits and _; pageSize, currentPage, withTotalPages, withTotalElements, dateFrom, dateTo and revert are taken")
	case len(p.Description) > maxDescription:
		return fault.Errorf(op, fault.Invalid, "description must not be longer than %d bytes", maxDescription)
	}
	switch p.Type {
	case TextType, NumberType, BooleanType, DateTimeType, IDType:
	default:
		return fault.E(op, fault.Invalid, fault.Subject(string(p.Type)), "the type of a parameter must be TEXT, NUMBER, BOOLEAN, DATE_TIME or ID")
	}
	if p.Default != nil {
		if _, err := p.value(*p.Default); err != nil {
			return err
		}
	}
	return nil
}

// uses returns the names of the parameters in the query, which it also checks.
func (e Endpoint) uses() (map[string]bool, error) {
	const op = fault.Op("apimgmt.Endpoint")
	used := map[string]bool{}
	switch e.Kind {
	case InventoryQuery:
		if e.Series != nil || e.Query == "" || len(e.Query) > maxQueryText {
			return nil, fault.Errorf(op, fault.Invalid, "an endpoint of kind INVENTORY has a query of 1 to %d bytes and no series", maxQueryText)
		}
		_, err := e.bind(func(name string) (query.Value, error) {
			used[name] = true
			return query.Value{Kind: query.Text}, nil
		})
		return used, err
	case SeriesQuery:
		s := e.Series
		if s == nil || e.Query != "" || s.Interval == "" || len(s.Series) > maxSeries || len(s.Functions) > maxSeries {
			return nil, fault.Errorf(op, fault.Invalid, "an endpoint of kind SERIES has no query, and series with source, aggregationInterval, at most %d series and as many aggregationFunctions", maxSeries)
		}
		if m := placeholder.FindStringSubmatch(s.Source); m != nil {
			used[m[1]] = true
			for _, p := range e.Parameters {
				if p.Name == m[1] && p.Type != IDType {
					return nil, fault.E(op, fault.Invalid, fault.Subject(p.Name), "the parameter that names the source must be of type ID")
				}
			}
		} else if _, ok := iot.ParseID(s.Source); !ok {
			return nil, fault.E(op, fault.Invalid, fault.Subject(s.Source), "source must be an id or ${name} of a parameter")
		}
		return used, nil
	}
	return nil, fault.E(op, fault.Invalid, fault.Subject(string(e.Kind)), "kind must be INVENTORY or SERIES")
}

// bind parses the query and puts values where it names parameters. A value becomes one literal, whatever is in it.
func (e Endpoint) bind(value func(name string) (query.Value, error)) (query.Query, error) {
	const op = fault.Op("apimgmt.Bind")
	q, err := query.Parse(e.Query)
	if err != nil {
		return q, fault.E(op, fault.Invalid, "the query could not be understood. "+err.Error())
	}
	q.Filter, err = bindExpr(q.Filter, value)
	return q, err
}

func bindExpr(e query.Expr, value func(string) (query.Value, error)) (query.Expr, error) {
	all := func(terms []query.Expr) ([]query.Expr, error) {
		out := make([]query.Expr, len(terms))
		for i, t := range terms {
			var err error
			if out[i], err = bindExpr(t, value); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	switch e := e.(type) {
	case query.And:
		terms, err := all(e)
		return query.And(terms), err
	case query.Or:
		terms, err := all(e)
		return query.Or(terms), err
	case query.Not:
		x, err := bindExpr(e.X, value)
		return query.Not{X: x}, err
	case query.Compare:
		if e.Value.Kind != query.Text {
			return e, nil
		}
		m := placeholder.FindStringSubmatch(e.Value.Text)
		if m == nil {
			if strings.Contains(e.Value.Text, "${") {
				return nil, fault.E(fault.Op("apimgmt.Bind"), fault.Invalid, fault.Subject(e.Value.Text), "a parameter must be the whole of a literal: '${name}'")
			}
			return e, nil
		}
		var err error
		e.Value, err = value(m[1])
		return e, err
	}
	return e, nil
}

// value reads what a caller gives for a parameter as a literal. A * in a text is no wildcard.
func (p Parameter) value(text string) (v query.Value, err error) {
	wrong := func(what string) error {
		return fault.E(fault.Op("apimgmt.Bind"), fault.Invalid, fault.Subject(p.Name), "the parameter "+p.Name+" must be "+what)
	}
	if len(text) > maxParameter {
		return v, wrong(fmt.Sprintf("no longer than %d bytes", maxParameter))
	}
	switch p.Type {
	case NumberType:
		n, err := iot.ParseNumber(text)
		if err != nil {
			return v, wrong("a number")
		}
		return query.Value{Kind: query.Number, Num: n.Float(), Text: text}, nil
	case BooleanType:
		if text != "true" && text != "false" {
			return v, wrong("true or false")
		}
		return query.Value{Kind: query.Bool, Bool: text == "true"}, nil
	case DateTimeType:
		if _, err := iot.ParseTime(text); err != nil {
			return v, wrong("a date-time such as 2026-01-31T12:00:00.000Z")
		}
	case IDType:
		if _, ok := iot.ParseID(text); !ok {
			return v, wrong("an id")
		}
	}
	return query.Value{Kind: query.Text, Text: text}, nil
}

// Call is an endpoint with the values of its parameters.
type Call struct {
	Endpoint Endpoint
	Query    query.Query // of INVENTORY
	Source   string      // of SERIES
}

// Call binds the values that a caller gives to an endpoint. It needs ROLE_APPLICATION_MANAGEMENT_READ, and for a draft ROLE_APPLICATION_MANAGEMENT_ADMIN; what the
// caller may see of the answer is decided where it is read. given returns what the caller gives for a parameter. A missing or wrong value is a fault of
// kind Invalid, a retired version one of kind Gone.
func (m *Management) Call(ctx context.Context, p iot.Principal, name string, version int, given func(name string) (string, bool)) (c Call, err error) {
	const op = fault.Op("apimgmt.Call")
	if c.Endpoint, err = m.Endpoint(ctx, p, name, version); err != nil {
		return c, err
	}
	if c.Endpoint.State == Retired {
		return c, fault.E(op, fault.Gone, fault.Subject(c.Endpoint.Label()), "the published endpoint "+c.Endpoint.Label()+" is retired")
	}
	value := func(name string) (v query.Value, err error) {
		for _, x := range c.Endpoint.Parameters {
			if x.Name != name {
				continue
			}
			text, ok := given(name)
			if !ok {
				if x.Default == nil {
					return v, fault.E(op, fault.Invalid, fault.Subject(name), "Following mandatory parameters should be included: "+name)
				}
				text = *x.Default
			}
			return x.value(text)
		}
		return v, fault.E(op, fault.Internal, fault.Subject(name), "an undeclared parameter")
	}
	if c.Endpoint.Kind == InventoryQuery {
		c.Query, err = c.Endpoint.bind(value)
		return c, err
	}
	c.Source = c.Endpoint.Series.Source
	if match := placeholder.FindStringSubmatch(c.Source); match != nil {
		v, err := value(match[1])
		c.Source = v.Text
		return c, err
	}
	return c, nil
}

func noEndpoint(op fault.Op, name string, version int, err error) error {
	if err = sqlkit.Fault(op, err); fault.Is(err, fault.NotFound) {
		return fault.E(op, fault.NotFound, fault.Subject(name), fmt.Sprintf("there is no published endpoint %s/v%d", name, version))
	}
	return err
}

// drafts reports whether p may see and change what is not published.
func (m *Management) drafts(ctx context.Context, p iot.Principal) error {
	if p.Key != "" {
		return fault.E(fault.Op("apimgmt.Endpoint"), fault.Denied, "Access is denied. Endpoints are published by people")
	}
	return m.d.Policy.Check(ctx, p, access.Application, access.Admin, access.Object{})
}

// Endpoint returns one version. It needs ROLE_APPLICATION_MANAGEMENT_READ; drafts exist only for who may change them.
func (m *Management) Endpoint(ctx context.Context, p iot.Principal, name string, version int) (e Endpoint, err error) {
	const op = fault.Op("apimgmt.Endpoint")
	admin := m.drafts(ctx, p) == nil
	if err := m.d.Policy.Check(ctx, p, access.Application, access.Read, access.Object{}); err != nil && !admin {
		return e, err
	}
	if e, err = m.d.Store.Endpoint(ctx, p.Tenant, name, version); err != nil {
		return e, noEndpoint(op, name, version, err)
	}
	if e.State == Draft && !admin {
		return e, fault.E(op, fault.NotFound, fault.Subject(name), fmt.Sprintf("there is no published endpoint %s/v%d", name, version))
	}
	return e, nil
}

// Endpoints returns all versions that p may see, by name and version. It needs ROLE_APPLICATION_MANAGEMENT_READ.
func (m *Management) Endpoints(ctx context.Context, p iot.Principal) (out []Endpoint, err error) {
	admin := m.drafts(ctx, p) == nil
	if err := m.d.Policy.Check(ctx, p, access.Application, access.Read, access.Object{}); err != nil && !admin {
		return nil, err
	}
	all, err := m.d.Store.Endpoints(ctx, p.Tenant)
	for _, e := range all {
		if e.State != Draft || admin {
			out = append(out, e)
		}
	}
	return out, sqlkit.Fault("apimgmt.Endpoints", err)
}

// Publish stores a new version of an endpoint, as a draft or published at once. It needs ROLE_APPLICATION_MANAGEMENT_ADMIN.
func (m *Management) Publish(ctx context.Context, p iot.Principal, e Endpoint) (Endpoint, error) {
	const op = fault.Op("apimgmt.Publish")
	if err := m.drafts(ctx, p); err != nil {
		return e, err
	}
	if e.State != Draft && e.State != Published {
		return e, fault.E(op, fault.Invalid, fault.Subject(string(e.State)), "a new version is DRAFT or PUBLISHED")
	}
	if err := e.check(); err != nil {
		return e, err
	}
	e.Owner, e.Created, e.Deprecated, e.Sunset = p.User, m.d.Clock.Now().Truncate(time.Millisecond), time.Time{}, time.Time{}
	e.Updated = e.Created
	e, full, err := m.d.Store.CreateEndpoint(ctx, p.Tenant, e, MaxEndpoints)
	if err != nil {
		return e, sqlkit.Fault(op, err)
	}
	if full {
		return e, fault.Errorf(op, fault.Conflict, "a tenant can have %d versions of published endpoints: delete retired ones", MaxEndpoints)
	}
	m.note(ctx, p, e, "Published endpoint created")
	return e, nil
}

func (m *Management) note(ctx context.Context, p iot.Principal, e Endpoint, activity string) {
	m.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "PublishedEndpoint", Activity: activity, Text: activity + ": '" + e.Label() + "' is " + string(e.State)})
}

// Change is what is to become of a version; nil: as it is.
type Change struct {
	State       *State
	Description *string
	Sunset      *time.Time
	// Draft replaces all that the version asks for, as long as it is a draft. Name, version, state and times of it do not count.
	Draft *Endpoint
}

// ChangeEndpoint changes a version. It needs ROLE_APPLICATION_MANAGEMENT_ADMIN. A step back in its life, and another query for a version that callers know
// already, are faults of kind Conflict.
func (m *Management) ChangeEndpoint(ctx context.Context, p iot.Principal, name string, version int, c Change) (Endpoint, error) {
	const op = fault.Op("apimgmt.ChangeEndpoint")
	if err := m.drafts(ctx, p); err != nil {
		return Endpoint{}, err
	}
	now := m.d.Clock.Now().Truncate(time.Millisecond)
	e, err := m.d.Store.UpdateEndpoint(ctx, p.Tenant, name, version, func(e Endpoint) (Endpoint, error) {
		if c.Draft != nil {
			if e.State != Draft {
				return e, fault.E(op, fault.Conflict, fault.Subject(e.Label()), "what "+e.Label()+" asks for cannot be changed any more: publish a new version")
			}
			d := *c.Draft
			e.Kind, e.Query, e.Devices, e.Series, e.Parameters, e.MaxPage = d.Kind, d.Query, d.Devices, d.Series, d.Parameters, d.MaxPage
		}
		if c.Description != nil {
			e.Description = *c.Description
		}
		if c.State != nil {
			if stateOrder[*c.State] == 0 {
				return e, fault.E(op, fault.Invalid, fault.Subject(string(*c.State)), "state must be DRAFT, PUBLISHED, DEPRECATED or RETIRED")
			}
			if stateOrder[*c.State] < stateOrder[e.State] {
				return e, fault.E(op, fault.Conflict, fault.Subject(e.Label()), "a version that is "+string(e.State)+" cannot become "+string(*c.State))
			}
			if e.State = *c.State; e.State == Deprecated && e.Deprecated.IsZero() {
				e.Deprecated = now
			}
		}
		if c.Sunset != nil {
			if e.State != Deprecated {
				return e, fault.E(op, fault.Conflict, fault.Subject(e.Label()), "only a version that is DEPRECATED has a sunset")
			}
			e.Sunset = *c.Sunset
		}
		e.Updated = now
		return e, e.check()
	})
	if err != nil {
		return e, noEndpoint(op, name, version, err)
	}
	m.note(ctx, p, e, "Published endpoint changed")
	return e, nil
}

// DeleteEndpoint removes a draft or a retired version. It needs ROLE_APPLICATION_MANAGEMENT_ADMIN. Others are faults of kind Conflict.
func (m *Management) DeleteEndpoint(ctx context.Context, p iot.Principal, name string, version int) error {
	const op = fault.Op("apimgmt.DeleteEndpoint")
	if err := m.drafts(ctx, p); err != nil {
		return err
	}
	var gone Endpoint
	err := m.d.Store.DeleteEndpoint(ctx, p.Tenant, name, version, func(e Endpoint) error {
		if gone = e; e.State != Draft && e.State != Retired {
			return fault.E(op, fault.Conflict, fault.Subject(e.Label()), "a version that is "+string(e.State)+" is in use: retire it first")
		}
		return nil
	})
	if err != nil {
		return noEndpoint(op, name, version, err)
	}
	m.note(ctx, p, gone, "Published endpoint deleted")
	return nil
}
