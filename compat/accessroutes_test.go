package compat_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/isobar-iot/isobar/compat/internal/oracle"
	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// The ways in which routes ask the oracle.
type decide = func(w *oracle.World, u oracle.User, x map[string]string) verdict

func anybody(*oracle.World, oracle.User, map[string]string) verdict   { return allow }
func undecided(*oracle.World, oracle.User, map[string]string) verdict { return open }

// holds: one of these permissions is needed.
func holds(permissions ...string) decide {
	return func(_ *oracle.World, u oracle.User, _ map[string]string) verdict { return iff(u.Has(permissions...)) }
}

// or: where the first does not allow, the texts leave it open for who holds one of these.
func or(d decide, permissions ...string) decide {
	return func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		if v := d(w, u, x); v == allow || !u.Has(permissions...) {
			return v
		}
		return open
	}
}

// at asks about a kind at an object that has a name.
func at(a oracle.Action, k oracle.Kind, name string, fragments ...string) decide {
	return func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		kind := k
		if k == oracle.ManagedObject {
			kind = w.KindOf(x[name])
		}
		return iff(w.May(u, a, kind, x[name], fragments))
	}
}

// lists: decision 9.
func lists(k oracle.Kind) decide {
	return func(w *oracle.World, u oracle.User, _ map[string]string) verdict { return iff(w.MayList(u, k)) }
}

// sweep is a change of many documents of the device at once: the permission, or the owner (decision 6); inventory roles are left open (5.8
// names only the permission).
func sweep(a oracle.Action, k oracle.Kind) decide {
	return func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		switch {
		case w.May(oracle.User{Name: u.Name, Permissions: u.Permissions}, a, k, x["dev"], nil):
			return allow
		case len(w.Covered(u, a, k, x["dev"])) > 0:
			return open
		}
		return deny
	}
}

const (
	mos    = "/inventory/managedObjects"
	custom = "isb_Custom"
)

// spare makes an object like the device, in the same place, and its data.
func spare() func(m *matrix) map[string]string {
	return func(m *matrix) map[string]string {
		o := m.object("owner", "isb_Type", "c8y_IsDevice", "c8y_RequiredAvailability", custom)
		m.place(o)
		return map[string]string{"spare": o.ID}
	}
}

// stranger makes an object that hangs nowhere.
func stranger(owner string) func(m *matrix) map[string]string {
	return func(m *matrix) map[string]string {
		return map[string]string{"spare": m.object(owner, "isb_Type", custom).ID}
	}
}

// another makes another document of the device.
func another(k oracle.Kind) func(m *matrix) map[string]string {
	return func(m *matrix) map[string]string { return map[string]string{"spare": m.document(k, m.dev, custom).ID} }
}

// made tells the oracle of an object that a request made: who owns one may see lists (decision 9).
func made(m *matrix, p *person, a rig.Answer) {
	var o rig.Object
	if json.Unmarshal(a.Body, &o) == nil && o.ID != "" {
		m.world.Objects[o.ID] = &oracle.Object{ID: o.ID, Owner: p.Name}
	}
}

// routeRules are the rules of all routes. Those of accounts come last: they change passwords and end sessions of the people who ask.
func routeRules() []rule {
	var out []rule
	for _, g := range [][]rule{rootRules(), inventoryRules(), childRules(), dataRules(), deviceRules(), userRules(), groupRules(), grantRules(), tenantRules(), applicationRules(), certificateRules(), topicRules(), loginRules(), usageRules(), featureRules(), changeRules(), apiRules(), retentionRules(), publishedRules(), notificationRules(), accountRules()} {
		out = append(out, g...)
	}
	return out
}

func rootRules() []rule {
	var out []rule
	for _, path := range []string{"platform", "features", "application", "alarm", "audit", "devicecontrol", "event", "identity", "inventory", "measurement", "tenant", "user"} {
		out = append(out, rule{route: "GET /" + path, may: anybody}) // 5.8: be lenient
	}
	return out
}

func inventoryRules() []rule {
	const one = mos + "/{dev}"
	patch := `{"isb_Custom":{"n":{n}}}`
	read, change := at(oracle.Read, oracle.ManagedObject, "dev"), at(oracle.Change, oracle.ManagedObject, "dev")
	readID, changeID := at(oracle.Read, oracle.Identity, "dev"), at(oracle.Change, oracle.Identity, "dev")
	bin := []string{"Content-Type", "text/plain"}
	return []rule{
		{route: "POST " + mos, body: `{"name":"made"}`, done: made, may: at(oracle.Create, oracle.ManagedObject, "")},
		{route: "GET " + mos, may: anybody},
		{route: "PUT " + mos, body: `{"managedObjects":[{"id":"{dev}","isb_Custom":{"n":{n}}}]}`, may: change},
		{route: "PUT " + mos, body: `{"managedObjects":[{"id":"{dev}","isb_Custom":{"n":{n}}},{"id":"{foreign}","isb_Custom":{"n":{n}}}]}`, may: at(oracle.Change, oracle.ManagedObject, "foreign")},
		{route: "GET " + mos + "/count", may: anybody},
		{route: "GET " + mos + "/{id}", request: one, may: read},
		{route: "GET " + mos + "/{id}", request: mos + "/{foreign}", may: at(oracle.Read, oracle.ManagedObject, "foreign")},
		{route: "GET " + mos + "/{id}", request: mos + "/{global}", may: at(oracle.Read, oracle.ManagedObject, "global")},
		{route: "GET " + mos + "/{id}", request: mos + "/{bin}", may: at(oracle.Read, oracle.ManagedObject, "bin")},
		{route: "PUT " + mos + "/{id}", request: one, body: patch, may: change},
		{route: "PUT " + mos + "/{id}", request: mos + "/{foreign}", body: patch, may: at(oracle.Change, oracle.ManagedObject, "foreign")},
		{route: "PUT " + mos + "/{id}", request: mos + "/{global}", body: patch, may: at(oracle.Change, oracle.ManagedObject, "global")},
		{route: "PUT " + mos + "/{id}", request: mos + "/{bin}", body: `{"name":"f{n}"}`, may: at(oracle.Change, oracle.ManagedObject, "bin")},
		{route: "DELETE " + mos + "/{id}", request: mos + "/{spare}", make: spare(), may: at(oracle.Delete, oracle.ManagedObject, "spare")},
		{route: "GET " + mos + "/{id}/availability", request: one + "/availability", may: read},
		{route: "GET " + mos + "/{id}/supportedMeasurements", request: one + "/supportedMeasurements", may: read},
		{route: "GET " + mos + "/{id}/supportedSeries", request: one + "/supportedSeries", may: read},
		{route: "GET " + mos + "/{id}/kpis", request: one + "/kpis", may: read},
		{route: "GET " + mos + "/{id}/user", request: one + "/user", may: read},
		{route: "PUT " + mos + "/{id}/user", request: mos + "/{machine}/user", body: `{"enabled":true}`, may: func(w *oracle.World, u oracle.User, x map[string]string) verdict {
			if v := at(oracle.Change, oracle.ManagedObject, "machine")(w, u, x); v == deny || !u.Has("ROLE_INVENTORY_UPDATE") {
				return v
			}
			return open // 5.8 does not name UPDATE here
		}},
		{route: "GET " + mos + "/{id}/history", request: one + "/history", may: read},
		{route: "GET " + mos + "/{id}/deviceParents", request: one + "/deviceParents", may: read},
		{route: "GET " + mos + "/{id}/assetParents", request: one + "/assetParents", may: read},
		{route: "GET " + mos + "/{id}/additionParents", request: one + "/additionParents", may: read},

		{route: "POST /inventory/binaries", body: "x", header: bin, done: made, may: at(oracle.Create, oracle.Binary, "")},
		{route: "GET /inventory/binaries", may: anybody},
		{route: "GET /inventory/binaries/{id}", request: "/inventory/binaries/{bin}", may: at(oracle.Read, oracle.Binary, "bin")},
		{route: "PUT /inventory/binaries/{id}", request: "/inventory/binaries/{bin}", body: "y", header: bin, may: at(oracle.Change, oracle.Binary, "bin")},
		{route: "DELETE /inventory/binaries/{id}", request: "/inventory/binaries/{spare}", may: at(oracle.Delete, oracle.Binary, "spare"),
			make: func(m *matrix) map[string]string { return map[string]string{"spare": m.binary("owner").ID} }},

		{route: "GET /identity/globalIds/{id}/externalIds", request: "/identity/globalIds/{dev}/externalIds", may: readID},
		{route: "POST /identity/globalIds/{id}/externalIds", request: "/identity/globalIds/{dev}/externalIds", body: `{"type":"isb_T","externalId":"n{n}"}`, may: changeID},
		{route: "GET /identity/externalIds/{type}/{external}", request: "/identity/externalIds/{ext}", may: readID},
		{route: "DELETE /identity/externalIds/{type}/{external}", request: "/identity/externalIds/{spare}", may: changeID,
			make: func(m *matrix) map[string]string { return map[string]string{"spare": m.external(m.dev)} }},
		{route: "POST /identity/search", body: `{"externalIds":[{"type":"isb_Serial","externalId":"nobody"}]}`, may: func(_ *oracle.World, u oracle.User, _ map[string]string) verdict {
			if u.Has("ROLE_IDENTITY_READ") {
				return allow
			}
			return open // 5.8 names the permission; an answer that shows only what is one's own would tell no more than the other routes
		}},
	}
}

