package c8yrest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/platform/registry"
)

const publishedPath = "/isobar/published"

func publishedRoutes() []Route {
	const one, definition = publishedPath + "/{name}/{version}", publishedPath + "/{name}/{version}/definition"
	return []Route{get(publishedPath, listPublished), post(publishedPath, publishEndpoint), passing(get(one, callPublished)),
		get(definition, getDefinition), put(definition, changeDefinition), del(definition, deleteDefinition), get("/isobar/publishedApi.json", getPublishedAPI)}
}

// endpointOf reads the name and version of a path. What cannot be a version does not exist.
func (c *call) endpointOf() (name string, version int, err error) {
	name = c.r.PathValue("name")
	text, ok := strings.CutPrefix(c.r.PathValue("version"), "v")
	if version, err = strconv.Atoi(text); !ok || err != nil || version < 1 || text[0] == '+' || text[0] == '0' {
		return name, 0, fault.E(fault.Op("c8yrest.Published"), fault.NotFound, fault.Subject(clip(name)), "there is no published endpoint "+clip(name)+"/"+clip(c.r.PathValue("version")))
	}
	return name, version, nil
}

// endpointBody is a definition as clients write it; members that are missing are nil or empty.
type endpointBody struct {
	Name        *string              `json:"name"`
	Kind        apimgmt.QueryKind    `json:"kind"`
	State       *apimgmt.State       `json:"state"`
	Description *string              `json:"description"`
	Query       string               `json:"query"`
	OnlyDevices bool                 `json:"onlyDevices"`
	Series      *apimgmt.Series      `json:"series"`
	Parameters  *[]apimgmt.Parameter `json:"parameters"`
	MaxPage     *int                 `json:"maxPageSize"`
	Sunset      *string              `json:"sunset"`
}

func (c *call) endpointBody() (x endpointBody, sunset *time.Time, err error) {
	const op = fault.Op("c8yrest.Published")
	b, err := c.objectBody()
	if err != nil {
		return x, nil, err
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return x, nil, fault.E(op, fault.Invalid, "an endpoint has the texts name, kind, state, description, query and sunset, the list parameters of {name, type, default, description}, "+
			"series with source, aggregationInterval and the lists series and aggregationFunctions, the number maxPageSize, and onlyDevices, true or false")
	}
	if x.Sunset != nil {
		at, err := iot.ParseTime(*x.Sunset)
		if err != nil {
			return x, nil, fault.E(op, fault.Invalid, "sunset must be a date-time such as 2026-01-31T12:00:00.000Z")
		}
		sunset = &at
	}
	return x, sunset, nil
}

// endpoint returns the definition that a body holds, with the defaults of what it leaves out.
func (x endpointBody) endpoint() apimgmt.Endpoint {
	e := apimgmt.Endpoint{Kind: x.Kind, State: apimgmt.Draft, Query: x.Query, Devices: x.OnlyDevices, Series: x.Series, MaxPage: maxPage}
	if x.Name != nil {
		e.Name = *x.Name
	}
	if x.State != nil {
		e.State = *x.State
	}
	if x.Description != nil {
		e.Description = *x.Description
	}
	if x.Parameters != nil {
		e.Parameters = *x.Parameters
	}
	if x.MaxPage != nil {
		e.MaxPage = *x.MaxPage
	}
	return e
}

// checkSeries returns a fault unless the series of a definition can be asked for.
func (c *call) checkSeries(e apimgmt.Endpoint) error {
	if e.Kind != apimgmt.SeriesQuery || e.Series == nil {
		return nil
	}
	probe := *c
	probe.query = seriesQuery(*e.Series, "1", map[string][]string{"dateFrom": {"2026-01-01"}, "dateTo": {"2026-01-02"}})
	_, _, err := probe.aggregation()
	return err
}

func publishEndpoint(c *call) error {
	x, _, err := c.endpointBody()
	if err != nil {
		return err
	}
	if x.Name == nil {
		return missing("name")
	}
	if err := c.checkSeries(x.endpoint()); err != nil {
		return err
	}
	e, err := c.s.API.Publish(c.ctx, c.p, x.endpoint())
	if err != nil {
		return err
	}
	return c.storedEndpoint(http.StatusCreated, e)
}

