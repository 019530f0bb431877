package smartrest

import "github.com/isobar-iot/isobar/iot"

// ReplyChildren (106) answers ListChildren on s/ds.
func ReplyChildren(externalIDs []string) string {
	return FormatLine(append([]string{"106"}, externalIDs...)...)
}

// ReplyID (124) answers GetID on s/ds.
func ReplyID(id iot.ID) string { return FormatLine("124", id.String()) }

// ReplyVersion (601) answers GetPlatformVersion on s/ds.
func ReplyVersion(version string) string { return FormatLine("601", version) }

// ReplyCapabilities (603) answers GetCapabilities on s/ds with the ids of all templates, followed by further capabilities.
func ReplyCapabilities(further ...string) string {
	return FormatLine(append(append([]string{"603"}, Capabilities()...), further...)...)
}

// ReplyCollection (20) says on s/dt that a collection of custom templates exists.
func ReplyCollection(name string, id iot.ID) string { return FormatLine("20", name, id.String()) }

// ReplyNoCollection (41) says on s/dt that a collection of custom templates does not exist.
func ReplyNoCollection(name string) string { return FormatLine("41", name) }

// ReplyCredentials (70) hands a new device its account on s/dcr. The line contains a password and must not be logged.
func ReplyCredentials(tenant iot.TenantID, user iot.UserName, password string) string {
	return FormatLine("70", string(tenant), string(user), password)
}

// ReplyToken (71) hands a device a token on s/dat. The line is a secret and must not be logged.
func ReplyToken(jwt string) string { return FormatLine("71", jwt) }
