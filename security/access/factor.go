package access

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// FactorState is how a user stands to the second factor.
type FactorState struct {
	Active   bool // a code is asked for at every login
	Enforced bool // and must be
	Used     time.Time
}

// TenantFactors are the rules of a tenant, from the options of category "two-factor-authentication".
type TenantFactors struct {
	System   bool   // the platform can keep the secrets
	Offered  bool   // the platform can keep secrets, and the option enabled is not false: people may set up a second factor
	Enforced bool   // option enforced: every person must have one
	Group    string // option enforced.group: the name of the global role whose members must have one
}

// Factors returns the rules of a tenant.
func (u *Users) Factors(ctx context.Context, t iot.TenantID) TenantFactors {
	o := u.options(ctx, t, "two-factor-authentication")
	return TenantFactors{System: u.d.Vault != nil, Offered: u.d.Vault != nil && o.flag("enabled", true), Enforced: o.flag("enforced", false), Group: o.text("enforced.group", "")}
}

// factorOf returns how a person stands to the second factor. Who has an active one must give it even where it is no longer offered. Accounts
// of single sign-on have theirs at the provider. Nothing can be enforced where nothing is offered.
func (u *Users) factorOf(ctx context.Context, t iot.TenantID, user User) (FactorState, error) {
	if user.Machine() || user.Origin == OAuth2 {
		return FactorState{}, nil
	}
	s := FactorState{Active: user.TFA}
	rules := u.Factors(ctx, t)
	s.Enforced = rules.Offered && (rules.Enforced || user.MustTFA)
	if rules.Offered && !s.Enforced && rules.Group != "" {
		groups, err := u.d.Store.Groups(ctx, t)
		if err != nil {
			return s, sqlkit.Fault("access.Factor", err)
		}
		s.Enforced = slices.ContainsFunc(groups, func(g Group) bool { return g.Name == rules.Group && slices.Contains(user.Groups, g.ID) })
	}
	return s, nil
}

// Factor tells how a user stands to the second factor: to users about themselves, and to who may read or manage the user.
func (u *Users) Factor(ctx context.Context, p iot.Principal, name iot.UserName) (FactorState, error) {
	user, err := u.Get(ctx, p, name)
	if err != nil {
		return FactorState{}, err
	}
	return u.factorState(ctx, p.Tenant, user)
}

// factorState is factorOf with the time of the last code.
func (u *Users) factorState(ctx context.Context, t iot.TenantID, user User) (FactorState, error) {
	s, err := u.factorOf(ctx, t, user)
	if err != nil {
		return s, err
	}
	f, err := u.d.Store.Factor(ctx, t, user.Name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s, sqlkit.Fault("access.Factor", err)
	}
	s.Used = f.Used
	return s, nil
}

// myFactor returns the caller's account and second factor; a factor that is not there is the zero value.
func (u *Users) myFactor(ctx context.Context, p iot.Principal) (User, Factor, error) {
	if err := u.d.Policy.Check(ctx, p, OwnUser, Read, Object{}); err != nil {
		return User{}, Factor{}, err
	}
	const op = fault.Op("access.Factor")
	user, err := u.d.Store.User(ctx, p.Tenant, p.User)
	if err != nil {
		return User{}, Factor{}, sqlkit.Fault(op, err)
	}
	f, err := u.d.Store.Factor(ctx, p.Tenant, user.Name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return User{}, Factor{}, sqlkit.Fault(op, err)
	}
	return user, f, nil
}

// NewFactor makes a secret for the caller's second factor and returns it as people type it, and as the address that applications scan. It
// replaces one that was not activated; an active one must be revoked by an administrator first.
func (u *Users) NewFactor(ctx context.Context, p iot.Principal) (secret, address string, err error) {
	const op = fault.Op("access.NewFactor")
	user, f, err := u.myFactor(ctx, p)
	if err != nil {
		return "", "", err
	}
	switch {
	case user.Machine() || user.Origin == OAuth2:
		return "", "", fault.E(op, fault.Denied, "this account cannot have a second factor here")
	case !u.Factors(ctx, p.Tenant).Offered:
		return "", "", fault.E(op, fault.Denied, "the second factor is not enabled in this tenant")
	case f.Active:
		return "", "", fault.E(op, fault.Denied, "the second factor is active already: an administrator can revoke it")
	}
	raw := newTOTPSecret()
	f = Factor{Secret: u.d.Vault.Seal(raw, string(p.Tenant), string(user.Name)), Created: u.d.Clock.Now()}
	if err := u.d.Store.PutFactor(ctx, p.Tenant, user.Name, f); err != nil {
		return "", "", sqlkit.Fault(op, err)
	}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: "TOTP secret created", Text: "User '" + string(user.Name) + "' set up a second factor"})
	return totpText.EncodeToString(raw), otpauth(p.Tenant, user.Name, raw), nil
}

// VerifyFactor checks a code of the caller's secret, active or not. NotFound: there is no secret; Denied: the code is not right.
func (u *Users) VerifyFactor(ctx context.Context, p iot.Principal, code string) error {
	const op = fault.Op("access.VerifyFactor")
	user, f, err := u.myFactor(ctx, p)
	switch {
	case err != nil:
		return err
	case f.Secret == "":
		return fault.E(op, fault.NotFound, "Cannot validate TFA TOTP code - user's TFA TOTP secret does not exist")
	}
	ok, err := u.checkCode(ctx, p.Tenant, user.Name, f, code)
	if err == nil && !ok {
		err = fault.E(op, fault.Denied, "Invalid verification code")
	}
	if err == nil && !f.Active {
		f.Used = u.d.Clock.Now()
		err = sqlkit.Fault(op, u.d.Store.PutFactor(ctx, p.Tenant, user.Name, f))
	}
	return err
}

