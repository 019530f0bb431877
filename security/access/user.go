package access

import (
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Origin says which directory an account belongs to.
type Origin string

// The origins. Accounts of another origin than Local are managed there: their names, rights and passwords cannot be changed here.
const (
	Local  Origin = ""
	OAuth2 Origin = "OAUTH2"
	LDAP   Origin = "LDAP"
)

// User is an account of a tenant: a person, a device or another system.
type User struct {
	Name          iot.UserName `json:"name"`
	DisplayName   string       `json:"displayName,omitempty"` // may be used to log in
	FirstName     string       `json:"firstName,omitempty"`
	LastName      string       `json:"lastName,omitempty"`
	Email         string       `json:"email,omitempty"` // unique in the tenant, in any case
	Phone         string       `json:"phone,omitempty"`
	Enabled       bool         `json:"enabled"`
	MustReset     bool         `json:"mustReset,omitempty"` // the password must be changed at the next login
	Newsletter    bool         `json:"newsletter,omitempty"`
	TFA           bool         `json:"tfa,omitempty"`     // has an active second factor
	MustTFA       bool         `json:"mustTFA,omitempty"` // an administrator demands one of this user, whatever the tenant demands
	Origin        Origin       `json:"origin,omitempty"`
	Owner         iot.UserName `json:"owner,omitempty"`        // the user above this one
	DelegatedBy   iot.UserName `json:"delegatedBy,omitempty"`  // whose users this one may manage as well
	PasswordHash  string       `json:"passwordHash,omitempty"` // empty: no password opens the account
	PasswordSince time.Time    `json:"passwordSince"`
	Strength      Strength     `json:"strength,omitempty"`
	OldHashes     []string     `json:"oldHashes,omitempty"` // of passwords used before, the newest first
	Custom        iot.Doc      `json:"custom,omitempty"`
	Roles         []string     `json:"roles,omitempty"`  // permissions held directly
	Groups        []int64      `json:"groups,omitempty"` // ids of groups
	Created       time.Time    `json:"created"`
	Changed       time.Time    `json:"-"`
	Subusers      int          `json:"-"` // how many stand directly below, where that was asked for
	Version       string       `json:"-"` // as it was read; who stores a change must have seen the latest
}

// Machine reports whether the account is of a device or of the platform, not of a person: its password was made by us and hashed fast.
// Machines never change passwords, have no second factor, and are not locked out.
func (u User) Machine() bool {
	return u.Name.IsDevice() || strings.HasPrefix(u.PasswordHash, fastPrefix)
}

// machineName reports whether a name looks like one of a machine, so that an account that does not exist takes as long to refuse as one
// that does.
func machineName(n iot.UserName) bool {
	return n.IsDevice() || strings.HasPrefix(string(n), "service_") || strings.HasPrefix(string(n), "servicebootstrap_") || n == "devicebootstrap"
}

// personName refuses names that are for machines, in any case: what is exempt from the rules about passwords and logins is made by the platform
// itself, and the password of a device goes to the account with its name.
func personName(n iot.UserName) error {
	if machineName(iot.UserName(strings.ToLower(string(n)))) {
		return fault.E(fault.Op("access.personName"), fault.Invalid, "names that are devicebootstrap or start with device_, service_ or servicebootstrap_ are kept for devices and "+
			"services: choose another one, or register the device")
	}
	return nil
}

// validAlias enforces on login aliases what holds for the names of people.
func validAlias(alias string) error {
	const op = fault.Op("access.validAlias")
	if err := validUserName(iot.UserName(alias)); err != nil {
		return fault.E(op, fault.Invalid, err, "the login alias (displayName) is not valid: "+fault.Message(err))
	}
	if err := personName(iot.UserName(alias)); err != nil {
		return fault.E(op, fault.Invalid, err, "the login alias (displayName) is not valid: "+fault.Message(err))
	}
	return nil
}

// Group is a global role: a named set of permissions.
type Group struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Roles       []string  `json:"roles,omitempty"`
	Custom      iot.Doc   `json:"custom,omitempty"`
	Changed     time.Time `json:"-"`
	Version     string    `json:"-"` // as it was read; who stores a change must have seen the latest
}

const (
	maxUserName  = 1000
	maxUserField = 1000
	maxCustom    = 64 << 10 // bytes of the custom properties of a user or group
)

// validCustom bounds custom properties. What has grown too large before may stay, but not grow.
func validCustom(custom, before iot.Doc) error {
	if n := len(custom.AppendTo(nil)); n > maxCustom && n > len(before.AppendTo(nil)) {
		return fault.Errorf("access.validCustom", fault.Invalid, "the customProperties must not be larger than %d KiB together", maxCustom>>10)
	}
	return nil
}

// validUserName enforces what the API says of user names.
func validUserName(n iot.UserName) error {
	const op = fault.Op("access.validUserName")
	switch {
	case n == "":
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: userName")
	case len(n) > maxUserName:
		return fault.Errorf(op, fault.Invalid, "the user name must not be longer than %d characters", maxUserName)
	case strings.ContainsAny(string(n), " \t\r\n/\\+$:"):
		return fault.E(op, fault.Invalid, `the user name must not contain white space, slashes or any of + $ :`)
	}
	return nil
}

// validEmail accepts what a mail server may: one at sign with something on either side, and nothing that could end a header or a list.
func validEmail(s string) error {
	at := strings.LastIndexByte(s, '@')
	if s != "" && (at < 1 || at == len(s)-1 || len(s) > 254 || strings.ContainsAny(s, " \t\r\n,;<>\"")) {
		return fault.E(fault.Op("access.validEmail"), fault.Invalid, "the e-mail address is not valid")
	}
	return nil
}

// effective returns the permissions of u through its groups and directly, sorted.
func effective(u User, groups []Group) []string {
	roles := slices.Clone(u.Roles)
	for _, g := range groups {
		if slices.Contains(u.Groups, g.ID) {
			roles = append(roles, g.Roles...)
		}
	}
	return sorted(roles)
}
