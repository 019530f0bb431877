package compat_test

// rows are the requests, in about the order in which the applications send them.
func (w *webWorld) rows() []webRow {
	return append(append(w.bootRows(), w.cockpitRows()...), append(w.deviceRows(), w.administrationRows()...)...)
}

func (w *webWorld) bootRows() []webRow {
	return []webRow{
		// before the login
		{key: "GET /apps/{contextPath}/", nobody: true},
		{key: "GET /apps/{contextPath}/cumulocity.json", query: []string{"nocache", "0.123"}, nobody: true, equals: []string{"contextPath", "cockpit", "version", "1.2.3"}},
		{key: "GET /apps/public/public-options@app-{contextPath}/options.json", query: []string{"nocache", "0.123"}, nobody: true, status: absent},
		{key: "GET /apps/public/user-defined-translations/en_US.json", nobody: true, status: absent},
		{key: "GET /apps/{contextPath}/en_US.json", nobody: true, need: "a.0"},
		{key: "GET /tenant/loginOptions", nobody: true, need: "self loginOptions.0.id loginOptions.0.userManagementSource loginOptions.0.grantType",
			equals: []string{"loginOptions/type", "BASIC", "loginOptions.0.visibleOnLoginPage", "true"}}, // no OAI-Secure over plain HTTP: older forms disable their button
		{key: "GET /tenant/loginOptions", query: []string{"tenantId", "main"}, need: "loginOptions.0.type"},
		{key: "GET /user/currentUser", query: []string{"auth", noValue}, nobody: true, status: "401"},
		{key: "GET /tenant/currentTenant", query: []string{"withParent", "true"}, nobody: true, status: "401"},
		// after it
		{key: "GET /user/currentUser", accept: asUser, need: "userName groups.references.0.group.name groups.references.0.group.roles.references.0.role.id " +
			"roles.references customProperties shouldResetPassword newsletter lastPasswordChange",
			equals: []string{"id", "admin", "self", w.s.URL + "/user/main/users/admin"}}, // scripts read the tenant out of the link
		{key: "GET /user/currentUser", accept: "application/json", need: "effectiveRoles.0.id groups.references.0.group.roles.references.0.role.id", equals: []string{"self", w.s.URL + "/user/currentUser"}},
		{key: "GET /tenant/currentTenant", query: []string{"withParent", "true"}, need: "domainName allowCreateTenants customProperties applications.references parent", equals: []string{"name", "main"}},
		{key: "GET /application/applications/{contextPath}/manifest", need: "key version", equals: []string{"application.id", w.app, "contextPath", "cockpit"}},
		{key: "GET /application/applications/{id}", need: "key availability activeVersionId manifest owner.tenant.id", equals: []string{"id", w.app, "type", "HOSTED"}},
		{key: "GET /application/applicationsByUser/{user}", query: []string{"dropOverwrittenApps", "true", "noPaging", "true"}, need: "applications.1.id applications.1.type", equals: []string{"applications/contextPath", "isobar cockpit"}},
		{key: "GET /application/applicationsByUser/{user}", query: []string{"dropOverwrittenApps", "false", "noPaging", "true", "pageSize", "100", "withTotalPages", "true"}, need: "applications.1.key statistics"},
		{key: "GET /tenant/options/configuration/system.support.url", query: []string{"evaluate", "current"}, status: absent},
		{key: "GET /tenant/options/configuration/system.support.url", query: []string{"evaluate", "inherited"}, status: absent},
		{key: "GET /tenant/system/options/support/url", status: absent},
		{key: "GET /tenant/system/options/support-user/enabled", need: anyPreset},
		{key: "GET /tenant/system/options/system/version", need: anyPreset},
		{key: "GET /tenant/security-options/password/limit.validity", equals: []string{"category", "password", "key", "limit.validity", "value", "0"}}, // no default, no form to change it,
		{key: "GET /features", query: []string{"pageSize", "1000"}, need: "0.key 0.active"},
		{key: "GET /inventory/managedObjects", query: []string{"fragmentType", "languageadmin"}, equals: []string{"managedObjects#", "0"}},
		{key: "GET /inventory/managedObjects", query: []string{"fragmentType", "passwordExpirationAlertsDisplayedadmin", "pageSize", "100", "withTotalPages", "true"}, equals: []string{"statistics.totalPages", "0"}},
	}
}