func childRules() []rule {
	var out []rule
	for _, kind := range childKinds {
		path := mos + "/{dev}/" + kind
		link := func(w *oracle.World, u oracle.User, x map[string]string) verdict {
			return iff(w.MayLink(u, x["dev"], x["spare"], kind))
		}
		linked := func(m *matrix) map[string]string { // the object of somebody else below the device
			o := m.object("admin", "isb_Type", custom)
			m.link(m.dev, o, kind)
			return map[string]string{"spare": o.ID}
		}
		unlink := func(w *oracle.World, u oracle.User, x map[string]string) verdict {
			return iff(w.MayUnlink(u, x["dev"], x["spare"]))
		}
		out = append(out,
			rule{route: "GET " + mos + "/{id}/" + kind, request: path, may: at(oracle.Read, oracle.ManagedObject, "dev")},
			rule{route: "POST " + mos + "/{id}/" + kind, request: path, body: `{"managedObject":{"id":"{spare}"}}`, make: spare(), may: link},
			rule{route: "POST " + mos + "/{id}/" + kind, request: path, body: `{"references":[{"managedObject":{"id":"{spare}"}}]}`, make: stranger("admin"), may: link},
			rule{route: "POST " + mos + "/{id}/" + kind, request: mos + "/{foreign}/" + kind, body: `{"managedObject":{"id":"{spare}"}}`, make: stranger("owner"), may: func(w *oracle.World, u oracle.User, x map[string]string) verdict {
				return iff(w.MayLink(u, x["foreign"], x["spare"], kind)) // decision 4
			}},
			rule{route: "POST " + mos + "/{id}/" + kind, request: path, body: `{"name":"made below"}`, header: []string{"Content-Type", "application/vnd.com.nsn.cumulocity.managedobject+json"}, done: made,
				may: func(w *oracle.World, u oracle.User, x map[string]string) verdict {
					create := w.May(u, oracle.Create, oracle.ManagedObject, "", nil)
					return iff(create && (kind != "childAdditions" || w.MayObject(u, oracle.Change, x["dev"])))
				}},
			rule{route: "DELETE " + mos + "/{id}/" + kind, request: path, body: `{"references":[{"managedObject":{"id":"{spare}"}}]}`, make: linked, may: unlink},
			rule{route: "GET " + mos + "/{id}/" + kind + "/{child}", request: path + "/{child}", hidden: true, may: func(w *oracle.World, u oracle.User, x map[string]string) verdict {
				return iff(w.MayObject(u, oracle.Read, x["dev"]) && w.MayObject(u, oracle.Read, x["child"]))
			}},
			rule{route: "DELETE " + mos + "/{id}/" + kind + "/{child}", request: path + "/{spare}", make: linked, may: unlink},
		)
	}
	return out
}