func (c *call) storedEndpoint(status int, e apimgmt.Endpoint) error {
	location := ""
	if status == http.StatusCreated {
		location = c.base() + publishedPath + "/" + e.Label() + "/definition"
	}
	return c.stored(status, "", location, func() ([]byte, error) {
		var o object
		c.writeEndpoint(&o, e)
		return o.b, nil
	})
}

func changeDefinition(c *call) error {
	name, version, err := c.endpointOf()
	if err != nil {
		return err
	}
	x, sunset, err := c.endpointBody()
	if err != nil {
		return err
	}
	change := apimgmt.Change{State: x.State, Description: x.Description, Sunset: sunset}
	if x.Kind != "" || x.Query != "" || x.Series != nil || x.Parameters != nil || x.MaxPage != nil {
		e := x.endpoint()
		if err := c.checkSeries(e); err != nil {
			return err
		}
		change.Draft = &e
	}
	e, err := c.s.API.ChangeEndpoint(c.ctx, c.p, name, version, change)
	if err != nil {
		return err
	}
	return c.storedEndpoint(http.StatusOK, e)
}

func deleteDefinition(c *call) error {
	name, version, err := c.endpointOf()
	if err != nil {
		return err
	}
	if err := c.s.API.DeleteEndpoint(c.ctx, c.p, name, version); err != nil {
		return err
	}
	return c.noContent()
}

func getDefinition(c *call) error {
	name, version, err := c.endpointOf()
	if err != nil {
		return err
	}
	e, err := c.s.API.Endpoint(c.ctx, c.p, name, version)
	if err != nil {
		return err
	}
	var o object
	c.writeEndpoint(&o, e)
	return c.json(http.StatusOK, "", o.b)
}

