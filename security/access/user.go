package access

import (
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// User is an account of a tenant: a person, a device or another system.
type User struct {
	Name          iot.UserName `json:"name"`
	DisplayName   string       `json:"displayName,omitempty"` // may be used to log in
	FirstName     string       `json:"firstName,omitempty"`
	LastName      string       `json:"lastName,omitempty"`
	Email         string       `json:"email,omitempty"`
	Phone         string       `json:"phone,omitempty"`
	Enabled       bool         `json:"enabled"`
	MustReset     bool         `json:"mustReset,omitempty"` // the password must be changed at the next login
	Newsletter    bool         `json:"newsletter,omitempty"`
	PasswordHash  string       `json:"passwordHash,omitempty"`
	PasswordSince time.Time    `json:"passwordSince"`
	Custom        iot.Doc      `json:"custom,omitempty"`
	Roles         []string     `json:"roles,omitempty"`  // permissions held directly
	Groups        []int64      `json:"groups,omitempty"` // ids of groups
	Created       time.Time    `json:"created"`
	Changed       time.Time    `json:"-"`
}

// Group is a global role: a named set of permissions.
type Group struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Roles       []string  `json:"roles,omitempty"`
	Custom      iot.Doc   `json:"custom,omitempty"`
	Changed     time.Time `json:"-"`
}

const (
	maxUserName  = 1000
	minPassword  = 8
	maxPassword  = 32
	passwordSign = "`~!@#$%^&*()_|+-=?;:'\",.<>{}[]\\/"
)

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

// validPassword enforces the password policy: 8 to 32 characters of Latin-1 with an upper-case and a lower-case letter, a digit and a sign.
func validPassword(pw string) error {
	const op = fault.Op("access.validPassword")
	var upper, lower, digit, sign bool
	n := 0
	for _, r := range pw {
		n++
		switch {
		case r > 0xFF:
			return fault.E(op, fault.Invalid, "the password must only contain Latin-1 characters")
		case r >= 'A' && r <= 'Z':
			upper = true
		case r >= 'a' && r <= 'z':
			lower = true
		case r >= '0' && r <= '9':
			digit = true
		case strings.ContainsRune(passwordSign, r):
			sign = true
		}
	}
	if n < minPassword || n > maxPassword {
		return fault.Errorf(op, fault.Invalid, "the password must have between %d and %d characters", minPassword, maxPassword)
	}
	if !upper || !lower || !digit || !sign {
		return fault.E(op, fault.Invalid, "the password must contain an upper-case and a lower-case letter, a digit and a sign such as - or !")
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