func dataRules() []rule {
	var out []rule
	add := func(route, request, body string, may decide) {
		out = append(out, rule{route: route, request: request, body: body, may: may})
	}
	with := func(route, request, body string, k oracle.Kind, may decide) {
		out = append(out, rule{route: route, request: request, body: body, may: may, make: another(k)})
	}
	sweeps := func(route, request, body string, may decide, elsewhere int) {
		out = append(out, rule{route: route, request: request, body: body, may: may, elsewhere: elsewhere})
	}
	common := `{"source":{"id":"{dev}"},"type":"isb_{n}","time":"2024-06-01","isb_Custom":{"a":{"value":{n}}}`
	for _, x := range []struct {
		kind       oracle.Kind
		more       string
		put, count bool
	}{{oracle.Measurement, "", false, false}, {oracle.Event, `,"text":"x"`, true, false}, {oracle.Alarm, `,"text":"x","severity":"MAJOR"`, true, true}} {
		k, path := x.kind, resources[x.kind].path
		add("POST "+path, "", common+x.more+"}", at(oracle.Create, k, "dev", custom))
		add("POST "+path, "", common+x.more+`,"isb_Uncovered":{"a":{"value":1}}}`, at(oracle.Create, k, "dev", custom, "isb_Uncovered"))
		add("GET "+path, "", "", lists(k))
		sweeps("DELETE "+path, path+"?source={dev}&dateFrom=2090-01-01", "", sweep(oracle.Delete, k), 204)
		add("GET "+path+"/{id}", path+"/{"+string(k)+"}", "", at(oracle.Read, k, "dev", custom))
		if x.put {
			add("PUT "+path+"/{id}", path+"/{"+string(k)+"}", `{"text":"y{n}"}`, at(oracle.Change, k, "dev", custom))
		}
		if k != oracle.Alarm {
			with("DELETE "+path+"/{id}", path+"/{spare}", "", k, at(oracle.Delete, k, "dev", custom))
		}
	}
	const m, e, a = "/measurement/measurements", "/event/events", "/alarm/alarms"
	series := m + "/series?source={dev}&dateFrom=2024-01-01&dateTo=2025-01-01"
	add("GET "+m+"/series", series+"&series=isb_Custom.v", "", at(oracle.Read, oracle.Measurement, "dev", custom))
	add("GET "+m+"/series", series, "", func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		if v := at(oracle.Read, oracle.Measurement, "dev")(w, u, x); v == allow || len(w.Covered(u, oracle.Read, oracle.Measurement, x["dev"])) == 0 {
			return v
		}
		return open // refused, or without what is not covered
	})
	// Our own: newest values; of what is covered in part only the covered ones, or nothing.
	latest := m + "/latest?source={dev}"
	add("GET "+m+"/latest", latest+"&series=isb_Custom.v", "", at(oracle.Read, oracle.Measurement, "dev", custom))
	add("GET "+m+"/latest", latest, "", func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		if v := at(oracle.Read, oracle.Measurement, "dev")(w, u, x); v == allow || len(w.Covered(u, oracle.Read, oracle.Measurement, x["dev"])) == 0 {
			return v
		}
		return open
	})
	// Our own: how complete the data of a device is, for who may read its measurements.
	add("GET /isobar/ledgers/{id}", "/isobar/ledgers/{dev}", "", at(oracle.Read, oracle.Measurement, "dev"))
	add("GET /isobar/ledgers", "", "", or2(holds("ROLE_MEASUREMENT_READ")))
	// Our own: publications as they came in, for who may read all data and the options.
	add("GET /isobar/publications", "", "", func(_ *oracle.World, u oracle.User, _ map[string]string) verdict {
		return iff(u.Has("ROLE_MEASUREMENT_READ") && u.Has("ROLE_EVENT_READ") && u.Has("ROLE_ALARM_READ") && u.Has("ROLE_OPTION_MANAGEMENT_READ"))
	})
	file := []string{"Content-Type", "text/plain"}
	read, change := at(oracle.Read, oracle.Event, "dev", custom), at(oracle.Change, oracle.Event, "dev", custom)
	attached := func(m *matrix) map[string]string {
		x := another(oracle.Event)(m)
		m.admin.Want(m.t, 201, "POST", e+"/"+x["spare"]+"/binaries", "content", nil)
		return x
	}
	out = append(out,
		rule{route: "POST " + e + "/{id}/binaries", request: e + "/{spare}/binaries", body: "x", header: file, make: another(oracle.Event), may: change},
		rule{route: "PUT " + e + "/{id}/binaries", request: e + "/{spare}/binaries", body: "x", header: file, make: attached, may: change},
		rule{route: "GET " + e + "/{id}/binaries", request: e + "/{spare}/binaries", make: attached, may: read},
		rule{route: "DELETE " + e + "/{id}/binaries", request: e + "/{spare}/binaries", make: attached, may: change},
	)
	sweeps("PUT "+a, a+"?source={dev}&status=CLEARED", `{"status":"CLEARED"}`, sweep(oracle.Change, oracle.Alarm), 200)
	add("POST "+a+"/upsert", "", `{"source":{"id":"{dev}"},"type":"isb_{n}","time":"2024-06-01","text":"x","severity":"MAJOR","isb_Custom":{}}`, at(oracle.Create, oracle.Alarm, "dev", custom))
	add("GET "+a+"/count", "", "", or2(lists(oracle.Alarm)))
	down, month := a+"/reports/downtimeDuration", "?dateFrom=2024-01-01&dateTo=2024-02-01"
	add("GET "+down, down+month, "", or2(lists(oracle.Alarm)))
	add("GET "+down+"/aggregation", down+"/aggregation"+month, "", or2(lists(oracle.Alarm)))
	add("GET "+down+"/{id}", down+"/{dev}"+month, "", at(oracle.Read, oracle.Alarm, "dev"))
	// 5.8, decision 6: the owner writes records and reads none
	add("GET /audit/auditRecords", "", "", lists(oracle.Audit))
	add("POST /audit/auditRecords", "", `{"type":"t","activity":"x","text":"y","time":"2024-01-01"}`, holds("ROLE_AUDIT_ADMIN"))
	add("POST /audit/auditRecords", "", `{"type":"t","activity":"x","text":"y","time":"2024-01-01","source":{"id":"{dev}"}}`, at(oracle.Create, oracle.Audit, "dev"))
	add("GET /audit/auditRecords/{id}", "/audit/auditRecords/{audit}", "", at(oracle.Read, oracle.Audit, "dev"))
	return out
}

// or2 leaves open what is not allowed: counts without the permission may be refused or zero.
func or2(d decide) decide {
	return func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		if d(w, u, x) == allow {
			return allow
		}
		return open
	}
}