// ActivateFactor makes the caller's second factor count at every login from now on. It cannot be switched off by its user.
func (u *Users) ActivateFactor(ctx context.Context, p iot.Principal, active bool) error {
	const op = fault.Op("access.ActivateFactor")
	user, f, err := u.myFactor(ctx, p)
	switch {
	case err != nil:
		return err
	case !active:
		return fault.E(op, fault.Denied, "Cannot deactivate TOTP setup!")
	case f.Secret == "":
		return fault.E(op, fault.Conflict, "TFA TOTP secret does not exist. First generate secret")
	case f.Used.IsZero(): // who never gave a right code would lock themselves out
		return fault.E(op, fault.Conflict, "verify a code of the secret first, with POST /user/currentUser/totpSecret/verify")
	}
	f.Active = true
	if err := u.d.Store.PutFactor(ctx, p.Tenant, user.Name, f); err != nil {
		return sqlkit.Fault(op, err)
	}
	return u.markFactor(ctx, p, user, true, "TOTP activated")
}

// FactorActive reports whether the caller's second factor is active; NotFound if there is none.
func (u *Users) FactorActive(ctx context.Context, p iot.Principal) (bool, error) {
	_, f, err := u.myFactor(ctx, p)
	if err == nil && f.Secret == "" {
		err = fault.E(fault.Op("access.FactorActive"), fault.NotFound, "the user has no TFA TOTP secret")
	}
	return f.Active, err
}

// RevokeFactor removes the second factor of another user, who has lost it. Nobody removes their own.
func (u *Users) RevokeFactor(ctx context.Context, p iot.Principal, name iot.UserName) error {
	const op = fault.Op("access.RevokeFactor")
	user, err := u.Manage(ctx, p, name)
	if err != nil {
		return err
	}
	if user.Name == p.User {
		return fault.E(op, fault.Denied, "you cannot revoke your own second factor: ask another administrator")
	}
	if err := u.d.Store.DeleteFactor(ctx, p.Tenant, user.Name); err != nil {
		return sqlkit.Fault(op, err)
	}
	return u.markFactor(ctx, p, user, false, "TOTP revoked")
}

// EnforceFactor says whether a user whom p may manage must have a second factor even if the tenant does not demand one, and returns how the user stands to it then.
// Nobody lifts the demand from themselves.
func (u *Users) EnforceFactor(ctx context.Context, p iot.Principal, name iot.UserName, must bool) (FactorState, error) {
	const op = fault.Op("access.EnforceFactor")
	var user User
	changed := false
	err := again(func() (err error) {
		if user, err = u.Manage(ctx, p, name); err != nil {
			return err
		}
		if changed = user.MustTFA != must; !changed {
			return nil
		}
		if !must && user.Name == p.User {
			return fault.E(op, fault.Denied, "you cannot lift the demand for your own second factor: ask another administrator")
		}
		user.MustTFA = must
		return u.putUser(ctx, p, user, false)
	})
	if err != nil {
		return FactorState{}, err
	}
	if changed {
		u.changed(p.Tenant, user.Name)
		activity := map[bool]string{true: "TOTP demanded", false: "TOTP no longer demanded"}[must]
		u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: "Second factor of '" + string(user.Name) + "'"})
	}
	return u.factorState(ctx, p.Tenant, user)
}

func (u *Users) markFactor(ctx context.Context, p iot.Principal, user User, active bool, activity string) error {
	err := again(func() error {
		user, err := u.d.Store.Account(ctx, p.Tenant, user.Name)
		if err != nil {
			return sqlkit.Fault("access.Factor", err)
		}
		if user.TFA == active {
			return nil
		}
		user.TFA = active
		return u.putUser(ctx, p, user, false)
	})
	if err != nil {
		return err
	}
	u.changed(p.Tenant, user.Name)
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: "Second factor of '" + string(user.Name) + "'"})
	return nil
}

// checkCode checks a code. One of an active factor is right only once; before that, clients verify a code and log in with the same. Too many
// wrong ones are refused unchecked for a while.
func (u *Users) checkCode(ctx context.Context, t iot.TenantID, name iot.UserName, f Factor, code string) (bool, error) {
	const op = fault.Op("access.Code")
	now := u.d.Clock.Now()
	if wait := u.guard.code.full(userKey(t, name), now); wait > 0 {
		return false, fault.E(op, fault.Exhausted, wait, "too many wrong codes, try again later")
	}
	if u.d.Vault == nil {
		return false, fault.E(op, fault.Unavailable, "the key of secrets is missing")
	}
	secret, err := u.d.Vault.Open(f.Secret, string(t), string(name))
	if err != nil {
		return false, fault.E(op, fault.Corrupt, err)
	}
	step, ok := totpStepOf(secret, strings.TrimSpace(code), now)
	if ok && f.Active {
		if ok, err = u.d.Store.TakeStep(ctx, t, name, step, now); err != nil {
			return false, sqlkit.Fault(op, err)
		}
	}
	if !ok {
		u.guard.code.add(userKey(t, name), now)
	}
	return ok, nil
}

// giveCode checks the code that came with a login.
func (u *Users) giveCode(ctx context.Context, t iot.TenantID, name iot.UserName, l Login) error {
	if l.Code == "" {
		return errCodeNeeded
	}
	f, err := u.d.Store.Factor(ctx, t, name)
	if err != nil {
		return sqlkit.Fault("access.Code", err)
	}
	ok, err := u.checkCode(ctx, t, name, f, l.Code)
	if err == nil && !ok {
		u.guard.failed(t, name, host(l.RemoteAddr), u.d.Clock.Now())
		u.auditFailure(ctx, t, name, l)
		err = errCodeWrong
	}
	return err
}
