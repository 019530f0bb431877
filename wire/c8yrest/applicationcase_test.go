package c8yrest_test

func applicationCases() []permissionCase {
	const app = "/application/applications"
	return []permissionCase{
		{"GET " + app, "", [people]int{401, 200, 200, 200, 200, 200}},
		{"POST " + app, `{"name":"n#","key":"n#","contextPath":"n#","type":"HOSTED"}`, [people]int{401, 403, 403, 201, 403, 201}},
		{"GET " + app + "/{app}", "", [people]int{401, 200, 200, 200, 200, 404}},
		{"GET " + app + "/{app}/manifest", "", [people]int{401, 200, 200, 200, 200, 404}},
		{"PUT " + app + "/{app}", `{"description":"#"}`, [people]int{401, 403, 403, 200, 403, 404}},
		{"PUT " + app + "/1", `{"description":"#"}`, [people]int{401, 403, 403, 403, 403, 403}},
		{"POST " + app + "/{app}/clone", "", [people]int{401, 403, 403, 201, 403, 404}},
		{"POST " + app + "/{app}/refresh", "", [people]int{401, 403, 403, 200, 403, 404}},
		{"GET " + app + "/{app}/binaries", "", [people]int{401, 403, 200, 403, 403, 404}},
		{"POST " + app + "/{app}/binaries", "x", [people]int{401, 403, 403, 422, 403, 404}},
		{"GET " + app + "/{app}/binaries/1", "", [people]int{401, 403, 404, 403, 403, 404}},
		{"DELETE " + app + "/{app}/binaries/1", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"GET " + app + "/{app}/versions", "", [people]int{401, 404, 404, 404, 404, 404}},
		{"POST " + app + "/{app}/versions", `{"version":"1","binaryId":"1"}`, [people]int{401, 403, 403, 422, 403, 404}},
		{"PUT " + app + "/{app}/versions/1", `{"tags":[]}`, [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE " + app + "/{app}/versions?version=1", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"GET " + app + "/{app}/bootstrapUser", "", [people]int{401, 403, 403, 400, 403, 404}},
		{"GET " + app + "/{app}/logs/web-1", "", [people]int{401, 403, 200, 403, 403, 404}},
		{"GET /application/currentApplication", "", [people]int{401, 403, 403, 403, 403, 403}},
		{"GET /application/currentApplication/subscriptions", "", [people]int{401, 403, 403, 403, 403, 403}},
		{"GET /tenant/tenants/main/applications", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET /tenant/tenants/management/applications", "", [people]int{401, 403, 404, 403, 403, 200}},
		{"POST /tenant/tenants/main/applications", `{"application":{"id":"99"}}`, [people]int{401, 403, 403, 404, 403, 404}},
		{"POST /tenant/tenants/management/applications", `{"application":{"id":"{app}"}}`, [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE /tenant/tenants/main/applications/99", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE " + app + "/{app}", "", [people]int{401, 403, 403, 204, 403, 404}},
	}
}