func deviceRules() []rule {
	const op, req = "/devicecontrol/operations", "/devicecontrol/newDeviceRequests"
	read, admin := holds("ROLE_DEVICE_CONTROL_READ"), holds("ROLE_DEVICE_CONTROL_ADMIN")
	request := func(m *matrix) map[string]string {
		id := fmt.Sprint("spare", m.next())
		m.admin.Want(m.t, 201, "POST", req, map[string]string{"id": id}, nil)
		return map[string]string{"spare": id}
	}
	const bulk = "/devicecontrol/bulkoperations"
	bulkRead, bulkAdmin := holds("ROLE_BULK_OPERATION_READ"), holds("ROLE_BULK_OPERATION_ADMIN")
	plan := func(m *matrix) map[string]string {
		var made struct{ ID int }
		m.admin.Want(m.t, 201, "POST", bulk, map[string]any{"groupId": m.names["dev"], "startDate": "2090-01-01", "creationRamp": 1, "operationPrototype": map[string]any{"c8y_Restart": map[string]any{}}}, &made)
		return map[string]string{"spare": fmt.Sprint(made.ID)}
	}
	return []rule{
		{route: "POST " + op, body: `{"deviceId":"{dev}","isb_Custom":{}}`, may: at(oracle.Create, oracle.Operation, "dev", custom)},
		{route: "GET " + op, may: lists(oracle.Operation)},
		{route: "DELETE " + op, request: op + "?deviceId={dev}&dateFrom=2090-01-01", may: sweep(oracle.Delete, oracle.Operation), elsewhere: 204},
		{route: "GET " + op + "/{id}", request: op + "/{operation}", may: at(oracle.Read, oracle.Operation, "dev", custom)},
		{route: "PUT " + op + "/{id}", request: op + "/{spare}", body: `{"status":"EXECUTING"}`, make: another(oracle.Operation), may: at(oracle.Change, oracle.Operation, "dev", custom)},
		{route: "POST " + req, body: `{"id":"made{n}"}`, may: admin},
		{route: "GET " + req, may: read},
		{route: "POST " + req + "/acceptAll", may: admin},
		{route: "PUT " + req + "/acceptAll", may: admin},
		{route: "GET " + req + "/limit", may: or2(read)},
		{route: "GET " + req + "/{id}", request: req + "/{spare}", make: request, may: read},
		{route: "PUT " + req + "/{id}", request: req + "/{spare}", body: `{"status":"ACCEPTED"}`, make: request, may: admin},
		{route: "DELETE " + req + "/{id}", request: req + "/{spare}", make: request, may: holds("ROLE_USER_MANAGEMENT_ADMIN")},
		{route: "POST /s", body: `61,none{n}`, may: anybody, elsewhere: 200}, // each line is a request of its own, which the rules of its route decide
		{route: "POST /devicecontrol/bulkNewDeviceRequests", body: "ID\nfile{n}\n", may: admin},
		{route: "DELETE /devicecontrol/bulkNewDeviceRequests/{id}", request: "/devicecontrol/bulkNewDeviceRequests/{spare}", make: request, may: holds("ROLE_USER_MANAGEMENT_ADMIN")},
		{route: "GET " + bulk, may: bulkRead},
		{route: "POST " + bulk, body: `{"groupId":"{dev}","startDate":"2090-01-01","creationRamp":1,"operationPrototype":{"c8y_Restart":{}}}`,
			may: func(w *oracle.World, u oracle.User, x map[string]string) verdict {
				return iff(u.Has("ROLE_BULK_OPERATION_ADMIN") && w.May(u, oracle.Read, w.KindOf(x["dev"]), x["dev"], nil))
			}},
		{route: "GET " + bulk + "/{id}", request: bulk + "/{spare}", make: plan, may: bulkRead},
		{route: "PUT " + bulk + "/{id}", request: bulk + "/{spare}", body: `{"note":"n{n}"}`, make: plan, may: bulkAdmin},
		{route: "DELETE " + bulk + "/{id}", request: bulk + "/{spare}", make: plan, may: bulkAdmin},
		{route: "POST /devicecontrol/deviceCredentials", body: `{"id":"none{n}"}`, elsewhere: 403, may: func(_ *oracle.World, u oracle.User, _ map[string]string) verdict {
			if u.Has("ROLE_DEVICE_BOOTSTRAP") {
				return open // 404 until it is accepted
			}
			return deny
		}},
	}
}

const manager = "ROLE_USER_MANAGEMENT_CREATE" // of a hierarchy: what they may depends on who is below them

func accountRules() []rule {
	ownRead, ownAdmin := holds("ROLE_USER_MANAGEMENT_OWN_READ"), holds("ROLE_USER_MANAGEMENT_OWN_ADMIN")
	read := or(holds("ROLE_USER_MANAGEMENT_READ"), manager)
	return []rule{
		{route: "GET /user/currentUser", may: ownRead},
		{route: "PUT /user/currentUser", body: `{"firstName":"F{n}"}`, may: ownAdmin},
		{route: "PUT /user/currentUser/password", body: `{"currentUserPassword":"` + personPassword + `","newPassword":"` + personPassword + `"}`, may: ownAdmin, elsewhere: anyStatus, ends: true},
		{route: "GET /user/roles", may: read},
		{route: "GET /user/roles/{role}", request: "/user/roles/ROLE_ALARM_READ", may: read},
		{route: "POST /user/logout", may: anybody, ends: true},
		{route: "POST /user/logout/{tenant}/allUsers", request: "/user/logout/main/allUsers", ends: true, may: holds("ROLE_USER_MANAGEMENT_ADMIN")},
	}
}

// spareUser makes a user without anything.
func spareUser(m *matrix) map[string]string {
	name := fmt.Sprint("spare", m.next())
	m.admin.Want(m.t, 201, "POST", "/user/main/users", map[string]string{"userName": name, "email": name + "@main.example"}, nil)
	m.admin.Want(m.t, 201, "POST", "/user/main/users/"+name+"/roles", map[string]any{"role": map[string]string{"self": "/user/roles/ROLE_SMS_READ"}}, nil)
	return map[string]string{"spare": name}
}

func userRules() []rule {
	const u = "/user/{tenant}/users"
	const us, one = "/user/main/users", "/user/main/users/{spare}"
	read, admin := or(holds("ROLE_USER_MANAGEMENT_READ"), manager), or(holds("ROLE_USER_MANAGEMENT_ADMIN"), manager)
	out := []rule{
		{route: "GET " + u, request: us, may: holds("ROLE_USER_MANAGEMENT_READ", manager)},
		{route: "POST " + u, request: us, body: `{"userName":"made{n}","email":"made{n}@main.example"}`, may: holds("ROLE_USER_MANAGEMENT_ADMIN", manager)},
		{route: "POST " + u + "/{user}/roles", request: one + "/roles", body: `{"role":{"self":"/user/roles/ROLE_SMS_ADMIN"}}`, may: admin},
		{route: "PUT " + u + "/{user}", request: one, body: `{"firstName":"F{n}"}`, may: admin},
		{route: "PUT " + u + "/{user}/password", request: one + "/password", body: `{"newPassword":"Compat-Other-{n}!"}`, may: admin},
		{route: "PUT " + u + "/{user}/tfa", request: one + "/tfa", body: `{"tfaEnforced":false}`, may: admin},
		{route: "DELETE " + u + "/{user}/roles/{role}", request: one + "/roles/ROLE_SMS_READ", may: admin},
		{route: "DELETE " + u + "/{user}", request: one, may: admin},
		{route: "GET /user/{tenant}/userByName/{user}", request: "/user/main/userByName/{spare}", may: read},
	}
	for _, sub := range []string{"", "/tfa", "/groups", "/roles"} {
		out = append(out, rule{route: "GET " + u + "/{user}" + sub, request: one + sub, may: read})
	}
	for i := range out {
		if out[i].request != us {
			out[i].make = spareUser
		}
	}
	return out
}

