package c8yrest

import "net/http"

// Routes returns the table of all routes. It is data: the server, the tests that walk every route and the reference are made from it.
func Routes() []Route {
	var out []Route
	for _, group := range [][]Route{rootRoutes(), inventoryRoutes(), dataRoutes(), deviceRoutes(), accountRoutes(), loginRoutes(), ssoRoutes(), grantRoutes(), tenantRoutes(), applicationRoutes(), certificateRoutes(), bulkOperationRoutes(), enrollmentRoutes(), topicRoutes(), notificationRoutes(), smartRESTRoutes(), usageRoutes(), featureRoutes(), changeRoutes(), apiRoutes(), retentionRoutes(), downtimeRoutes(), publishedRoutes(), openAPIRoutes()} {
		out = append(out, group...)
	}
	return out
}

func get(path string, h func(*call) error) Route {
	return Route{Method: http.MethodGet, Path: path, handle: h}
}
func post(path string, h func(*call) error) Route {
	return Route{Method: http.MethodPost, Path: path, handle: h}
}
func put(path string, h func(*call) error) Route {
	return Route{Method: http.MethodPut, Path: path, handle: h}
}
func del(path string, h func(*call) error) Route {
	return Route{Method: http.MethodDelete, Path: path, handle: h}
}

func public(r Route) Route   { r.Access = Public; return r }
func tagged(r Route) Route   { r.Tagged = true; return r }
func download(r Route) Route { r.Download = true; return r }
func dated(r Route) Route    { r.Dated = true; return r }
func passing(r Route) Route  { r.Passing = true; return r }

func rootRoutes() []Route {
	out := []Route{get("/platform", platform), get("/features", features), get("/application", apiRoot)}
	for _, r := range []string{"alarm", "audit", "devicecontrol", "event", "identity", "inventory", "measurement", "tenant", "user"} {
		out = append(out, get("/"+r, apiRoot))
	}
	return out
}

func inventoryRoutes() []Route {
	const mo = "/inventory/managedObjects"
	out := []Route{
		post(mo, createObjects), dated(get(mo, listObjects)), put(mo, updateObjects), dated(get(mo+"/count", countObjects)),
		dated(tagged(get(mo+"/{id}", getObject))), put(mo+"/{id}", updateObject), del(mo+"/{id}", deleteObject),
		get(mo+"/{id}/availability", getAvailability), get(mo+"/{id}/supportedMeasurements", supportedMeasurements), get(mo+"/{id}/supportedSeries", supportedSeries), get(mo+"/{id}/kpis", listKPIs),
		get(mo+"/{id}/user", getObjectUser), put(mo+"/{id}/user", putObjectUser), get(mo+"/{id}/history", getHistory),
		dated(get(mo+"/{id}/deviceParents", listParents)), dated(get(mo+"/{id}/assetParents", listParents)), dated(get(mo+"/{id}/additionParents", listParents)),
		post("/inventory/binaries", createBinary), get("/inventory/binaries", listBinaries), download(get("/inventory/binaries/{id}", getBinary)),
		put("/inventory/binaries/{id}", putBinary), del("/inventory/binaries/{id}", deleteBinary),
		get("/identity/globalIds/{id}/externalIds", listExternal), post("/identity/globalIds/{id}/externalIds", bindExternal),
		get("/identity/externalIds/{type}/{external}", getExternal), del("/identity/externalIds/{type}/{external}", deleteExternal), post("/identity/search", searchExternal),
	}
	for _, kind := range []string{"childDevices", "childAssets", "childAdditions"} {
		path := mo + "/{id}/" + kind
		out = append(out, dated(get(path, listChildren)), post(path, addChild), del(path, removeChildren), dated(get(path+"/{child}", getChild)), del(path+"/{child}", removeChild))
	}
	return out
}