func listPublished(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	all, err := c.s.API.Endpoints(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = len(all)
	return c.collection("", "endpoints", p, func(o *object) error {
		for _, e := range cut(p, all) {
			c.writeEndpoint(o, e)
		}
		return nil
	})
}

func (c *call) writeEndpoint(o *object, e apimgmt.Endpoint) {
	path := c.base() + publishedPath + "/" + e.Label()
	o.open()
	o.text("name", e.Name)
	o.int("version", int64(e.Version))
	o.text("kind", string(e.Kind))
	o.text("state", string(e.State))
	o.text("self", path+"/definition")
	o.text("endpoint", path)
	o.some("description", e.Description)
	if e.Kind == apimgmt.InventoryQuery {
		o.text("query", e.Query)
		o.bool("onlyDevices", e.Devices)
		o.int("maxPageSize", int64(e.MaxPage))
	}
	if s := e.Series; s != nil {
		o.begin("series")
		o.text("source", s.Source)
		o.raw("series", iot.AppendTexts(nil, s.Series))
		o.text("aggregationInterval", s.Interval)
		o.raw("aggregationFunctions", iot.AppendTexts(nil, s.Functions))
		o.some("timezone", s.Zone)
		o.close()
	}
	o.list("parameters")
	for _, p := range e.Parameters {
		o.open()
		o.text("name", p.Name)
		o.text("type", string(p.Type))
		if p.Default != nil {
			o.text("default", *p.Default)
		}
		o.some("description", p.Description)
		o.close()
	}
	o.endList()
	o.text("owner", string(e.Owner))
	o.time("creationTime", e.Created)
	o.time("lastUpdated", e.Updated)
	if !e.Sunset.IsZero() {
		o.time("sunset", e.Sunset)
	}
	o.close()
}

// seriesQuery is the request for series that an endpoint stands for. Values stay values: nothing is put together as text.
func seriesQuery(s apimgmt.Series, source string, given map[string][]string) map[string][]string {
	q := map[string][]string{"source": {source}, "series": s.Series, "aggregationInterval": {s.Interval}, "aggregationFunction": s.Functions}
	if s.Zone != "" {
		q["timezone"] = []string{s.Zone}
	}
	for _, name := range []string{"dateFrom", "dateTo", "revert"} {
		if v, ok := given[name]; ok {
			q[name] = v
		}
	}
	return q
}

// callPublished answers with what an endpoint asks for, as far as the caller may read it.
func callPublished(c *call) error {
	name, version, err := c.endpointOf()
	if err != nil {
		return err
	}
	x, err := c.s.API.Call(c.ctx, c.p, name, version, func(name string) (string, bool) { return c.query.Get(name), c.query.Has(name) })
	if x.Endpoint.Version != 0 { // also refused calls of what there is count
		c.endpoint = x.Endpoint.Label()
	}
	if err != nil {
		return err
	}
	c.announce(x.Endpoint)
	if x.Endpoint.Kind == apimgmt.SeriesQuery {
		c.query = seriesQuery(*x.Endpoint.Series, x.Source, c.query)
		return getSeries(c)
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	p.size = min(p.size, x.Endpoint.MaxPage)
	q := registry.Query{Query: x.Query, OnlyDevices: x.Endpoint.Devices, Offset: p.offset(), Limit: p.size, Count: p.count()}
	objects, n, err := c.s.Registry.List(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("managedobjectcollection", "managedObjects", p, func(o *object) error {
		for _, mo := range objects {
			writeObject(o, c.base(), mo, refs{})
		}
		return nil
	})
}

// announce tells that a version ends: RFC 9745 and RFC 8594.
func (c *call) announce(e apimgmt.Endpoint) {
	if e.State != apimgmt.Deprecated {
		return
	}
	c.w.Header().Set("Deprecation", "@"+strconv.FormatInt(e.Deprecated.Unix(), 10))
	if !e.Sunset.IsZero() {
		c.w.Header().Set("Sunset", e.Sunset.UTC().Format(http.TimeFormat))
	}
}

// getPublishedAPI is the OpenAPI document of the tenant: all that the server answers to, and the published endpoints that the caller may call.
func getPublishedAPI(c *call) error {
	all, err := c.s.API.Endpoints(c.ctx, c.p)
	if err != nil {
		return err
	}
	b, err := OpenAPI(c.s.Version, c.base(), all...)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "", b)
}

var parameterSchemas = map[apimgmt.ParameterType]schema{apimgmt.TextType: {"type": "string", "maxLength": 1000}, apimgmt.NumberType: {"type": "number"}, apimgmt.BooleanType: {"type": "boolean"},
	apimgmt.DateTimeType: {"type": "string", "format": "date-time"}, apimgmt.IDType: {"type": "string", "pattern": "^[0-9]+$"}}

// publishedOperation describes a published endpoint.
func publishedOperation(e apimgmt.Endpoint) schema {
	var params []schema
	for _, p := range e.Parameters {
		s := maps.Clone(parameterSchemas[p.Type])
		if p.Default != nil {
			s["default"] = *p.Default
			if p.Type == apimgmt.NumberType || p.Type == apimgmt.BooleanType {
				s["default"] = json.RawMessage(*p.Default)
			}
		}
		param := schema{"name": p.Name, "in": "query", "required": p.Default == nil, "schema": s}
		if p.Description != "" {
			param["description"] = p.Description
		}
		params = append(params, param)
	}
	use := func(names ...string) {
		for _, n := range names {
			params = append(params, schema{"$ref": "#/components/parameters/" + n})
		}
	}
	answer, permission := ref("SeriesTable"), "ROLE_MEASUREMENT_READ"
	if e.Kind == apimgmt.InventoryQuery {
		answer, permission = pageOf("managedObjects", "ManagedObject"), "ROLE_INVENTORY_READ"
		use("pageSize", "currentPage", "withTotalPages", "withTotalElements")
	} else {
		for _, name := range []string{"dateFrom", "dateTo"} {
			params = append(params, schema{"name": name, "in": "query", "required": true, "schema": schema{"type": "string"}})
		}
	}
	failure := schema{"$ref": "#/components/responses/Error"}
	op := schema{"operationId": "published_" + strings.ReplaceAll(e.Name, "-", "_") + "_v" + strconv.Itoa(e.Version), "summary": "Call " + e.Label(), "tags": []string{"published endpoints"}, "parameters": params,
		"responses":  schema{"200": schema{"description": "Done.", "content": schema{"application/json": schema{"schema": answer}}}, "401": failure, "403": failure, "410": failure, "default": failure},
		"deprecated": e.State == apimgmt.Deprecated, "x-isobar-permissions": []string{"ROLE_APPLICATION_MANAGEMENT_READ", permission}}
	if e.Description != "" {
		op["description"] = e.Description
	}
	return op
}