func groupRules() []rule {
	const g, gs, one = "/user/{tenant}/groups", "/user/main/groups", "/user/main/groups/{spare}"
	read, admin := or(holds("ROLE_USER_MANAGEMENT_READ"), manager), or(holds("ROLE_USER_MANAGEMENT_ADMIN"), manager)
	role, user := `{"role":{"self":"/user/roles/ROLE_SMS_ADMIN"}}`, `{"user":{"self":"/user/main/users/owner"}}`
	out := []rule{
		{route: "GET " + g, request: gs, may: holds("ROLE_USER_MANAGEMENT_READ", manager)},
		{route: "POST " + g, request: gs, body: `{"name":"made{n}"}`, may: admin},
		{route: "GET " + g + "/{group}", request: one, may: read},
		{route: "PUT " + g + "/{group}", request: one, body: `{"name":"other{n}"}`, may: admin},
		{route: "DELETE " + g + "/{group}", request: one, may: admin},
		{route: "GET /user/{tenant}/groupByName/{name}", request: "/user/main/groupByName/{name}", may: read},
		{route: "GET " + g + "/{group}/roles", request: one + "/roles", may: read},
		{route: "POST " + g + "/{group}/roles", request: one + "/roles", body: role, may: admin},
		{route: "DELETE " + g + "/{group}/roles/{role}", request: one + "/roles/ROLE_SMS_READ", may: admin},
		{route: "GET " + g + "/{group}/users", request: one + "/users", may: read},
		{route: "POST " + g + "/{group}/users", request: one + "/users", body: user, may: admin},
		{route: "DELETE " + g + "/{group}/users/{user}", request: one + "/users/nothing", may: admin},
	}
	for i := range out {
		if out[i].request != gs {
			out[i].make = func(m *matrix) map[string]string {
				id, name := fmt.Sprint(m.group([]string{"ROLE_SMS_READ"})), ""
				var group struct{ Name string }
				m.admin.Want(m.t, 200, "GET", "/user/main/groups/"+id, nil, &group)
				name = group.Name
				m.admin.Want(m.t, 201, "POST", "/user/main/groups/"+id+"/users", map[string]any{"user": map[string]string{"self": "/user/main/users/nothing"}}, nil)
				return map[string]string{"spare": id, "name": name}
			}
		}
	}
	return out
}

func grantRules() []rule {
	const r, as = "/user/inventoryroles", "/user/{tenant}/users/{user}/roles/inventory"
	read, admin := or(holds("ROLE_USER_MANAGEMENT_READ"), manager), or(holds("ROLE_USER_MANAGEMENT_ADMIN"), manager)
	role := func(m *matrix) map[string]string {
		return map[string]string{"spare": fmt.Sprint(m.inventoryRole("EVENT:*:READ"))}
	}
	assigned := func(m *matrix) map[string]string {
		p := &person{User: oracle.User{Name: spareUser(m)["spare"]}}
		return map[string]string{"spare": p.Name, "assignment": fmt.Sprint(m.assign(p, m.names["foreign"], "EVENT:*:READ"))}
	}
	const one = "/user/main/users/{spare}/roles/inventory"
	questions := "action=read&type=inventory&object={dev}"
	return []rule{
		{route: "GET " + r, may: holds("ROLE_USER_MANAGEMENT_READ", manager)},
		{route: "POST " + r, body: `{"name":"made{n}","permissions":[{"scope":"EVENT","type":"*","permission":"READ"}]}`, may: holds("ROLE_USER_MANAGEMENT_ADMIN")},
		{route: "GET " + r + "/{role}", request: r + "/{spare}", make: role, may: read},
		{route: "PUT " + r + "/{role}", request: r + "/{spare}", body: `{"name":"other{n}"}`, make: role, may: holds("ROLE_USER_MANAGEMENT_ADMIN")},
		{route: "DELETE " + r + "/{role}", request: r + "/{spare}", make: role, may: holds("ROLE_USER_MANAGEMENT_ADMIN")},
		{route: "GET " + as, request: one, make: assigned, may: read},
		{route: "POST " + as, request: one, body: `{"managedObject":"{dev}","roles":[{"id":1}]}`, make: assigned, may: admin},
		{route: "GET " + as + "/{assignment}", request: one + "/{assignment}", make: assigned, may: read},
		{route: "PUT " + as + "/{assignment}", request: one + "/{assignment}", body: `{"roles":[{"id":1}]}`, make: assigned, may: admin},
		{route: "DELETE " + as + "/{assignment}", request: one + "/{assignment}", make: assigned, may: admin},
		{route: "GET /user/devicePermissions/{id}", request: "/user/devicePermissions/{dev}", may: holds("ROLE_USER_MANAGEMENT_READ", manager)},
		{route: "PUT /user/devicePermissions/{id}", request: "/user/devicePermissions/{foreign}", body: `{"users":[],"groups":[]}`, may: admin},
		// Our own: everybody may ask about themselves, who reads users about others.
		{route: "GET /isobar/access/explain", request: "/isobar/access/explain?user=nothing&" + questions, may: func(_ *oracle.World, u oracle.User, _ map[string]string) verdict {
			if u.Name == "nothing" || u.Has(manager) {
				return open
			}
			return iff(u.Has("ROLE_USER_MANAGEMENT_READ"))
		}},
		{route: "GET /isobar/access/who", request: "/isobar/access/who?" + questions, may: read},
		{route: "POST /isobar/access/whatif", body: `{"user":{"userName":"nothing","roles":["ROLE_ALARM_READ"]}}`, elsewhere: 404, may: func(_ *oracle.World, u oracle.User, _ map[string]string) verdict {
			if u.Has("ROLE_USER_MANAGEMENT_READ", "ROLE_USER_MANAGEMENT_ADMIN", manager) {
				return open
			}
			return deny
		}},
	}
}

func tenantRules() []rule {
	const o = "/tenant/options"
	read, admin := holds("ROLE_OPTION_MANAGEMENT_READ"), holds("ROLE_OPTION_MANAGEMENT_ADMIN")
	option := func(m *matrix) map[string]string {
		key := fmt.Sprint("k", m.next())
		m.admin.Want(m.t, 200, "POST", o, map[string]string{"category": "compat", "key": key, "value": m.mark}, nil)
		return map[string]string{"spare": key}
	}
	return []rule{
		{route: "GET /tenant/currentTenant", may: holds("ROLE_USER_MANAGEMENT_OWN_READ")},
		{route: "GET /tenant/tenants", may: holds("ROLE_TENANT_MANAGEMENT_READ")},
		{route: "GET /tenant/tenants/{tenant}", request: "/tenant/tenants/main", may: or2(holds("ROLE_NONE")), elsewhere: 200},
		// who holds the permission may in a tenant that may have tenants below it
		{route: "POST /tenant/tenants", body: `{"company":"c{n}","domain":"t{n}.example","adminName":"a","adminEmail":"a@t{n}.example"}`, elsewhere: anyStatus,
			may: refusable(holds("ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_CREATE"))},
		{route: "PUT /tenant/tenants/{tenant}", request: "/tenant/tenants/none", body: `{"contactName":"c{n}"}`, hidden: true, elsewhere: 404,
			may: refusable(holds("ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_UPDATE"))},
		{route: "DELETE /tenant/tenants/{tenant}", request: "/tenant/tenants/none", hidden: true, elsewhere: 404, may: refusable(holds("ROLE_TENANT_MANAGEMENT_ADMIN"))},
		{route: "GET /isobar/tenants/receipts", may: refusable(holds("ROLE_TENANT_MANAGEMENT_READ", "ROLE_TENANT_MANAGEMENT_ADMIN"))},
		{route: "GET /tenant/loginOptions", public: true},
		{route: "GET /tenant/loginOptions/{id}", request: "/tenant/loginOptions/OAUTH2_INTERNAL", may: undecided},
		{route: "POST /tenant/oauth", public: true},
		{route: "POST /tenant/oauth/token", public: true},
		{route: "GET " + o, may: read},
		{route: "POST " + o, body: `{"category":"compat","key":"made{n}","value":"v"}`, may: admin},
		{route: "GET " + o + "/{category}", request: o + "/compat", may: read},
		{route: "PUT " + o + "/{category}", request: o + "/compat", body: `{"made{n}":"v"}`, may: admin},
		{route: "GET " + o + "/{category}/{key}", request: o + "/compat/{spare}", make: option, may: read},
		{route: "PUT " + o + "/{category}/{key}", request: o + "/compat/{spare}", body: `{"value":"w"}`, make: option, may: admin, elsewhere: 200}, // it makes its own
		{route: "DELETE " + o + "/{category}/{key}", request: o + "/compat/{spare}", make: option, may: admin},
		{route: "GET /tenant/system/options", may: anybody},
		{route: "GET /tenant/system/options/{category}/{key}", request: "/tenant/system/options/system/version", may: anybody},
	}
}

