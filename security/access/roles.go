package access

import (
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Roles lists every permission that the platform knows, sorted.
func Roles() []string {
	out := expand("ACCOUNT:ADMIN ALARM:RA APPLICATION_MANAGEMENT:RA AUDIT:RA BINARY:RAC BULK_OPERATION:RA CEP_MANAGEMENT:RA DATA_BROKER:RA " +
		"DEVICE: DEVICE_BOOTSTRAP: DEVICE_CONTROL:RA EMAIL:C EVENT:RA IDENTITY:RA INVENTORY:RACU MANAGED_OBJECT:RAC MEASUREMENT:RA " +
		"MQTT_SERVICE:RAC NOTIFICATION_2:A OPTION_MANAGEMENT:RA REMOTE_ACCESS:A RETENTION_RULE:RA SCHEDULE_REPORT:A SIMULATOR:A SMARTGROUP:ACU SMARTRULE:RA " +
		"SMS:RA TENANT:A TENANT_MANAGEMENT:RACU TENANT_STATISTICS:R USER_MANAGEMENT:RAC USER_MANAGEMENT_OWN:RA")
	out = append(out, "ROLE_USER_MANAGEMENT_PASSWORD_RESET") // not ROLE_SYSTEM, which the platform keeps for itself
	return sorted(out)
}

// reserved are permissions that reach beyond a tenant or speak for the platform; only members of management can grant them.
var reserved = []string{"ROLE_DEVICE_BOOTSTRAP", "ROLE_TENANT_MANAGEMENT_CREATE", "ROLE_TENANT_MANAGEMENT_UPDATE"}

// RolesOf lists the permissions that members of a tenant can give to each other, sorted.
func RolesOf(t iot.TenantID) []string {
	return slices.DeleteFunc(Roles(), func(r string) bool { return t != iot.Management && slices.Contains(reserved, r) })
}

// grantable returns a fault unless p may give all the roles to somebody who has had the given ones: they must exist, and not be reserved.
func grantable(p iot.Principal, roles, had []string) error {
	const op = fault.Op("access.Grant")
	known := Roles()
	for _, r := range roles {
		if slices.Contains(had, r) {
			continue
		}
		if _, ok := slices.BinarySearch(known, r); !ok {
			return fault.E(op, fault.NotFound, fault.Subject(r), "Cannot find the specified role '"+r+"'")
		}
		if slices.Contains(reserved, r) && p.Tenant != iot.Management && !p.Has(iot.RoleSystem) {
			return fault.E(op, fault.Denied, fault.Subject(r), "the role "+r+" can only be assigned by the tenant management")
		}
	}
	return nil
}

// expand turns "ALARM:RA" into ROLE_ALARM_READ and ROLE_ALARM_ADMIN; C is CREATE, U is UPDATE, nothing is the bare name.
func expand(list string) []string {
	var out []string
	for _, item := range strings.Fields(list) {
		name, levels, _ := strings.Cut(item, ":")
		if levels == "" {
			out = append(out, "ROLE_"+name)
		}
		if levels == "ADMIN" {
			levels = "A"
		}
		for _, l := range levels {
			out = append(out, "ROLE_"+name+map[rune]string{'R': "_READ", 'A': "_ADMIN", 'C': "_CREATE", 'U': "_UPDATE"}[l])
		}
	}
	return out
}

func sorted(roles []string) []string {
	slices.Sort(roles)
	return slices.Compact(roles)
}

// Names of built-in groups with a meaning to the platform.
const (
	AdminGroup  = "admins"
	DeviceGroup = "devices"
)

// builtinGroups are the global roles that every tenant is born with; their ids are those that clients have seen.
func builtinGroups() []Group {
	all := "ALARM:RA AUDIT:RA DEVICE_CONTROL:RA EVENT:RA IDENTITY:RA INVENTORY:RA MEASUREMENT:RA"
	group := func(id int64, name, description, roles string) Group {
		return Group{ID: id, Name: name, Description: description, Roles: sorted(expand(roles))}
	}
	admins := group(2, AdminGroup, "Administrators of the tenant", all+" ACCOUNT:A APPLICATION_MANAGEMENT:RA BULK_OPERATION:RA CEP_MANAGEMENT:RA DATA_BROKER:RA MQTT_SERVICE:RA NOTIFICATION_2:A "+
		"OPTION_MANAGEMENT:RA REMOTE_ACCESS:A RETENTION_RULE:RA SCHEDULE_REPORT:A TENANT_STATISTICS:R USER_MANAGEMENT:RAC USER_MANAGEMENT_OWN:RA")
	admins.Roles = sorted(append(admins.Roles, "ROLE_USER_MANAGEMENT_PASSWORD_RESET"))
	return []Group{
		group(1, "business", "Users who work with devices and their data", all+" BULK_OPERATION:R DATA_BROKER:R MQTT_SERVICE:RC RETENTION_RULE:R USER_MANAGEMENT_OWN:RA"),
		admins,
		// Devices hold no permission to write telemetry: they write through ownership.
		group(3, DeviceGroup, "Every registered device", "ALARM:R AUDIT:R DEVICE_CONTROL:R EVENT:R IDENTITY:RA INVENTORY:RC MEASUREMENT:R USER_MANAGEMENT_OWN:RA DEVICE:"),
		group(4, "readers", "Read all data, including users", "ALARM:R APPLICATION_MANAGEMENT:R AUDIT:R BULK_OPERATION:R DEVICE_CONTROL:R EVENT:R IDENTITY:R INVENTORY:R MEASUREMENT:R MQTT_SERVICE:R "+
			"OPTION_MANAGEMENT:R RETENTION_RULE:R TENANT_STATISTICS:R USER_MANAGEMENT:R USER_MANAGEMENT_OWN:RA"),
		group(5, "Tenant Manager", "Manage the tenant itself", "APPLICATION_MANAGEMENT:RA DATA_BROKER:RA OPTION_MANAGEMENT:RA RETENTION_RULE:RA TENANT_MANAGEMENT:RA TENANT_STATISTICS:R"),
		group(6, "Global Manager", "Read and write all device data", "ALARM:RA AUDIT:R DEVICE_CONTROL:RA EVENT:RA IDENTITY:RA INVENTORY:RA MEASUREMENT:RA BULK_OPERATION:RA"),
		group(7, "Devicemanagement User", "Use device management", "BULK_OPERATION:R SIMULATOR:A"),
		group(8, "Cockpit User", "Use the cockpit", ""),
		group(9, "Global Reader", "Read all device data", "ALARM:R AUDIT:R DEVICE_CONTROL:R EVENT:R IDENTITY:R INVENTORY:R MEASUREMENT:R BULK_OPERATION:R"),
		group(10, "Shared User Manager", "Create sub-users", "USER_MANAGEMENT:C"),
	}
}
