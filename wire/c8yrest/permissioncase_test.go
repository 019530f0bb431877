package c8yrest_test

// permissionCases is the table: per request the status for anonymous, nothing, reader, admin, owner, elsewhere.
// # in a request stands for the number of the person, {name} for an id of the stage.
func permissionCases() []permissionCase {
	var out []permissionCase
	for _, group := range [][]permissionCase{inventoryCases(), dataCases(), platformCases(), applicationCases(), usageCases(), featureCases(), retentionCases()} {
		out = append(out, group...)
	}
	return out
}

func inventoryCases() []permissionCase {
	const mo = "/inventory/managedObjects"
	return []permissionCase{
		{"GET " + mo, "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET " + mo + "/{dev}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{foreign}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{global}", "", [people]int{401, 200, 200, 200, 200, 404}},
		{"PUT " + mo + "/{global}", `{"a":1}`, [people]int{401, 403, 403, 200, 403, 404}},
		{"POST " + mo, `{}`, [people]int{401, 403, 403, 201, 201, 201}},
		{"PUT " + mo + "/{dev}", `{"a":#}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"PUT " + mo + "/{dev}", `{}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"PUT " + mo + "/{foreign}", `{"a":#}`, [people]int{401, 403, 403, 200, 403, 404}},
		{"PUT " + mo, `{"managedObjects":[{"id":"{dev}","b":#}]}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"DELETE " + mo + "/{own#}", "", [people]int{401, 403, 403, 204, 204, 404}},
		{"GET " + mo + "/{dev}/childDevices", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/childDevices/{child}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"POST " + mo + "/{dev}/childAssets", `{"managedObject":{"id":"{child}"}}`, [people]int{401, 403, 403, 201, 201, 404}},
		{"POST " + mo + "/{dev}/childAssets", `{"managedObject":{"id":"{foreign}"}}`, [people]int{401, 403, 403, 201, 403, 404}},
		{"DELETE " + mo + "/{foreign}/childAssets/{global}", "", [people]int{401, 403, 403, 422, 403, 404}},
		{"GET " + mo + "/{dev}/assetParents", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/childDevices?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/childDevices/{child}?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{child}/deviceParents?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/history", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/availability", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/supportedSeries", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/kpis", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + mo + "/{dev}/user", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"PUT " + mo + "/{dev}/user", `{"enabled":true}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"POST /inventory/binaries", "x", [people]int{401, 403, 403, 201, 201, 201}},
		{"GET /inventory/binaries", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET /identity/globalIds/{dev}/externalIds", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET /identity/externalIds/c8y_Serial/SN", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"POST /identity/globalIds/{dev}/externalIds", `{"type":"t","externalId":"#"}`, [people]int{401, 403, 403, 201, 201, 404}},
		{"DELETE /identity/externalIds/t/#", "", [people]int{401, 404, 404, 204, 204, 404}},
		{"POST /identity/search", `{"externalIds":[{"type":"c8y_Serial","externalId":"SN"}]}`, [people]int{401, 200, 200, 200, 200, 200}},
	}
}