// loginRules: 4.7, 4.8, 15.1, 15.2 and the matrix of 5.8.
func loginRules() []rule {
	const u, one, opt = "/user/{tenant}/users/{user}", "/user/main/users/{spare}", "/tenant/loginOptions"
	ownRead, ownAdmin, admin := holds("ROLE_USER_MANAGEMENT_OWN_READ"), holds("ROLE_USER_MANAGEMENT_OWN_ADMIN"), or(holds("ROLE_USER_MANAGEMENT_ADMIN"), manager)
	login := holds("ROLE_TENANT_ADMIN", "ROLE_TENANT_MANAGEMENT_ADMIN")
	var out []rule
	for _, list := range []string{"accessMappings", "inventoryAccessMappings"} { // 4.8
		read := refusable(holds("ROLE_TENANT_ADMIN", "ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_READ", "ROLE_USER_MANAGEMENT_READ", "ROLE_USER_MANAGEMENT_ADMIN", manager))
		path := opt + "/none/" + list
		out = append(out,
			rule{route: "GET " + opt + "/{id}/" + list, request: path, may: read, elsewhere: anyStatus},
			rule{route: "POST " + opt + "/{id}/" + list, request: path, body: `{}`, may: refusable(login), elsewhere: anyStatus},
			rule{route: "GET " + opt + "/{id}/" + list + "/{mapping}", request: path + "/1", may: read, elsewhere: anyStatus},
			rule{route: "PUT " + opt + "/{id}/" + list + "/{mapping}", request: path + "/1", body: `{}`, may: refusable(login), elsewhere: anyStatus},
			rule{route: "DELETE " + opt + "/{id}/" + list + "/{mapping}", request: path + "/1", may: refusable(login), elsewhere: anyStatus},
		)
	}
	return append(out, []rule{
		{route: "POST /user/passwordReset", public: true},
		{route: "PUT /user/passwordReset", public: true},
		{route: "GET /user/passwordReset/validate", public: true},
		{route: "PUT /user/currentUserPhone", body: `{"phone":"+49123{n}"}`, may: ownAdmin},
		// 5.8 gives the secret to OWN_READ; that a change needs OWN_ADMIN is as good a reading
		{route: "POST /user/currentUser/totpSecret", may: both(ownRead, ownAdmin), elsewhere: anyStatus},
		{route: "POST /user/currentUser/totpSecret/verify", body: `{"code":"1"}`, may: refusable(ownRead), elsewhere: anyStatus},
		{route: "POST /user/currentUser/totpSecret/activity", body: `{"isActive":false}`, may: refusable(ownRead), elsewhere: anyStatus},
		{route: "GET /user/currentUser/totpSecret/activity", may: refusable(ownRead), elsewhere: anyStatus},
		{route: "DELETE " + u + "/totpSecret/revoke", request: one + "/totpSecret/revoke", make: spareUser, may: admin},
		{route: "GET /tenant/tenants/{tenant}/tfa", request: "/tenant/tenants/main/tfa", elsewhere: 200, may: holds("ROLE_TENANT_MANAGEMENT_READ", "ROLE_USER_MANAGEMENT_READ", "ROLE_USER_MANAGEMENT_OWN_READ")},
		{route: "PUT /tenant/tenants/{tenant}/tfa", request: "/tenant/tenants/main/tfa", body: `{"strategy":"TOTP"}`, elsewhere: anyStatus, may: holds("ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_UPDATE")},
		{route: "PUT " + u + "/owner", request: one + "/owner", body: `{"owner":"nothing"}`, make: spareUser, may: admin},
		{route: "DELETE " + u + "/owner", request: one + "/owner", make: spareUser, may: admin},
		{route: "PUT " + u + "/delegatedby", request: one + "/delegatedby", body: `{"delegatedBy":"nothing"}`, make: spareUser, may: admin},
		{route: "DELETE " + u + "/delegatedby", request: one + "/delegatedby", make: spareUser, may: admin},
		{route: "POST " + opt, body: `{"type":"BASIC"}`, may: login, elsewhere: anyStatus},
		{route: "PUT " + opt + "/{id}", request: opt + "/none", body: `{}`, may: refusable(login), elsewhere: 404},
		{route: "DELETE " + opt + "/{id}", request: opt + "/none", may: refusable(login), elsewhere: 404},
		{route: "GET /tenant/oauth", public: true},
		{route: "GET /isobar/access/sessions", may: holds("ROLE_USER_MANAGEMENT_OWN_READ", "ROLE_USER_MANAGEMENT_READ")},
		{route: "DELETE /isobar/access/sessions/{id}", request: "/isobar/access/sessions/none", may: undecided, elsewhere: 404},
	}...)
}

// both: certain for who satisfies both, and for who satisfies none; open between.
func both(a, b decide) decide {
	return func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		if v := a(w, u, x); v == b(w, u, x) {
			return v
		}
		return open
	}
}

// refusable is for requests that fail for who may make them: who may not must be refused, the others get any answer.
func refusable(d decide) decide {
	return func(w *oracle.World, u oracle.User, x map[string]string) verdict {
		if d(w, u, x) == allow {
			return open
		}
		return deny
	}
}