func (w *webWorld) cockpitRows() []webRow {
	objects, alarms := "GET /inventory/managedObjects", "GET /alarm/alarms"
	return []webRow{
		{key: objects, query: []string{"fragmentType", "c8y_IsDevice", "pageSize", "1", "skipChildrenNames", "true", "withTotalPages", "true"}, equals: []string{"statistics.totalPages", "2", "managedObjects#", "1"}},
		{key: objects, query: []string{"query", "$filter=((has(c8y_Report)) and (has(c8y_IsNavigatorNode)))", "pageSize", "2000", "withTotalPages", "true"}, equals: []string{"managedObjects/name", "Report"}},
		{key: objects, query: []string{"query", "$filter=(has(c8y_IsDeviceGroup)) $orderby=name asc", "onlyRoots", "true", "withChildren", "false", "pageSize", "20"}, equals: []string{"managedObjects/name", "Yard"}},
		{key: objects, query: []string{"pageSize", "1", "withTotalPages", "true", "query", "$filter=((has(c8y_Position)) and (c8y_Position.lat gt -37.160316546736766f) and (c8y_Position.lat lt 82.9403268016951f) and " +
			"((c8y_Position.lng gt -110.0390625f) and (c8y_Position.lng lt 123.3984375f)))"}, equals: []string{"managedObjects/name", "Pump"}},
		{key: objects, query: []string{"pageSize", "100", "withTotalPages", "true", "q", "$filter=(((has(c8y_Position.lat)) and (has(c8y_Position.lng))) or ((has(old_Position.lat)) and (has(old_Position.lng))))"}, need: "next",
			equals: []string{"managedObjects/name", "Pump", "statistics.totalPages", "1"}},
		// the map goes from link to link until there is none
		{key: objects, query: []string{"currentPage", "2", "pageSize", "100", "withTotalPages", "true", "q", "$filter=(((has(c8y_Position.lat)) and (has(c8y_Position.lng))))"}, need: "prev", equals: []string{"next", "absent", "managedObjects#", "0"}},
		{key: "GET /inventory/managedObjects/{id}/childAssets", query: []string{"withChildren", "false", "pageSize", "20", "query", "$filter=(bygroupid(" + w.group + "))$orderby=name"}, equals: []string{"references/managedObject.name", "Pump Zone"}},
		{key: "GET /inventory/managedObjects/{id}/childAssets", query: []string{"withChildren", "false", "pageSize", "25", "query", "$orderby=c8y_IsDeviceGroup desc,name asc", "currentPage", "1", "withTotalPages", "true", "withParents", "false"},
			equals: []string{"references/managedObject.name", "Zone Pump", "statistics.totalPages", "1"}},
		{key: "GET /inventory/managedObjects/{id}/childAssets", query: []string{"withChildren", "false", "pageSize", "1", "query", "", "withTotalPages", "true"}, equals: []string{"statistics.totalPages", "2"}},
		{key: alarms, query: []string{"pageSize", "20", "query", alarmOrder, "severity", "CRITICAL", "status", "ACTIVE", "type", "", "withTotalPages", "true", "lastUpdatedFrom", somewhen, "createdTo", tomorrow},
			need: "alarms.0.source.id alarms.0.source.name alarms.0.count statistics.totalPages", equals: []string{"alarms/text", "a c"}},
		{key: alarms, query: []string{"pageSize", "20", "query", alarmOrder, "severity", "CRITICAL,MAJOR,MINOR,WARNING", "status", "ACKNOWLEDGED,ACTIVE,CLEARED", "type", "", "withTotalPages", "true"}, equals: []string{"alarms/text", "a c b d"}},
		{key: alarms, query: []string{"type", "web_0", "dateFrom", "1970-01-01", "dateTo", tomorrow}, equals: []string{"alarms/text", "b"}},
		{key: "GET /tenant/options/configuration/map-config", status: absent},
		{key: "GET /tenant/options/configuration/map-layers", status: absent},
		{key: "POST /inventory/managedObjects", body: map[string]any{"type": "c8y_UserPreference", "languageadmin": "en"}, status: "201", need: "id self", equals: []string{"languageadmin", "en"}},
		{key: "PUT /inventory/managedObjects/{id}", body: map[string]any{"languageadmin": "de"}, equals: []string{"languageadmin", "de", "type", "c8y_UserPreference"}},
	}
}