func dataRoutes() []Route {
	const m, e, a = "/measurement/measurements", "/event/events", "/alarm/alarms"
	return []Route{
		post(m, createMeasurements), get(m, listMeasurements), del(m, deleteMeasurements), get(m+"/series", getSeries), get(m+"/latest", getLatest), get(m+"/{id}", getMeasurement), del(m+"/{id}", deleteMeasurement),
		post(e, createEvent), get(e, listEvents), del(e, deleteEvents), dated(get(e+"/{id}", getEvent)), put(e+"/{id}", updateEvent), del(e+"/{id}", deleteEvent),
		post(e+"/{id}/binaries", attach), put(e+"/{id}/binaries", attach), download(get(e+"/{id}/binaries", getAttachment)), del(e+"/{id}/binaries", detach),
		post(a, createAlarm), get(a, listAlarms), put(a, updateAlarms), del(a, deleteAlarms), post(a+"/upsert", upsertAlarm), get(a+"/count", countAlarms), dated(get(a+"/{id}", getAlarm)), put(a+"/{id}", updateAlarm),
		get("/isobar/publications", listRaw), get("/isobar/ledgers", listLedgers), get("/isobar/ledgers/{id}", getLedger),
		get("/audit/auditRecords", listAudit), post("/audit/auditRecords", createAudit), get("/audit/auditRecords/{id}", getAudit),
	}
}

func deviceRoutes() []Route {
	const op, req = "/devicecontrol/operations", "/devicecontrol/newDeviceRequests"
	return []Route{
		post(op, createOperation), get(op, listOperations), del(op, deleteOperations), dated(get(op+"/{id}", getOperation)), put(op+"/{id}", updateOperation),
		post(req, createRegistration), get(req, listRegistrations), post(req+"/acceptAll", acceptAll), put(req+"/acceptAll", acceptAll), get(req+"/limit", registrationLimit),
		get(req+"/{id}", getRegistration), put(req+"/{id}", updateRegistration), del(req+"/{id}", deleteRegistration),
		post("/devicecontrol/deviceCredentials", deviceCredentials),
	}
}

func accountRoutes() []Route {
	const u, g = "/user/{tenant}/users", "/user/{tenant}/groups"
	return []Route{
		get("/user/currentUser", currentUser), put("/user/currentUser", updateCurrentUser), put("/user/currentUser/password", changePassword),
		get("/user/roles", listRoles), get("/user/roles/{role}", getRole), post("/user/logout", logout), post("/user/logout/{tenant}/allUsers", logoutAll),
		get(u, listUsers), post(u, createUser), get(u+"/{user}", getUser), put(u+"/{user}", updateUser), del(u+"/{user}", deleteUser), get("/user/{tenant}/userByName/{user}", getUser),
		put(u+"/{user}/password", resetPassword), get(u+"/{user}/tfa", userTFA), put(u+"/{user}/tfa", enforceTFA), get(u+"/{user}/groups", userGroups), get(u+"/{user}/roles", userRoles), post(u+"/{user}/roles", addUserRole), del(u+"/{user}/roles/{role}", removeUserRole),
		get(g, listGroups), post(g, putGroup), get(g+"/{group}", getGroup), put(g+"/{group}", putGroup), del(g+"/{group}", deleteGroup), get("/user/{tenant}/groupByName/{name}", groupByName),
		get(g+"/{group}/roles", groupRoles), post(g+"/{group}/roles", addGroupRole), del(g+"/{group}/roles/{role}", removeGroupRole),
		get(g+"/{group}/users", groupUsers), post(g+"/{group}/users", addGroupUser), del(g+"/{group}/users/{user}", removeGroupUser),
	}
}

func tenantRoutes() []Route {
	const o = "/tenant/options"
	return []Route{
		get("/tenant/currentTenant", currentTenant), get("/tenant/tenants", listTenants), get("/tenant/tenants/{tenant}", getTenant),
		post("/tenant/tenants", createTenant), put("/tenant/tenants/{tenant}", updateTenant), del("/tenant/tenants/{tenant}", deleteTenant), get("/isobar/tenants/receipts", listReceipts),
		public(get("/tenant/loginOptions", loginOptions)), get("/tenant/loginOptions/{id}", loginOption),
		public(post("/tenant/oauth", oauthCookies)), public(post("/tenant/oauth/token", oauthToken)),
		dated(get(o, listOptions)), post(o, createOption), dated(get(o+"/{category}", getOptions)), put(o+"/{category}", putOptions),
		dated(get(o+"/{category}/{key}", getOption)), put(o+"/{category}/{key}", putOption), del(o+"/{category}/{key}", deleteOption),
		get("/tenant/system/options", listSystemOptions), get("/tenant/system/options/{category}/{key}", getSystemOption),
	}
}
