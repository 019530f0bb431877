package tenancy

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// sealedPrefix begins the stored value of a secret option. Secrets from before they were sealed do not have it; SealStored seals them.
const sealedPrefix = "sealed:"

// stored returns what is stored for an option: secrets are sealed, bound to their tenant and name.
func (s *Tenants) stored(t iot.TenantID, o Option) Option {
	if s.d.Vault != nil && SecretOption(o.OptionKey) {
		o.Value = sealedPrefix + s.d.Vault.Seal([]byte(o.Value), string(t), o.Category, o.Key)
	}
	return o
}

// plain is the reverse of stored.
func (s *Tenants) plain(t iot.TenantID, o Option) (Option, error) {
	sealed, ok := strings.CutPrefix(o.Value, sealedPrefix)
	if !ok || s.d.Vault == nil || !SecretOption(o.OptionKey) {
		return o, nil
	}
	text, err := s.d.Vault.Open(sealed, string(t), o.Category, o.Key)
	o.Value = string(text)
	return o, err
}

// SealStored seals the secrets that an earlier version stored in clear, and forgets their former values. It acts for the platform.
func (s *Tenants) SealStored(ctx context.Context) error {
	const op = fault.Op("tenancy.SealStored")
	tenants, err := s.d.Store.Tenants(ctx)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	for _, t := range tenants {
		options, err := s.d.Store.Options(ctx, t.ID, "")
		if err != nil {
			return sqlkit.Fault(op, err)
		}
		for _, o := range options {
			if !SecretOption(o.OptionKey) || strings.HasPrefix(o.Value, sealedPrefix) {
				continue
			}
			if err := s.d.Store.Reseal(ctx, t.ID, o.OptionKey, o.Value, s.stored(t.ID, o).Value); err != nil {
				return sqlkit.Fault(op, err)
			}
		}
	}
	return nil
}

// AddCheck registers what says whether a value of an option can be understood; its error is told to who sets one. Call it before the first
// request.
func (s *Tenants) AddCheck(category, key string, check func(value string) error) {
	if s.checks == nil {
		s.checks = map[OptionKey]func(string) error{}
	}
	s.checks[OptionKey{category, key}] = check
}

// badCategory are the characters that the name of a category must not have: c8y.
const badCategory = " \t\r\n$&+,/:;=?@\"<>#%{}|\\^~[]`"

// checkOption says what cannot be an option.
func (s *Tenants) checkOption(o Option) error {
	const op = fault.Op("tenancy.PutOptions")
	switch {
	case o.Category == "" || o.Key == "" || len(o.Category) > 256 || len(o.Key) > 256:
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: category, key (up to 256 characters)")
	case strings.ContainsAny(o.Category, badCategory):
		return fault.E(op, fault.Invalid, "the category of an option must have no white space and none of "+strings.TrimSpace(badCategory))
	case len(o.Value) > maxOption:
		return fault.E(op, fault.Invalid, "the value of an option must not be longer than 64 KiB")
	}
	if check := s.checks[o.OptionKey]; check != nil {
		if err := check(o.Value); err != nil {
			return fault.Errorf(op, fault.Invalid, "the option %s.%s: %v", o.Category, o.Key, err)
		}
	}
	return nil
}

// editable refuses to change a locked option, unless p is a member of management.
func editable(p iot.Principal, o Option) error {
	if o.Locked && p.Tenant != iot.Management {
		return fault.E(fault.Op("tenancy.PutOptions"), fault.Denied, "the option "+o.Category+"."+o.Key+" is not editable")
	}
	return nil
}

// SetEditable says whether the members of a tenant may change an option of it. It needs ROLE_OPTION_MANAGEMENT_ADMIN in management.
func (s *Tenants) SetEditable(ctx context.Context, p iot.Principal, t iot.TenantID, key OptionKey, editable bool) error {
	const op = fault.Op("tenancy.SetEditable")
	if err := s.managementAdmin(ctx, p, access.Option); err != nil {
		return err
	}
	err := s.d.Store.LockOption(ctx, t, key, !editable)
	if errors.Is(err, sql.ErrNoRows) {
		return fault.E(op, fault.NotFound, "Unable to find option "+key.Category+"."+key.Key)
	}
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	activity := "Option locked"
	if editable {
		activity = "Option unlocked"
	}
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Option", Activity: activity, Text: activity + ": '" + key.Category + "." + key.Key + "' of tenant '" + string(t) + "'"})
	return nil
}