func (w *webWorld) deviceRows() []webRow {
	objects, object, events := "GET /inventory/managedObjects", "GET /inventory/managedObjects/{id}", "GET /event/events"
	series := []string{"dateFrom", somewhen, "dateTo", tomorrow, "pageSize", "2000", "revert", "true", "series", "c8y_Temperature.T", "source", w.device}
	return []webRow{
		{key: objects, query: []string{"pageSize", "40", "q", "", "withChildren", "false", "withGroups", "true", "withTotalPages", "true", "withTotalElements", "true"},
			equals: []string{"managedObjects/name", "Pump Valve", "statistics.totalElements", "2"}}, // an empty q: all devices, and nothing else
		{key: objects, query: []string{"query", "$filter=(type eq 'c8y_Firmware' and not(has(url)))", "withTotalPages", "true"}, equals: []string{"managedObjects/name", "without"}},
		{key: objects, query: []string{"type", "c8y_SmartRest2Template", "pageSize", "100", "withTotalPages", "true"}, equals: []string{"managedObjects#", "0"}},
		{key: objects, query: []string{"childAssetId", w.device, "pageSize", "100", "withChildren", "false", "withParents", "true", "withTotalPages", "true"}, equals: []string{"managedObjects/name", "Yard"}},
		{key: object, query: []string{"withChildren", "false"}, need: "owner creationTime lastUpdated childDevices assetParents", equals: []string{"id", w.device, "c8y_Position.lat", "51.3"}},
		{key: object, query: []string{"withParents", "true"}, equals: []string{"assetParents.references/managedObject.name", "Yard"}},
		{key: object + "/childAdditions", query: []string{"query", "type eq c8y_Service", "pageSize", "1"}, equals: []string{"references/managedObject.name", "c8y_Service"}}, // no quotes, no $filter
		{key: object + "/childDevices", query: []string{"pageSize", "1"}, equals: []string{"references/managedObject.name", "Valve"}},
		{key: object + "/supportedMeasurements", equals: []string{"c8y_SupportedMeasurements", "[c8y_Temperature]"}},
		{key: object + "/kpis", query: []string{"pageSize", "2000"}, equals: []string{"managedObjects/name", "Heat"}}, // without them no data point can be chosen
		{key: objects, query: []string{"withTotalPages", "true", "query", "$filter=((not(has(c8y_Patch))) and (bygroupid(" + w.device + "))) $orderby=creationTime.date desc,creationTime desc"},
			equals: []string{"managedObjects/name", "web_Other c8y_Service"}}, // so the versions of an entry of a repository are found, which are additions
		{key: object + "/supportedSeries", equals: []string{"c8y_SupportedSeries", "[c8y_Temperature.T]"}},
		{key: "GET /measurement/measurements/series", query: series, equals: []string{"series/type", "c8y_Temperature", "truncated", "false"}, need: "values.2026-01-01T10:00:00~000Z.0.min"},
		{key: "GET /measurement/measurements/series", query: append([]string{"aggregationType", "MINUTELY"}, series...), equals: []string{"series/unit", "C"}, need: "values.2026-01-01T10:01:00~000Z.0.max"},
		{key: "GET /identity/globalIds/{id}/externalIds", equals: []string{"externalIds/externalId", "pump-1"}},
		{key: events, query: []string{"dateFrom", somewhen, "dateTo", tomorrow, "pageSize", "50"}, equals: []string{"events#", "2"}},
		{key: events, query: []string{"dateFrom", somewhen, "dateTo", tomorrow, "pageSize", "50", "source", w.device, "withSourceAssets", "true", "withSourceDevices", "true"}, need: "events.1.source.name", equals: []string{"events#", "2"}},
		{key: "GET /devicecontrol/operations", query: []string{"withTotalPages", "true", "withDeleted", "true", "pageSize", "50", "dateFrom", somewhen, "revert", "true"}, need: "operations.0.creationTime operations.0.status",
			equals: []string{"operations/description", "run 2 run 1"}},
		{key: "GET /devicecontrol/newDeviceRequests", query: []string{"pageSize", "100", "withTotalPages", "true"}, equals: []string{"newDeviceRequests/id", "web-new", "newDeviceRequests/status", "WAITING_FOR_CONNECTION"}},
		{key: "GET /devicecontrol/newDeviceRequests/limit", need: "isReached"},
		{key: "GET /alarm/alarms/reports/downtimeDuration", query: []string{"dateFrom", somewhen, "dateTo", tomorrow}, need: "availabilityStats"},
		{key: "GET /alarm/alarms/reports/downtimeDuration/aggregation", query: []string{"dateFrom", somewhen, "dateTo", tomorrow}, need: "deviceCount downtimeDuration"},
		{key: "GET /tenant/options/device-registration/security-token.policy", status: absent},
		{key: "GET /tenant/system/options/files/max.size", need: anyPreset},
		{key: "GET /tenant/system/options/ssl/shared-truststore.enabled", status: absent},
		{key: "GET /tenant/tenants/{tenant}/trusted-certificates", query: []string{"pageSize", "1000", "withTotalPages", "true"}, need: "statistics", equals: []string{"certificates#", "0"}},
		{key: "GET /user/{tenant}/users", query: []string{"onlyDevices", "true", "pageSize", "100", "withTotalPages", "true"}, need: "statistics", equals: []string{"users#", "0"}},
	}
}