func dataCases() []permissionCase {
	const m, e, a = "/measurement/measurements", "/event/events", "/alarm/alarms"
	return []permissionCase{
		{"GET /isobar/ledgers", "", [people]int{401, 403, 200, 200, 200, 200}},
		{"GET /isobar/publications", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET /isobar/ledgers/{dev}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + m + "/series?source={dev}&dateFrom=2024-01-01&dateTo=2024-02-01", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + m + "/latest?source={dev}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"POST " + m, `{"source":{"id":"{dev}"},"type":"t","time":"2025-01-01"}`, [people]int{401, 403, 403, 201, 201, 404}},
		{"POST " + m, `{"source":{"id":"{foreign}"},"type":"t","time":"2025-01-01"}`, [people]int{401, 403, 403, 201, 403, 404}},
		{"GET " + m + "/{m2}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"DELETE " + m + "/{m#}", "", [people]int{401, 403, 403, 204, 204, 404}},
		{"DELETE " + m + "?source={foreign}", "", [people]int{401, 403, 403, 204, 403, 204}},
		{"DELETE " + m + "?dateFrom=2090-01-01", "", [people]int{401, 403, 403, 204, 403, 204}},
		{"GET " + e + "/{event}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + e + "/{event}?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"POST " + e, `{"source":{"id":"{dev}"},"type":"t","text":"x","time":"2025-01-01"}`, [people]int{401, 403, 403, 201, 201, 404}},
		{"POST " + e, `{"source":{"id":"{foreign}"},"type":"t","text":"x","time":"2025-01-01"}`, [people]int{401, 403, 403, 201, 403, 404}},
		{"PUT " + e + "/{event}", `{"text":"y#"}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"PUT " + e + "/{event}/binaries", "x", [people]int{401, 403, 403, 201, 201, 404}},
		{"GET " + e + "/{event}/binaries", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"DELETE " + e + "/{ev#}", "", [people]int{401, 403, 403, 204, 204, 404}},
		{"DELETE " + e + "?source={foreign}", "", [people]int{401, 403, 403, 204, 403, 204}},
		{"GET " + a + "/{alarm}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + a + "/{alarm}?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + a + "?asOf=2099-01-01", "", [people]int{401, 422, 422, 422, 422, 422}},
		{"POST " + a, `{"source":{"id":"{dev}"},"type":"u","text":"x","severity":"MAJOR","time":"2025-01-01"}`, [people]int{401, 403, 403, 201, 201, 404}},
		{"POST " + a + "/upsert", `{"source":{"id":"{dev}"},"type":"u"}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"PUT " + a + "/{alarm}", `{"status":"ACKNOWLEDGED"}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"PUT " + a + "?source={dev}", `{"status":"ACTIVE"}`, [people]int{401, 403, 403, 200, 200, 200}},
		{"DELETE " + a + "?source={foreign}", "", [people]int{401, 403, 403, 204, 403, 204}},
		{"GET " + a + "/reports/downtimeDuration?dateFrom=2024-01-01&dateTo=2024-02-01", "", [people]int{401, 403, 200, 200, 200, 200}},
		{"GET " + a + "/reports/downtimeDuration/aggregation?dateFrom=2024-01-01&dateTo=2024-02-01", "", [people]int{401, 403, 200, 200, 200, 200}},
		{"GET " + a + "/reports/downtimeDuration/{dev}?dateFrom=2024-01-01&dateTo=2024-02-01", "", [people]int{401, 403, 200, 403, 200, 404}},
	}
}

func platformCases() []permissionCase {
	const op, req, u, o = "/devicecontrol/operations", "/devicecontrol/newDeviceRequests", "/user/main/users", "/tenant/options"
	return []permissionCase{
		{"GET " + op + "/{op}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"GET " + op + "/{op}?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"POST " + op, `{"deviceId":"{dev}"}`, [people]int{401, 403, 403, 201, 201, 404}},
		{"PUT " + op + "/{op}", `{"status":"EXECUTING"}`, [people]int{401, 403, 403, 200, 200, 404}},
		{"DELETE " + op + "?deviceId={foreign}", "", [people]int{401, 403, 403, 204, 403, 204}},
		{"GET /devicecontrol/bulkoperations", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"POST /devicecontrol/bulkoperations", `{"groupId":"{dev}","startDate":"2090-01-01","creationRamp":1,"operationPrototype":{"c8y_Restart":{}}}`, [people]int{401, 403, 403, 403, 403, 404}},
		{"GET /devicecontrol/bulkoperations/4711", "", [people]int{401, 403, 404, 403, 403, 404}},
		{"PUT /devicecontrol/bulkoperations/4711", `{"note":"x"}`, [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE /devicecontrol/bulkoperations/4711", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"GET " + req, "", [people]int{401, 403, 200, 403, 200, 200}},
		{"POST /devicecontrol/bulkNewDeviceRequests", "ID\nbulk#\n", [people]int{401, 403, 403, 201, 403, 201}},
		{"DELETE /devicecontrol/bulkNewDeviceRequests/bulk3", "", [people]int{401, 403, 403, 204, 403, 404}},
		{"POST " + req, `{"id":"new#"}`, [people]int{401, 403, 403, 201, 403, 201}},
		{"GET " + req + "/new3", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"PUT " + req + "/new3", `{"status":"ACCEPTED"}`, [people]int{401, 403, 403, 422, 403, 404}},
		{"DELETE " + req + "/new3", "", [people]int{401, 403, 403, 204, 403, 404}},
		{"POST /devicecontrol/deviceCredentials", `{"id":"new3"}`, [people]int{401, 403, 403, 403, 403, 403}},
		{"GET /audit/auditRecords", "", [people]int{401, 403, 200, 403, 200, 200}},
		{"GET /audit/auditRecords/{audit}", "", [people]int{401, 403, 200, 403, 200, 404}},
		{"POST /audit/auditRecords", `{"type":"t","activity":"x","text":"y","time":"2024-01-01"}`, [people]int{401, 403, 403, 201, 403, 201}},
		{"POST /audit/auditRecords", `{"type":"t","activity":"x","text":"y","time":"2024-01-01","source":{"id":"{dev}"}}`, [people]int{401, 403, 403, 201, 201, 404}},
		{"GET /user/currentUser", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET " + u, "", [people]int{401, 403, 200, 403, 403, 404}},
		{"GET " + u + "/reader", "", [people]int{401, 403, 200, 403, 403, 404}},
		{"POST " + u, `{"userName":"u#","email":"u#@x.y"}`, [people]int{401, 403, 403, 201, 403, 404}},
		{"PUT " + u + "/reader", `{"firstName":"R"}`, [people]int{401, 403, 200, 200, 403, 404}},
		{"PUT " + u + "/nothing/tfa", `{"tfaEnforced":false}`, [people]int{401, 403, 403, 200, 403, 404}},
		{"DELETE " + u + "/u#", "", [people]int{401, 403, 403, 204, 403, 404}},
		{"POST " + u + "/nothing/roles", `{"role":{"self":"/user/roles/ROLE_SMS_READ"}}`, [people]int{401, 403, 403, 201, 403, 404}},
		{"GET /user/main/groups", "", [people]int{401, 403, 200, 403, 403, 404}},
		{"POST /user/main/groups", `{"name":"g#"}`, [people]int{401, 403, 403, 201, 403, 404}},
		{"GET /user/roles", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET /tenant/currentTenant", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET /tenant/tenants/main", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET " + o, "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET " + o + "?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET " + o + "/c?asOf=2099-01-01", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET " + o + "/c/none?asOf=2099-01-01", "", [people]int{401, 403, 404, 403, 403, 404}},
		{"POST " + o, `{"category":"c","key":"k","value":"v"}`, [people]int{401, 403, 403, 200, 403, 200}},
		{"PUT " + o + "/c/k", `{"value":"w"}`, [people]int{401, 403, 403, 200, 403, 200}},
		{"DELETE " + o + "/c/k", "", [people]int{401, 403, 403, 204, 403, 204}},
		{"GET /tenant/system/options", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"POST /s", "61,x", [people]int{401, 200, 200, 200, 200, 200}}, // what lines may is what their requests may
		{"GET /isobar/apiKeys", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"POST /isobar/apiKeys", `{"name":"k","scopes":[{"resource":"EVENT","verb":"READ"}]}`, [people]int{401, 403, 201, 403, 403, 201}},
		{"GET /isobar/apiKeys/none", "", [people]int{401, 404, 404, 404, 404, 404}},
		{"POST /isobar/apiKeys/none/rotation", "", [people]int{401, 404, 404, 404, 404, 404}},
		{"DELETE /isobar/apiKeys/none", "", [people]int{401, 404, 404, 404, 404, 404}},
		{"GET /isobar/usage", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET /isobar/published", "", [people]int{401, 403, 200, 200, 403, 200}},
		{"POST /isobar/published", `{"name":"q","kind":"INVENTORY","query":"$filter=has(a)"}`, [people]int{401, 403, 403, 201, 403, 201}},
		{"GET /isobar/published/none/v1", "", [people]int{401, 403, 404, 404, 403, 404}},
		{"GET /isobar/published/none/v1/definition", "", [people]int{401, 403, 404, 404, 403, 404}},
		{"PUT /isobar/published/none/v1/definition", `{"description":"d"}`, [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE /isobar/published/none/v1/definition", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"GET /isobar/publishedApi.json", "", [people]int{401, 403, 200, 200, 403, 200}},
		{"GET /isobar/changes", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET /isobar/changes?kind=managedobject,relation,alarm,event,operation", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET /isobar/changes?kind=option", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET /isobar/changes?kind=none", "", [people]int{401, 422, 422, 422, 422, 422}},
		{"GET /isobar/changes/none", "", [people]int{401, 404, 404, 404, 404, 404}},
		{"POST /isobar/changes/none/undo", "", [people]int{401, 404, 404, 404, 404, 404}},
		{"GET /isobar/mqtt/topicRules", "", [people]int{401, 403, 200, 200, 403, 200}},
		{"PUT /isobar/mqtt/topicRules", `{"rules":[]}`, [people]int{401, 403, 403, 200, 403, 200}},
		{"GET /notification2", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET /notification2/subscriptions", "", [people]int{401, 403, 403, 200, 403, 200}},
		{"POST /notification2/subscriptions", `{"context":"tenant","subscription":"s#"}`, [people]int{401, 403, 403, 201, 403, 201}},
		{"GET /notification2/subscriptions/9999", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE /notification2/subscriptions/9999", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE /notification2/subscriptions?source=9999", "", [people]int{401, 403, 403, 204, 403, 204}},
		{"POST /notification2/token", `{"subscription":"s","subscriber":"x"}`, [people]int{401, 403, 403, 200, 403, 200}},
		{"GET /notification2/token?token=x", "", [people]int{401, 401, 401, 401, 401, 401}},
		{"POST /notification2/unsubscribe?token=x", "", [people]int{401, 401, 401, 401, 401, 401}},
		{"GET /tenant/tenants/main/trusted-certificates", "", [people]int{401, 403, 200, 200, 403, 200}},
		{"GET /tenant/tenants/management/trusted-certificates", "", [people]int{401, 403, 404, 404, 403, 200}},
		{"POST /tenant/tenants/main/trusted-certificates", `{"certInPemFormat":"x"}`, [people]int{401, 403, 403, 422, 403, 422}},
		{"POST /tenant/tenants/main/trusted-certificates/bulk", `{"certificates":[{"certInPemFormat":"x"}]}`, [people]int{401, 403, 403, 422, 403, 422}},
		{"GET /tenant/tenants/main/trusted-certificates/none", "", [people]int{401, 403, 404, 404, 403, 404}},
		{"POST /certificate-authority/renew", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"POST /certificate-authority", "", [people]int{401, 403, 403, 201, 403, 201}},
		{"GET /tenant/trusted-certificates/settings/crl", "", [people]int{401, 403, 200, 200, 403, 200}},
		{"PUT /tenant/trusted-certificates/settings/crl", `{"crls":[{"serialNumberInHex":"a#"}]}`, [people]int{401, 403, 403, 204, 403, 204}},
		{"POST /tenant/trusted-certificates/verify-cert-chain", "x", [people]int{401, 400, 400, 400, 400, 400}},
		{"POST /.well-known/est/simpleenroll", "x", [people]int{401, 401, 401, 401, 401, 401}},
		{"POST /.well-known/est/simplereenroll", "x", [people]int{401, 403, 403, 403, 422, 403}},
		{"POST /devicecontrol/deviceAccessToken", "", [people]int{401, 401, 401, 401, 401, 401}},
		{"PUT /tenant/tenants/main/trusted-certificates/none", `{"status":"DISABLED"}`, [people]int{401, 403, 403, 404, 403, 404}},
		{"DELETE /tenant/tenants/main/trusted-certificates/none", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"POST /tenant/tenants/main/trusted-certificates-pop/none/verification-code", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"POST /tenant/tenants/main/trusted-certificates-pop/none/pop", `{"proofOfPossessionSignedVerificationCode":"x"}`, [people]int{401, 403, 403, 404, 403, 404}},
		{"POST /tenant/tenants/main/trusted-certificates-pop/none/confirmed", "", [people]int{401, 403, 403, 403, 403, 404}},
	}
}

func usageCases() []permissionCase {
	const s = "/tenant/statistics"
	return []permissionCase{
		{"GET " + s, "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET " + s + "/summary", "", [people]int{401, 403, 200, 403, 200, 200}}, // the group devices may read the inventory
		{"GET " + s + "/summary?tenant=management", "", [people]int{401, 403, 404, 403, 403, 200}},
		{"GET " + s + "/allTenantsSummary", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET " + s + "/device/main/daily/2020-01-01", "", [people]int{401, 403, 200, 403, 403, 200}},
		{"GET " + s + "/device/management/monthly/2020-01-01", "", [people]int{401, 403, 404, 403, 403, 200}},
		{"POST " + s + "/files", `{"dateFrom":"2020-01-01","dateTo":"2020-01-02"}`, [people]int{401, 403, 403, 403, 403, 201}},
		{"GET " + s + "/files", "", [people]int{401, 403, 403, 403, 403, 200}},
		{"GET " + s + "/files/none", "", [people]int{401, 403, 403, 403, 403, 404}},
		{"GET " + s + "/files/latest/2020-01-01", "", [people]int{401, 403, 403, 403, 403, 404}},
	}
}

func featureCases() []permissionCase {
	const f, roles = "/features/statistics.devices", "/tenant/tenants/main/applications/restricted-roles"
	return []permissionCase{
		{"GET /features", "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET " + f, "", [people]int{401, 200, 200, 200, 200, 200}},
		{"GET " + f + "/by-tenant", "", [people]int{401, 403, 403, 403, 403, 200}},
		{"PUT " + f + "/by-tenant", `{"active":true}`, [people]int{401, 403, 403, 200, 403, 200}},
		{"DELETE " + f + "/by-tenant", "", [people]int{401, 403, 403, 200, 403, 200}},
		{"PUT " + f + "/by-tenant/main", `{"active":true}`, [people]int{401, 403, 403, 200, 403, 200}},
		{"PUT " + f + "/by-tenant/management", `{"active":true}`, [people]int{401, 403, 403, 403, 403, 200}},
		{"DELETE " + f + "/by-tenant/management", "", [people]int{401, 403, 403, 403, 403, 200}},
		{"GET " + roles, "", [people]int{401, 403, 200, 403, 403, 200}},
		{"PUT " + roles, `["ROLE_ALARM_READ"]`, [people]int{401, 403, 403, 200, 403, 200}},
		{"POST " + roles + "/ROLE_AUDIT_READ", "", [people]int{401, 403, 403, 200, 403, 200}},
		{"DELETE " + roles + "/ROLE_SMS_READ", "", [people]int{401, 403, 403, 404, 403, 404}},
		{"PUT /tenant/options/none/none/editable?targetTenant=main", `{"editable":true}`, [people]int{401, 403, 403, 403, 403, 404}},
		{"PUT /tenant/loginOptions/none/restrict?targetTenant=main", `{"onlyManagementTenantAccess":true}`, [people]int{401, 403, 403, 403, 403, 404}},
		{"GET /tenant/security-options/none/none", "", [people]int{401, 403, 404, 403, 403, 404}},
	}
}

func retentionCases() []permissionCase {
	const r = "/retention/retentions"
	return []permissionCase{
		{"GET " + r, "", [people]int{401, 403, 403, 403, 403, 200}},
		{"POST " + r, `{"dataType":"EVENT","maximumAge":100}`, [people]int{401, 403, 403, 403, 403, 201}},
		{"GET " + r + "/99999", "", [people]int{401, 403, 403, 403, 403, 404}},
		{"PUT " + r + "/99999", `{"maximumAge":100}`, [people]int{401, 403, 403, 403, 403, 404}},
		{"DELETE " + r + "/99999", "", [people]int{401, 403, 403, 403, 403, 404}},
		{"GET /isobar/retention/preview", "", [people]int{401, 403, 403, 403, 403, 200}},
		{"POST /isobar/retention/run", "", [people]int{401, 403, 403, 403, 403, 202}},
		{"GET /isobar/retention/run", "", [people]int{401, 403, 403, 403, 403, 200}},
	}
}
