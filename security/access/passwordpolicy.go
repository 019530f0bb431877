package access

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Strength is how hard a password is to guess, as people see it.
type Strength string

// The strengths: all four kinds of characters and the green length; three kinds; less.
const (
	Green  Strength = "GREEN"
	Yellow Strength = "YELLOW"
	Red    Strength = "RED"
)

const (
	minPassword    = 8
	maxPassword    = 32 // c8y: longer ones are refused by every client
	passwordSign   = "`~!@#$%^&*()_|+-=?;:'\",.<>{}[]\\/"
	maxHistory     = 24 // bounds the time that a change may take: every old hash is tried
	defaultHistory = 10
)

// PasswordPolicy is what a tenant demands of the passwords of people. It comes from the options of category "password".
type PasswordPolicy struct {
	Validity    time.Duration // limit.validity, days; zero: for ever
	Strong      bool          // enforce.strength or strength.validity: only green passwords are taken; true by default
	GreenLength int           // green.min-length
	History     int           // history.size: so many passwords before the current one are refused
}

// PasswordPolicy returns the policy of a tenant.
func (u *Users) PasswordPolicy(ctx context.Context, t iot.TenantID) PasswordPolicy {
	o := u.options(ctx, t, "password")
	return PasswordPolicy{
		Validity:    time.Duration(o.number("limit.validity", 0, 0, 36_500)) * 24 * time.Hour,
		Strong:      o.flag("enforce.strength", true) || o.flag("strength.validity", false),
		GreenLength: o.number("green.min-length", minPassword, minPassword, maxPassword),
		History:     o.number("history.size", defaultHistory, 0, maxHistory),
	}
}

// expired reports whether the user's password is too old to log in with.
func (p PasswordPolicy) expired(user User, now time.Time) bool {
	return p.Validity > 0 && !user.Machine() && user.Origin == Local && now.After(user.PasswordSince.Add(p.Validity))
}

// classes counts the kinds of characters: upper-case, lower-case, digits, signs.
func classes(pw string) (n int) {
	var upper, lower, digit, sign int
	for _, r := range pw {
		switch {
		case r >= 'A' && r <= 'Z':
			upper = 1
		case r >= 'a' && r <= 'z':
			lower = 1
		case r >= '0' && r <= '9':
			digit = 1
		case strings.ContainsRune(passwordSign, r):
			sign = 1
		}
	}
	return upper + lower + digit + sign
}

// Strength rates a password.
func (p PasswordPolicy) Strength(pw string) Strength {
	n := len([]rune(pw))
	switch c := classes(pw); {
	case c == 4 && n >= p.GreenLength:
		return Green
	case c >= 3 && n >= minPassword:
		return Yellow
	}
	return Red
}

// check enforces length, alphabet and strength.
func (p PasswordPolicy) check(pw string) error {
	const op = fault.Op("access.validPassword")
	for _, r := range pw {
		if r > 0xFF || r < ' ' {
			return fault.E(op, fault.Invalid, "the password must only contain Latin-1 characters")
		}
	}
	least := minPassword
	if p.Strong {
		least = p.GreenLength
	}
	if n := len([]rune(pw)); n < least || n > maxPassword {
		return fault.Errorf(op, fault.Invalid, "the password must have between %d and %d characters", least, maxPassword)
	}
	if p.Strong && classes(pw) < 4 {
		return fault.E(op, fault.Invalid, "the password must contain an upper-case and a lower-case letter, a digit and a sign such as - or !")
	}
	return nil
}

// setPassword gives a user a new password, if the policy of the tenant allows it.
func (u *Users) setPassword(ctx context.Context, t iot.TenantID, user *User, next string) error {
	const op = fault.Op("access.setPassword")
	if user.Origin != Local {
		return fault.E(op, fault.Denied, "the user is managed by a remote identity service: change the password there")
	}
	policy := u.PasswordPolicy(ctx, t)
	if err := policy.check(next); err != nil {
		return err
	}
	before := user.OldHashes
	if user.PasswordHash != "" {
		before = append([]string{user.PasswordHash}, before...)
	}
	for i, hash := range before {
		if i > policy.History { // the current one never counts: it is refused in any case
			break
		}
		same, err := u.verify(ctx, hash, next)
		if err != nil {
			return err
		}
		if same {
			return fault.Errorf(op, fault.Invalid, "the password was used before: the last %d passwords cannot be taken again", policy.History+1)
		}
	}
	hash, err := u.hash(ctx, next)
	if err != nil {
		return err
	}
	user.OldHashes = slices.Clone(before[:min(len(before), policy.History)])
	user.PasswordHash, user.PasswordSince, user.MustReset, user.Strength = hash, u.d.Clock.Now(), false, policy.Strength(next)
	return nil
}

// optionSet is the options of one category of a tenant.
type optionSet func(key string) (string, bool)

// options returns the options of a category. Without Deps.Option nothing is set.
func (u *Users) options(ctx context.Context, t iot.TenantID, category string) optionSet {
	return func(key string) (string, bool) {
		if u.d.Option == nil {
			return "", false
		}
		return u.d.Option(ctx, t, category, key)
	}
}

func (o optionSet) text(key, def string) string {
	if v, ok := o(key); ok && v != "" {
		return v
	}
	return def
}

func (o optionSet) flag(key string, def bool) bool {
	if v, ok := o(key); ok {
		if b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(v))); err == nil {
			return b
		}
	}
	return def
}

// number reads a whole number, brought into its range; what is none counts as not set.
func (o optionSet) number(key string, def, least, most int) int {
	if v, ok := o(key); ok {
		if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
			return max(least, min(most, n))
		}
	}
	return def
}

// seconds reads a time span; a negative one stays negative.
func (o optionSet) seconds(key string, def, least, most time.Duration) time.Duration {
	v, ok := o(key)
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if !ok || err != nil {
		return def
	}
	if n < 0 {
		return -1
	}
	if n > int64(most/time.Second) {
		return most
	}
	return max(least, time.Duration(n)*time.Second)
}
