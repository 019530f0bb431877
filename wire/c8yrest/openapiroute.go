package c8yrest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/security/access"
)

// need is the permission that a route asks for: a family of permissions by where the path begins, and a level.
type need struct {
	prefix string
	family access.Family // empty: none is asked for
}

// needs are the permissions of paths. The first prefix that fits counts, so the special ones come first. A test asks the server about each.
var needs = []need{
	{"/inventory/managedObjects/count", ""}, {"/inventory/binaries/", access.ManagedObject}, {"/inventory/binaries", access.Binary}, {"/inventory/managedObjects", access.ManagedObject},
	{"/identity/", access.Identity}, {"/measurement/", access.Measurement}, {"/isobar/publications", access.Measurement}, {"/isobar/ledgers", access.Measurement},
	{"/event/", access.Event}, {"/alarm/", access.Alarm}, {"/audit/", access.Audit},
	{"/devicecontrol/bulkoperations", access.BulkOperation}, {"/devicecontrol/bulkNewDeviceRequests/", access.UserAdmin}, {"/devicecontrol/newDeviceRequests/limit", ""},
	{"/devicecontrol/deviceCredentials", access.Bootstrap}, {"/devicecontrol/", access.Operation},
	{"/retention/", access.Retention}, {"/isobar/retention/", access.Retention}, {"/isobar/published", access.Application}, {"/notification2/", access.Notification},
	{"/isobar/mqtt/", access.Messaging}, {"/certificate-authority", access.TenantAdmin}, {"/application/currentApplication", ""}, {"/tenant/system/", ""},
	{"/tenant/options", access.Option}, {"/tenant/security-options", access.Option},
	{"/tenant/currentTenant", ""}, {"/tenant/statistics/files", access.TenantAdmin}, {"/tenant/statistics/allTenantsSummary", access.TenantAdmin}, {"/tenant/statistics", access.Statistics},
	{"/tenant/", access.TenantAdmin}, {"/isobar/tenants/", access.TenantAdmin}, {"/features/{feature}/", access.TenantAdmin},
	{"/user/currentUser", ""}, {"/user/logout/", access.UserAdmin}, {"/user/logout", ""}, {"/user/", access.UserAdmin}, {"/isobar/access/sessions", access.UserAdmin},
	{"/application/", access.Application},
}

// levels are the levels of routes where the method does not say it, by method and path.
var levels = map[string]access.Level{
	"POST /inventory/managedObjects": access.Create, "POST /inventory/binaries": access.Create,
	"GET /notification2/subscriptions": access.Admin, "GET /notification2/subscriptions/{id}": access.Admin,
	"POST /user/{tenant}/users": access.Create, "PUT /user/{tenant}/groups/{group}": access.Create, "DELETE /user/{tenant}/groups/{group}": access.Create,
	"POST /user/{tenant}/groups/{group}/roles": access.Create, "DELETE /user/{tenant}/groups/{group}/roles/{role}": access.Create,
	"POST /user/{tenant}/groups/{group}/users": access.Create, "DELETE /user/{tenant}/groups/{group}/users/{user}": access.Create,
	"POST /tenant/tenants": access.Create, "POST /tenant/statistics/files": access.Create, "GET /tenant/statistics/files": access.Admin, "GET /tenant/statistics/files/{id}": access.Admin,
	"GET /tenant/statistics/files/latest/{month}": access.Admin, "GET /features/{feature}/by-tenant": access.Admin, "GET /tenant/loginOptions/{id}": access.Admin,
	"GET /tenant/loginOptions/{id}/accessMappings": access.Admin, "GET /tenant/loginOptions/{id}/accessMappings/{mapping}": access.Admin,
	"GET /tenant/loginOptions/{id}/inventoryAccessMappings": access.Admin, "GET /tenant/loginOptions/{id}/inventoryAccessMappings/{mapping}": access.Admin,
	"GET /application/applications/{id}/bootstrapUser": access.Admin,
}

