package c8yrest

import (
	"net/http"
	"strings"
)

// template is one link of an API resource: c8y: SDKs replace {placeholders}, so that their names, misspelled ones too, are part of the contract.
type template struct{ key, path string }

// root is an API resource: where things are.
type root struct {
	name, media string
	templates   []template
	// collections have a link of their own inside: {"measurements": null, "self": ...}
	collections []template
}

var roots = []root{
	{"alarm", "alarmapi", by("alarm/alarms", "alarmsFor", "Source:source Status:status SourceAndStatus:source,status SourceAndStatusAndTime:source,status,dateFrom,dateTo StatusAndTime:status,dateFrom,dateTo SourceAndTime:source,dateFrom,dateTo Time:dateFrom,dateTo"),
		[]template{{"alarms", "alarm/alarms"}}},
	{"audit", "auditapi", by("audit/auditRecords", "auditRecordsFor", "Application:application Type:type User:user TypeAndApplication:type,application UserAndApplication:user,application UserAndType:user,type TypeAndUserAndApplication:type,user,application"),
		[]template{{"auditRecords", "audit/auditRecords"}}},
	{"deviceControl", "devicecontrolapi", by("devicecontrol/operations", "operationsBy", "Status:status AgentId:agentId AgentIdAndStatus:agentId,status DeviceId:deviceId DeviceIdAndStatus:deviceId,status"),
		[]template{{"operations", "devicecontrol/operations"}, {"newDeviceRequests", "devicecontrol/newDeviceRequests"}}},
	{"event", "eventapi", by("event/events", "eventsFor", "Source:source SourceAndType:source,type Type:type FragmentType:fragmentType Time:dateFrom,dateTo SourceAndTime:source,dateFrom,dateTo"),
		[]template{{"events", "event/events"}}},
	{"identity", "identityapi", []template{{"externalId", "identity/externalIds/{type}/{externaId}"}, {"externalIdsOfGlobalId", "identity/globalIds/{globalId}/externalIds"}}, nil},
	{"inventory", "inventoryapi", by("inventory/managedObjects", "managedObjectsFor", "Type:type FragmentType:fragmentType ListOfIds:ids"), []template{{"managedObjects", "inventory/managedObjects"}}},
	{"measurement", "measurementapi", by("measurement/measurements", "measurementsFor", "Source:source SourceAndType:source,type Type:type ValueFragmentType:valueFragmentType Date:dateFrom,dateTo "+
		"SourceAndDate:source,dateFrom,dateTo DateAndFragmentType:dateFrom,dateTo,fragmentType SourceAndValueFragmentTypeAndValueFragmentSeries:source,valueFragmentType,valueFragmentSeries"),
		[]template{{"measurements", "measurement/measurements"}}},
	{"tenant", "tenantapi", []template{{"tenantForId", "tenant/tenants/{tenantId}"}, {"tenantApplications", "tenant/tenants/{tenantId}/applications"},
		{"tenantApplicationForId", "tenant/tenants/{tenantId}/applications/{applicationId}"}, {"tenantOptionsForCategory", "tenant/options/{category}"},
		{"tenantOptionForCategoryAndKey", "tenant/options/{category}/{key}"}, {"tenantSystemOptions", "tenant/system/options"},
		{"tenantSystemOptionsForCategoryAndKey", "tenant/system/options/{category}/{key}"}}, []template{{"options", "tenant/options"}, {"tenants", "tenant/tenants"}}},
	{"user", "userapi", []template{{"users", "user/{realm}/users"}, {"userByName", "user/{realm}/userByName/{userName}"}, {"currentUser", "user/currentUser"}, {"roles", "user/roles"},
		{"groups", "user/{realm}/groups"}, {"groupByName", "user/{realm}/groupByName/{groupName}"}}, nil},
	{"application", "applicationapi", []template{{"applications", "application/applications"}, {"applicationById", "application/applications/{id}"},
		{"applicationsByName", "application/applicationsByName/{name}"}, {"applicationsByTenant", "application/applicationsByTenant/{tenantId}"},
		{"applicationsByOwner", "application/applicationsByOwner/{tenantId}"}, {"applicationsByUser", "application/applicationsByUser/{username}"}}, nil},
}

// by builds templates with query parameters: "Source:source" gives <prefix>Source = <path>?source={source}.
func by(path, prefix, list string) []template {
	var out []template
	for item := range strings.FieldsSeq(list) {
		name, params, _ := strings.Cut(item, ":")
		var q []string
		for p := range strings.SplitSeq(params, ",") {
			q = append(q, p+"={"+p+"}")
		}
		out = append(out, template{prefix + name, path + "?" + strings.Join(q, "&")})
	}
	return out
}

func (c *call) writeRoot(o *object, r root) {
	o.open()
	o.text("self", c.base()+"/"+strings.ToLower(r.name))
	for _, x := range r.collections {
		o.begin(x.key)
		o.raw(x.key, []byte("null"))
		o.text("self", c.base()+"/"+x.path)
		o.close()
	}
	for _, t := range r.templates {
		o.text(t.key, c.base()+"/"+t.path)
	}
	o.close()
}

func platform(c *call) error {
	var o object
	o.open()
	o.text("self", c.base()+"/platform")
	for _, r := range roots {
		if r.name == "application" { // c8y: not part of it
			continue
		}
		o.key(r.name)
		c.writeRoot(&o, r)
	}
	o.close()
	return c.json(http.StatusOK, "platformapi", o.b)
}

func apiRoot(c *call) error {
	for _, r := range roots {
		if "/"+strings.ToLower(r.name) == c.route.Path {
			var o object
			c.writeRoot(&o, r)
			return c.json(http.StatusOK, r.media, o.b)
		}
	}
	return unknown.handle(c)
}