func (w *webWorld) administrationRows() []webRow {
	rows := []webRow{
		{key: "GET /user/{tenant}/users", query: []string{"pageSize", "1", "withTotalPages", "true"}, equals: []string{"statistics.totalPages", "1"}},
		{key: "GET /user/{tenant}/users", query: []string{"onlyRoots", "true", "pageSize", "100", "withApps", "false", "withGroups", "false", "withRoles", "false", "withSubusersCount", "true", "withTotalPages", "true"},
			need: "users.0.subusersCount users.0.enabled users.0.passwordStrength", equals: []string{"users/userName", "admin"}},
		{key: "GET /user/{tenant}/groups", query: []string{"pageSize", "10000", "withTotalPages", "true"}, need: "groups.0.id groups.0.name groups.0.roles.references groups.0.applications"},
		{key: "GET /user/inventoryroles", query: []string{"pageSize", "100", "withTotalPages", "true"}, need: "roles.0.permissions.0.scope"},
		{key: "GET /audit/auditRecords", query: []string{"dateFrom", somewhen, "dateTo", tomorrow, "pageSize", "1", "revert", "true"}, need: "auditRecords.0.activity auditRecords.0.user auditRecords.0.changes"},
		{key: "GET /tenant/tenants", query: []string{"pageSize", "2000", "withTotalPages", "true", "withApps", "false"}, need: "statistics", equals: []string{"tenants#", "0"}},
		{key: "GET /tenant/statistics/summary", query: []string{"dateFrom", "2026-01-01"}, need: "requestCount storageSize deviceCount deviceWithChildrenCount subscribedApplications"},
		{key: "GET /tenant/statistics/summary", query: []string{"dateFrom", somewhen, "dateTo", tomorrow}, need: "requestCount"},
		{key: "GET /tenant/statistics/summary", query: []string{"dateFrom", "2020-01-01", "dateTill", "2020-01-31T23:59:59+00:00"}, equals: []string{"requestCount", "0"}}, // so one application calls the end
		{key: "GET /tenant/statistics/allTenantsSummary", query: []string{"dateFrom", somewhen, "pageSize", "100"}, equals: []string{"#", "0"}},
		{key: "GET /application/applicationsByTenant/{tenant}", query: []string{"pageSize", "2000", "withTotalPages", "true"}, need: "applications.0.id statistics"},
		{key: "GET /application/applications", query: []string{"availability", "SHARED", "type", "HOSTED", "pageSize", "2000"}, equals: []string{"applications#", "0"}},
		{key: "GET /application/applicationsByName/feature-microservice-hosting", equals: []string{"applications#", "0"}},
		{key: "GET /retention/retentions", query: []string{"pageSize", "1000", "withTotalPages", "true"}, need: "retentionRules statistics.totalPages"},
		{key: "GET /tenant/options/alarm.type.mapping"},
		{key: "GET /tenant/options/storage.limitation"},
		{key: "GET /tenant/tenants/{tenant}/tfa", need: "enabledOnTenantLevel strategy"},
		{key: "GET /inventory/managedObjects", query: []string{"pageSize", "1000", "type", "c8y_JsonSchema", "withTotalPages", "true"}, equals: []string{"managedObjects#", "0"}},
		{key: "GET /inventory/managedObjects", query: []string{"pageSize", "100", "type", "c8y_TenantPolicy", "withTotalPages", "true"}, equals: []string{"managedObjects#", "0"}},
		{key: "GET /inventory/managedObjects", query: []string{"text", "", "query", "$filter=(has(c8y_IsBinary)) $orderby=name asc", "pageSize", "25", "currentPage", "1", "withChildren", "false", "withTotalPages", "true", "withTotalElements", "true"},
			equals: []string{"managedObjects#", "0", "statistics.totalElements", "0"}},
		{key: "GET /tenant/loginOptions/BASIC", need: "type"},
		{key: "GET /tenant/loginOptions/OAUTH2_INTERNAL", need: "type"},
		{key: "GET /tenant/loginOptions/OAUTH2", status: "404"},
		{key: "GET /tenant/loginOptions/oauth2", status: "404"},
		{key: "GET /tenant/security-options/password/strength.validity", equals: []string{"value", "false"}},
	}
	// saved forms
	rows = append(rows, []webRow{
		{key: "PUT /user/{tenant}/users/{user}/tfa", body: map[string]any{"tfaEnforced": false}, equals: []string{"tfaEnforced", "false"}},
		{key: "PUT /tenant/options/password/limit.validity", body: map[string]any{"category": "password", "key": "limit.validity", "value": 90}, equals: []string{"value", "90"}},
		{key: "PUT /tenant/options/storage.limitation", body: map[string]any{"category": "storage.limitation", "group.name": "business", "threshold.level": 80}, equals: []string{"threshold~level", "80", "category", "absent"}},
	}...)
	for _, option := range tenantOptions {
		rows = append(rows, webRow{key: "GET /tenant/options/" + option, status: absent})
	}
	for _, option := range []string{"password/enforce.strength", "password/limit.validity", "two-factor-authentication/enabled"} {
		rows = append(rows, webRow{key: "GET /tenant/system/options/" + option, need: anyPreset})
	}
	for _, option := range []string{"two-factor-authentication/enforced.group", "two-factor-authentication/tenant-scope-settings.enabled"} {
		rows = append(rows, webRow{key: "GET /tenant/system/options/" + option, status: absent})
	}
	return rows
}

// tenantOptions are those that the administration reads to fill its pages: a tenant has them after somebody saved such a page.
var tenantOptions = []string{"access.control/allow.origin", "application/default.application", "configuration/tenant.login.ignore-case", "oauth.internal/basic-token.lifespan.seconds",
	"two-factor-authentication/enabled", "two-factor-authentication/enforced", "two-factor-authentication/pin.validity", "two-factor-authentication/strategy", "two-factor-authentication/token.validity"}