// free are routes below such paths that are open to everybody who has logged in: lists that show what one may read, and what has a secret of its own.
var free = map[string]bool{"GET /inventory/managedObjects": true, "GET /inventory/binaries": true, "POST /identity/search": true, "GET /notification2/token": true, "GET /tenant/tenants/{tenant}/tfa": true,
	"GET /application/applications": true, "GET /application/applications/{id}": true, "GET /application/applications/{id}/manifest": true, "GET /application/applications/{id}/versions": true,
	"GET /application/applications/{id}/versions/{version}": true, "GET /application/applicationsByUser/{user}": true, "GET /application/applicationsByTenant/{tenant}": true,
	"GET /application/applicationsByOwner/{tenant}": true, "GET /application/applicationsByName/{name}": true, "POST /tenant/trusted-certificates/verify-cert-chain": true}

// permissionsOf names the permissions that open a route everywhere, the usual one first; rights on single objects may do as well.
func permissionsOf(rt Route) []string {
	name := rt.Method + " " + rt.Path
	if rt.Access == Public || free[name] {
		return nil
	}
	if strings.HasPrefix(rt.Path, "/tenant/tenants/{tenant}/applications") && !strings.Contains(rt.Path, "restricted") && rt.Method != http.MethodGet {
		return slices.Concat(access.Application.Permissions(access.Admin), access.TenantAdmin.Permissions(access.Admin)) // the second for tenants below the own
	}
	if rt.Path == "/devicecontrol/newDeviceRequests/{id}" && rt.Method == http.MethodDelete {
		return access.UserAdmin.Permissions(access.Admin) // the account goes with it
	}
	level := levels[name]
	if level == 0 {
		if level = access.Admin; rt.Method == http.MethodGet {
			level = access.Read
		}
	}
	for _, n := range needs {
		if strings.HasPrefix(rt.Path, n.prefix) {
			if n.family == "" {
				return nil
			}
			return n.family.Permissions(level)
		}
	}
	return nil
}

// filter is a parameter of the query of a route.
type filter struct{ name, kind, text string }

// Filters that several collections have.
var (
	bySource  = filter{"source", "string", "Only what is about the managed object with this id."}
	byType    = filter{"type", "string", "Only what has this type."}
	from      = filter{"dateFrom", "date", "From this date-time on."}
	to        = filter{"dateTo", "date", "Before this date-time."}
	reverted  = filter{"revert", "boolean", "Turn the order of time round. Counts only together with dateFrom or dateTo."}
	fragment  = filter{"fragmentType", "string", "Only what has this fragment."}
	nested    = []filter{{"withSourceAssets", "boolean", "Also about the child assets of the source."}, {"withSourceDevices", "boolean", "Also about the child devices of the source."}, {"withSourceAdditions", "boolean", "Also about the child additions of the source."}, {"withSourceChildren", "boolean", "Also about all children of the source."}}
	documents = append([]filter{bySource, byType, from, to, {"createdFrom", "date", "Stored from this date-time on."}, {"createdTo", "date", "Stored before this date-time."}, {"lastUpdatedFrom", "date", "Changed from this date-time on."}, {"lastUpdatedTo", "date", "Changed before this date-time."}, reverted}, nested...)
	values    = []filter{bySource, byType, {"valueFragmentType", "string", "Only measurements with this fragment."}, {"valueFragmentSeries", "string", "Only measurements with this series in the fragment."}, from, to, reverted}
	alarms    = append([]filter{{"severity", "string", "Severities, separated by commas: CRITICAL, MAJOR, MINOR, WARNING."}, {"status", "string", "States, separated by commas: ACTIVE, ACKNOWLEDGED, CLEARED."}, {"resolved", "boolean", "true: only alarms that are CLEARED; false: only the others."}}, documents...)
	events    = append([]filter{fragment, {"fragmentValue", "string", "Only what has this value in the fragment of fragmentType."}}, documents...)
	jobs      = []filter{{"deviceId", "string", "Only operations of this device."}, {"agentId", "string", "Only operations of this agent and of the devices below it."}, {"status", "string", "PENDING, EXECUTING, SUCCESSFUL or FAILED."}, fragment, {"bulkOperationId", "string", "Only operations of this bulk operation."}, from, to, reverted}
	objects   = []filter{{"query", "string", "A condition in the query language, such as $filter=(name eq 'Pump*')."}, {"q", "string", "A condition like query, for devices only."}, byType, fragment, {"owner", "string", "Only what belongs to this user."}, {"ids", "string", "Ids, separated by commas, at most 2000."}, {"text", "string", "A word of the name, type, owner or an external id."},
		{"onlyRoots", "boolean", "Only what is no child of another object."}, {"childDeviceId", "string", "Only the parents of this child device."}, {"childAssetId", "string", "Only the parents of this child asset."}, {"childAdditionId", "string", "Only the parents of this child addition."}}
	views = []filter{{"withChildren", "boolean", "Show the children."}, {"withParents", "boolean", "Show the parents."}, {"withGroups", "boolean", "Show the groups that it is in."}, {"withChildrenCount", "boolean", "Show the number of children."}, {"skipChildrenNames", "boolean", "Leave the names of children out."}}
	apps  = []filter{{"type", "string", "Types, separated by commas: HOSTED, EXTERNAL, MICROSERVICE."}, {"name", "string", "The name."}, {"owner", "string", "The tenant that owns it."}, {"availability", "string", "MARKET, PRIVATE or SHARED."}, {"providedFor", "string", "A tenant that is subscribed to it."}, {"hasVersions", "boolean", "Only those with or without versions."}, {"noPaging", "boolean", "All on one page."}}
	who   = filter{"user", "string", "The name of the user."}
	ask   = []filter{{"action", "string", "READ, CREATE, UPDATE or DELETE."}, {"type", "string", "What it is about."}, {"object", "string", "The id of the managed object."}, {"fragments", "string", "Fragments, separated by commas."}}
)