// certificateRules: 11.2 of the reference: ROLE_TENANT_ADMIN or ROLE_TENANT_MANAGEMENT_ADMIN. The management reaches those of all tenants, to end
// that one holds the certificate of another.
func certificateRules() []rule {
	const certs, pop = "/tenant/tenants/main/trusted-certificates", "/tenant/tenants/main/trusted-certificates-pop/none"
	const route, routePop = "/tenant/tenants/{tenant}/trusted-certificates", "/tenant/tenants/{tenant}/trusted-certificates-pop/{fingerprint}"
	admin := holds("ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_ADMIN")
	read := holds("ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_ADMIN", "ROLE_TENANT_MANAGEMENT_READ")
	const crl, ca, est = "/tenant/trusted-certificates/settings/crl", "/certificate-authority", "/.well-known/est"
	stranger := func(*oracle.World, oracle.User, map[string]string) verdict { return deny } // without a one-time password or a certificate
	return []rule{
		{route: "POST " + ca, hidden: true, may: refusable(admin), elsewhere: anyStatus}, // the second one is told that there is one
		{route: "POST " + ca + "/renew", hidden: true, may: refusable(admin), elsewhere: anyStatus},
		{route: "POST " + est + "/simpleenroll", body: "MIIB", public: true, may: stranger, elsewhere: 401},
		{route: "POST " + est + "/simplereenroll", body: "MIIB", may: func(_ *oracle.World, u oracle.User, _ map[string]string) verdict {
			if strings.HasPrefix(u.Name, "device_") {
				return open // the body is no request
			}
			return deny
		}, elsewhere: 403},
		{route: "POST /devicecontrol/deviceAccessToken", public: true, may: stranger, elsewhere: 401},
		{route: "GET " + crl, may: read},
		{route: "PUT " + crl, body: `{"crls":[{"serialNumberInHex":"a{n}"}]}`, may: admin},
		{route: "POST /tenant/trusted-certificates/verify-cert-chain", body: "none", may: undecided, elsewhere: 400},
		{route: "GET " + route, request: certs, may: read, elsewhere: 200},
		{route: "POST " + route, request: certs, body: `{"certInPemFormat":"none"}`, may: admin, elsewhere: 422},
		{route: "POST " + route + "/bulk", request: certs + "/bulk", body: `{"certificates":[{"certInPemFormat":"none"}]}`, may: admin, elsewhere: 422},
		{route: "GET " + route + "/{fingerprint}", request: certs + "/none", hidden: true, may: refusable(read), elsewhere: 404},
		{route: "PUT " + route + "/{fingerprint}", request: certs + "/none", body: `{"name":"n"}`, hidden: true, may: refusable(admin), elsewhere: 404},
		{route: "DELETE " + route + "/{fingerprint}", request: certs + "/none", hidden: true, may: refusable(admin), elsewhere: 404},
		{route: "POST " + routePop + "/verification-code", request: pop + "/verification-code", hidden: true, may: refusable(admin), elsewhere: 404},
		{route: "POST " + routePop + "/pop", request: pop + "/pop", body: `{"proofOfPossessionSignedVerificationCode":"x"}`, hidden: true, may: refusable(admin), elsewhere: 404},
		{route: "POST " + routePop + "/confirmed", request: pop + "/confirmed", hidden: true, may: refusable(admin), elsewhere: 404},
	}
}

// changeRules: our own. A list shows the changes of what one may read; a set of which one may read nothing does not exist.
func changeRules() []rule {
	return []rule{
		{route: "GET /isobar/changes", may: anybody},
		{route: "GET /isobar/changes/{set}", request: "/isobar/changes/none", may: undecided, elsewhere: 404},
		{route: "POST /isobar/changes/{set}/undo", request: "/isobar/changes/none/undo", may: undecided, elsewhere: 404},
	}
}

// apiRules: our own. Everybody manages keys of one's own who may change one's own account; administrators see and end those of others.
func apiRules() []rule {
	const keys = "/isobar/apiKeys"
	own, manage := holds("ROLE_USER_MANAGEMENT_OWN_ADMIN"), holds("ROLE_USER_MANAGEMENT_ADMIN", "ROLE_USER_MANAGEMENT_OWN_ADMIN")
	return []rule{
		{route: "GET " + keys, may: holds("ROLE_USER_MANAGEMENT_READ", "ROLE_USER_MANAGEMENT_OWN_READ")},
		{route: "POST " + keys, body: `{"name":"k{n}","scopes":[{"resource":"ALARM","verb":"READ"}]}`, elsewhere: 201, may: func(w *oracle.World, u oracle.User, x map[string]string) verdict {
			return iff(own(w, u, x) == allow && u.Has("ROLE_ALARM_READ"))
		}},
		{route: "GET " + keys + "/{key}", request: keys + "/none", may: undecided, elsewhere: 404},
		{route: "DELETE " + keys + "/{key}", request: keys + "/none", hidden: true, may: refusable(manage), elsewhere: 404},
		{route: "POST " + keys + "/{key}/rotation", request: keys + "/none/rotation", hidden: true, may: refusable(own), elsewhere: 404},
		{route: "GET /isobar/openapi.json", public: true},
		{route: "GET /isobar/reference", public: true},
		{route: "GET /isobar/reference.css", public: true},
		{route: "GET /isobar/reference.js", public: true},
		{route: "GET /isobar/usage", may: holds("ROLE_TENANT_STATISTICS_READ", "ROLE_USER_MANAGEMENT_OWN_READ")},
	}
}

// retentionRules: 19. The preview is our own.
func retentionRules() []rule {
	const r = "/retention/retentions"
	read, admin := holds("ROLE_RETENTION_RULE_READ"), refusable(holds("ROLE_RETENTION_RULE_ADMIN"))
	return []rule{
		{route: "GET " + r, may: read},
		{route: "POST " + r, body: `{"dataType":"EVENT","maximumAge":3650}`, may: holds("ROLE_RETENTION_RULE_ADMIN"), elsewhere: 201},
		{route: "GET " + r + "/{id}", request: r + "/99999", may: refusable(read), hidden: true, elsewhere: 404},
		{route: "PUT " + r + "/{id}", request: r + "/99999", body: `{"maximumAge":3650}`, may: admin, hidden: true, elsewhere: 404},
		{route: "DELETE " + r + "/{id}", request: r + "/99999", may: admin, hidden: true, elsewhere: 404},
		{route: "GET /isobar/retention/preview", may: read},
		{route: "POST /isobar/retention/run", may: admin, elsewhere: 202},
		{route: "GET /isobar/retention/run", may: read},
	}
}

