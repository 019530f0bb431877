package compat_test

import "fmt"

// applicationRules: 17.1 and the matrix of 5.8.
func applicationRules() []rule {
	const app, one, cur, ten = "/application/applications", "/application/applications/{id}", "/application/currentApplication", "/tenant/tenants/{tenant}/applications"
	const spared = app + "/{spare}"
	// 5.8 names APPLICATION_MANAGEMENT_READ "or explicit access"; the switcher of applications shows everybody those of the tenant.
	apps := or2(holds("ROLE_APPLICATION_MANAGEMENT_READ"))
	read, admin := refusable(holds("ROLE_APPLICATION_MANAGEMENT_READ")), holds("ROLE_APPLICATION_MANAGEMENT_ADMIN")
	try := refusable(admin) // there is nothing to do it to
	nobody := holds("ROLE_NONE")
	made := func(m *matrix) map[string]string {
		name := fmt.Sprint("app", m.next())
		var a struct{ ID string }
		m.admin.Want(m.t, 201, "POST", app, map[string]string{"name": name, "key": name, "contextPath": name, "type": "HOSTED", "description": m.mark}, &a)
		return map[string]string{"spare": a.ID}
	}
	return []rule{
		{route: "GET " + app, may: apps},
		{route: "POST " + app, body: `{"name":"new{n}","key":"new{n}","contextPath":"new{n}","type":"HOSTED"}`, may: admin},
		{route: "GET " + one, request: app + "/1", may: apps},
		{route: "PUT " + one, request: spared, body: `{"description":"{n}"}`, make: made, may: admin},
		{route: "DELETE " + one, request: spared, make: made, may: admin},
		{route: "GET " + one + "/manifest", request: app + "/1/manifest", may: apps},
		{route: "POST " + one + "/clone", request: app + "/99/clone", may: try, elsewhere: 404},
		{route: "POST " + one + "/refresh", request: spared + "/refresh", make: made, may: admin},
		{route: "GET /application/applicationsByUser/{user}", request: "/application/applicationsByUser/nothing", may: apps},
		{route: "GET /application/applicationsByTenant/{tenant}", request: "/application/applicationsByTenant/main", may: apps, elsewhere: anyStatus},
		{route: "GET /application/applicationsByOwner/{tenant}", request: "/application/applicationsByOwner/main", may: apps, elsewhere: anyStatus},
		{route: "GET /application/applicationsByName/{name}", request: "/application/applicationsByName/none", may: apps},
		{route: "GET " + one + "/binaries", request: spared + "/binaries", make: made, may: holds("ROLE_APPLICATION_MANAGEMENT_READ")},
		{route: "POST " + one + "/binaries", request: spared + "/binaries", body: "no archive", make: made, may: try},
		{route: "POST " + one + "/binaries/files", request: spared + "/binaries/files", body: "--xx--\r\n", header: []string{"Content-Type", "multipart/form-data; boundary=xx"}, make: made, may: try},
		{route: "GET " + one + "/binaries/{binary}", request: spared + "/binaries/1", make: made, may: read},
		{route: "DELETE " + one + "/binaries/{binary}", request: spared + "/binaries/1", make: made, may: try},
		{route: "GET " + one + "/versions", request: spared + "/versions", make: made, may: undecided},
		{route: "GET " + one + "/versions/{version}", request: spared + "/versions/1", make: made, may: undecided},
		{route: "POST " + one + "/versions", request: spared + "/versions", body: `{"version":"1","binaryId":"1"}`, make: made, may: try},
		{route: "PUT " + one + "/versions/{version}", request: spared + "/versions/1", body: `{"tags":[]}`, make: made, may: try},
		{route: "DELETE " + one + "/versions", request: spared + "/versions?version=1", make: made, may: try},
		{route: "GET " + one + "/bootstrapUser", request: spared + "/bootstrapUser", make: made, may: try},
		{route: "GET " + one + "/logs/{instance}", request: spared + "/logs/x", make: made, may: read},
		{route: "GET " + cur, may: nobody, elsewhere: 403},
		{route: "PUT " + cur, body: `{}`, may: nobody, elsewhere: 403},
		{route: "GET " + cur + "/settings", may: nobody, elsewhere: 403},
		{route: "GET " + cur + "/subscriptions", may: nobody, elsewhere: 403},
		{route: "GET " + ten, request: "/tenant/tenants/main/applications", may: or2(holds("ROLE_APPLICATION_MANAGEMENT_READ", "ROLE_TENANT_MANAGEMENT_READ")), elsewhere: anyStatus},
		{route: "POST " + ten, request: "/tenant/tenants/main/applications", body: `{"application":{"id":"{spare}"}}`, make: made, may: admin},
		{route: "DELETE " + ten + "/{application}", request: "/tenant/tenants/main/applications/99", may: try, elsewhere: 404},
	}
}