// filters are the parameters of the query of routes, by method and path.
var filters = map[string][]filter{
	"GET /inventory/managedObjects": append(slices.Clone(objects), views...), "GET /inventory/managedObjects/count": objects, "GET /inventory/binaries": objects,
	"GET /inventory/managedObjects/{id}": views,
	"DELETE /inventory/managedObjects/{id}": {{"cascade", "boolean", "Also delete the children, where they have no other parent."}, {"forceCascade", "boolean", "Also delete all children."},
		{"withDeviceUser", "boolean", "Also delete the account of the device."}},
	"GET /measurement/measurements": values, "DELETE /measurement/measurements": values,
	"GET /measurement/measurements/series": {bySource, from, to, {"series", "strings", "Series as fragment.series. May be repeated; all without it."}, {"aggregationType", "string", "DAILY, HOURLY or MINUTELY."},
		{"aggregationInterval", "string", "The length of buckets, such as 5m, 1h or 1d."}, {"aggregationFunction", "strings", "min, max, avg, sum, count, first, last, stdDevPop, stdDevSamp or percentile with a number, as in percentile99.9."},
		{"timezone", "string", "The time zone of buckets, such as Europe/Berlin."}, {"maxPoints", "integer", "Thin out to so many points of each series."}, {"downsampling", "string", "How to thin out: lttb or minmax."}, {"revert", "boolean", "Newest first."}},
	"GET /measurement/measurements/latest": {{"source", "strings", "The ids of at most 1000 managed objects."}, {"series", "strings", "Series as fragment.series. May be repeated; all without it."}},
	"GET /event/events":                    events, "DELETE /event/events": events,
	"GET /alarm/alarms": append([]filter{{"query", "string", "An order of the query language, such as $orderby=time desc."}}, alarms...), "DELETE /alarm/alarms": alarms, "PUT /alarm/alarms": alarms, "GET /alarm/alarms/count": alarms,
	"POST /alarm/alarms/upsert":                  {{"incrementCount", "boolean", "Count one more. True without it."}},
	"GET /alarm/alarms/reports/downtimeDuration": {from, to}, "GET /alarm/alarms/reports/downtimeDuration/aggregation": {from, to}, "GET /alarm/alarms/reports/downtimeDuration/{id}": {from, to},
	"GET /devicecontrol/operations": jobs, "DELETE /devicecontrol/operations": jobs,
	"GET /devicecontrol/bulkoperations":   {{"generalStatus", "string", "States, separated by commas."}, {"withDeleted", "boolean", "Also those that were deleted."}, from, to},
	"GET /audit/auditRecords":             {bySource, byType, {"user", "string", "Only what this user did."}, {"application", "string", "Only what was done by this application."}, from, to, {"revert", "boolean", "Newest first. True without it."}},
	"GET /notification2/subscriptions":    {bySource, {"context", "string", "mo or tenant."}, {"subscription", "string", "The name of the subscription."}, {"typeFilter", "string", "The filter of types."}},
	"DELETE /notification2/subscriptions": {bySource, {"context", "string", "mo or tenant."}},
	"GET /notification2/token":            {{"token", "string", "The token."}}, "POST /notification2/unsubscribe": {{"token", "string", "The token of the subscriber."}},
	"GET /isobar/changes":         {bySource, {"author", "string", "Only what this user did."}, {"kind", "strings", "Only changes of managedobject, relation, option, alarm, event or operation. May be repeated or hold several, separated by commas."}, from, to},
	"GET /isobar/usage":           {from, to, {"kind", "string", "KEY, USER, APPLICATION or ENDPOINT."}, {"consumer", "string", "The consumer."}},
	"GET /isobar/publications":    {from, to, {"client", "string", "Only what this client sent."}, {"topic", "string", "Only what went to this topic."}},
	"GET /isobar/access/sessions": {who}, "GET /isobar/access/explain": append([]filter{who}, ask...), "GET /isobar/access/who": ask,
	"GET /application/applications": apps, "GET /application/applicationsByUser/{user}": apps, "GET /application/applicationsByTenant/{tenant}": apps, "GET /application/applicationsByOwner/{tenant}": apps, "GET /application/applicationsByName/{name}": apps,
	"DELETE /application/applications/{id}":             {{"force", "boolean", "Also if tenants are subscribed to it."}},
	"GET /user/{tenant}/users":                          {{"username", "string", "How the name begins."}, {"usernameContains", "string", "What the name contains."}, {"owner", "string", "The owner."}, {"groups", "string", "Ids of groups, separated by commas."}, {"onlyDevices", "boolean", "Only accounts of devices."}, {"withSubusersCount", "boolean", "Count those that each of them owns."}},
	"GET /tenant/tenants/{tenant}/trusted-certificates": {{"certificateAuthority", "boolean", "Only the authority of the tenant."}},
	"GET /tenant/statistics":                            {from, to}, "GET /tenant/statistics/summary": {from, to, {"tenant", "string", "The tenant."}}, "GET /tenant/statistics/allTenantsSummary": {from, to},
}