// publishedRules: our own. An endpoint shows nothing that its caller may not read anyway, so that it needs only the permission to call one.
func publishedRules() []rule {
	const all = "/isobar/published"
	call, publish := holds("ROLE_APPLICATION_MANAGEMENT_READ", "ROLE_APPLICATION_MANAGEMENT_ADMIN"), holds("ROLE_APPLICATION_MANAGEMENT_ADMIN")
	return []rule{
		{route: "GET " + all, may: call},
		{route: "POST " + all, body: `{"name":"q{n}","kind":"INVENTORY","query":"$filter=has(a)"}`, elsewhere: 201, may: publish},
		{route: "GET " + all + "/{name}/{version}", request: all + "/none/v1", may: refusable(call), elsewhere: 404},
		{route: "GET " + all + "/{name}/{version}/definition", request: all + "/none/v1/definition", may: refusable(call), elsewhere: 404},
		{route: "PUT " + all + "/{name}/{version}/definition", request: all + "/none/v1/definition", body: `{"description":"d"}`, may: refusable(publish), elsewhere: 404},
		{route: "DELETE " + all + "/{name}/{version}/definition", request: all + "/none/v1/definition", may: refusable(publish), elsewhere: 404},
		{route: "GET /isobar/publishedApi.json", may: call},
	}
}

// notificationRules: section 21. The token is the credential of who unsubscribes.
func notificationRules() []rule {
	const root = "/notification2"
	const subs, token = root + "/subscriptions", root + "/token"
	admin := holds("ROLE_NOTIFICATION_2_ADMIN")
	another := func(m *matrix) map[string]string {
		var sub struct{ ID string }
		m.admin.Want(m.t, 201, "POST", subs, map[string]any{"context": "mo", "source": map[string]string{"id": m.dev.ID}, "subscription": fmt.Sprint("spare", m.next())}, &sub)
		return map[string]string{"spare": sub.ID}
	}
	return []rule{
		{route: "GET " + root, may: anybody},
		{route: "GET " + subs, may: admin},
		{route: "POST " + subs, body: `{"context":"tenant","subscription":"matrix{n}"}`, may: admin, elsewhere: 201},
		{route: "POST " + subs, body: `{"context":"mo","source":{"id":"{dev}"},"subscription":"matrix{n}"}`, may: admin},
		{route: "DELETE " + subs, request: subs + "?source={dev}", may: admin, elsewhere: 204},
		{route: "GET " + subs + "/{id}", request: subs + "/{spare}", make: another, may: admin},
		{route: "DELETE " + subs + "/{id}", request: subs + "/{spare}", make: another, may: admin},
		{route: "POST " + token, body: `{"subscription":"matrix","subscriber":"someone"}`, may: admin, elsewhere: 200},
		{route: "GET " + token, request: token + "?token=none", may: undecided, elsewhere: 401},
		{route: "POST " + root + "/unsubscribe", request: root + "/unsubscribe?token=none", may: undecided, elsewhere: 401},
	}
}

func topicRules() []rule {
	const route = "/isobar/mqtt/topicRules"
	return []rule{
		{route: "GET " + route, may: holds("ROLE_MQTT_SERVICE_READ", "ROLE_MQTT_SERVICE_ADMIN")},
		{route: "PUT " + route, body: `{"rules":[]}`, may: holds("ROLE_MQTT_SERVICE_ADMIN")},
	}
}

// usageRules: 16.4 and the descriptions of the operations.
func usageRules() []rule {
	const s = "/tenant/statistics"
	read := holds("ROLE_TENANT_STATISTICS_READ")
	files := refusable(holds("ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_CREATE"))
	return []rule{
		{route: "GET " + s, may: read},
		{route: "GET " + s + "/summary", may: holds("ROLE_TENANT_STATISTICS_READ", "ROLE_INVENTORY_READ", "ROLE_MANAGED_OBJECT_READ")},
		{route: "GET " + s + "/allTenantsSummary", may: holds("ROLE_TENANT_MANAGEMENT_READ")},
		{route: "GET " + s + "/device/{tenant}/daily/{date}", request: s + "/device/main/daily/2020-01-01", may: read, elsewhere: anyStatus},
		{route: "GET " + s + "/device/{tenant}/monthly/{date}", request: s + "/device/main/monthly/2020-01-01", may: read, elsewhere: anyStatus},
		{route: "GET " + s + "/files", may: files, elsewhere: 200},
		{route: "POST " + s + "/files", body: `{"dateFrom":"2020-01-01","dateTo":"2020-01-02"}`, may: files, elsewhere: 201},
		{route: "GET " + s + "/files/{id}", request: s + "/files/none", may: files, hidden: true, elsewhere: 404},
		{route: "GET " + s + "/files/latest/{month}", request: s + "/files/latest/2020-01-01", may: files, hidden: true, elsewhere: 404},
	}
}

// featureRules: 18, and the descriptions of the operations on restricted roles, options and login options.
func featureRules() []rule {
	const f, one, roles = "/features/{feature}", "/features/statistics.devices", "/tenant/tenants/{tenant}/applications/restricted-roles"
	const main = "/tenant/tenants/main/applications/restricted-roles"
	admin := holds("ROLE_TENANT_MANAGEMENT_ADMIN")
	management := func(*oracle.World, oracle.User, map[string]string) verdict { return deny } // nobody of this tenant
	read := refusable(holds("ROLE_TENANT_MANAGEMENT_READ", "ROLE_TENANT_ADMIN"))
	change := refusable(holds("ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_UPDATE", "ROLE_TENANT_ADMIN"))
	return []rule{
		{route: "GET " + f, request: one, may: anybody},
		{route: "GET " + f + "/by-tenant", request: one + "/by-tenant", may: management, elsewhere: anyStatus},
		{route: "PUT " + f + "/by-tenant", request: one + "/by-tenant", body: `{"active":true}`, may: admin, elsewhere: anyStatus},
		{route: "DELETE " + f + "/by-tenant", request: one + "/by-tenant", may: admin, elsewhere: anyStatus},
		{route: "PUT " + f + "/by-tenant/{tenant}", request: one + "/by-tenant/management", body: `{"active":true}`, may: management, elsewhere: anyStatus},
		{route: "DELETE " + f + "/by-tenant/{tenant}", request: one + "/by-tenant/management", may: management, elsewhere: anyStatus},
		{route: "GET " + roles, request: main, may: read, elsewhere: anyStatus},
		{route: "PUT " + roles, request: main, body: `["ROLE_ALARM_READ"]`, may: change, elsewhere: anyStatus},
		{route: "POST " + roles + "/{role}", request: main + "/ROLE_AUDIT_READ", may: change, elsewhere: anyStatus},
		{route: "DELETE " + roles + "/{role}", request: main + "/ROLE_AUDIT_READ", may: change, hidden: true, elsewhere: anyStatus},
		{route: "PUT /tenant/options/{category}/{key}/editable", request: "/tenant/options/none/none/editable", body: `{"editable":true}`, may: management, elsewhere: anyStatus},
		{route: "PUT /tenant/loginOptions/{id}/restrict", request: "/tenant/loginOptions/none/restrict", body: `{"onlyManagementTenantAccess":true}`, may: management, elsewhere: anyStatus},
		{route: "GET /tenant/security-options/{category}/{key}", request: "/tenant/security-options/none/none", may: refusable(holds("ROLE_OPTION_MANAGEMENT_READ")), hidden: true, elsewhere: anyStatus},
	}
}