// schema is the parameter in the document.
func (f filter) schema() schema {
	out := schema{"name": f.name, "in": "query", "description": f.text, "schema": schema{"type": f.kind}}
	switch f.kind {
	case "date":
		out["schema"] = schema{"type": "string", "examples": []string{"2026-01-31T12:00:00.000Z"}}
	case "strings":
		out["schema"], out["explode"] = schema{"type": "array", "items": schema{"type": "string"}}, true
	}
	return out
}

// media are the bodies that are no JSON, by method and path.
var media = map[string]string{
	"POST /inventory/binaries": "multipart/form-data", "PUT /inventory/binaries/{id}": "application/octet-stream", "POST /devicecontrol/bulkNewDeviceRequests": "multipart/form-data",
	"POST /application/applications/{id}/binaries": "multipart/form-data", "POST /application/applications/{id}/binaries/files": "multipart/form-data",
	"POST /event/events/{id}/binaries": "multipart/form-data", "PUT /event/events/{id}/binaries": "application/octet-stream", "POST /s": "text/plain",
	"POST /tenant/oauth": "application/x-www-form-urlencoded", "POST /tenant/oauth/token": "application/x-www-form-urlencoded",
	"POST /.well-known/est/simpleenroll": "application/pkcs10", "POST /.well-known/est/simplereenroll": "application/pkcs10",
}

// mediaOf is the content of a body: that of a form names its parts.
func mediaOf(rt Route) schema {
	m := media[rt.Method+" "+rt.Path]
	switch m {
	case "":
		return schema{"application/json": schema{"schema": bodyOf(rt)}}
	case "multipart/form-data":
		file := schema{"type": "string", "contentMediaType": "application/octet-stream"}
		parts := schema{"file": file}
		if rt.Path == "/inventory/binaries" || strings.HasPrefix(rt.Path, "/event/") {
			parts["object"] = schema{"type": "string", "contentMediaType": "application/json", "description": "What is known of the file, such as its name and type."}
		}
		return schema{m: schema{"schema": schema{"type": "object", "properties": parts, "required": []string{"file"}}}}
	}
	return schema{m: schema{"schema": schema{"type": "string"}}}
}

// tables are the routes that answer with tables as well.
var tables = map[string]bool{"/measurement/measurements": true, "/measurement/measurements/series": true}
