package tenancy

import (
	"context"
	"strings"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// LogID names the option in the change log: a category has no slash.
func (k OptionKey) LogID() string { return k.Category + "/" + k.Key }

// ParseLogID reads what LogID wrote.
func ParseLogID(id string) OptionKey {
	category, key, _ := strings.Cut(id, "/")
	return OptionKey{category, key}
}

// Kinds returns how options take part in the change log: who may read options sees their changes, who may write them takes changes back. A document
// is the value as a JSON text. Values of secrets come back as they were sealed, and are never shown. Whether an option is locked has no history.
func (s *Tenants) Kinds() []changes.Kind { return []changes.Kind{optionKind{s}} }

type optionKind struct{ s *Tenants }

// Name implements changes.Kind.
func (optionKind) Name() iot.Kind { return iot.KindOption }

// Documents implements changes.Kind.
func (k optionKind) Documents() changes.Documents { return k.s.d.Store.OptionDocuments() }

// Scope implements changes.Kind.
func (k optionKind) Scope(ctx context.Context, p iot.Principal) (access.Scope, error) {
	return access.Scope{All: true}, k.s.d.Policy.Check(ctx, p, access.Option, access.Read, access.Object{})
}

// Show implements changes.Kind.
func (optionKind) Show(_ context.Context, _ iot.Principal, c *changes.Change) error {
	if !SecretOption(ParseLogID(c.ID)) {
		return nil
	}
	for _, value := range []*[]byte{(*[]byte)(&c.Before), (*[]byte)(&c.After)} {
		if *value != nil {
			*value = []byte(`""`)
		}
	}
	return nil
}

// Judge implements changes.Kind.
func (k optionKind) Judge(ctx context.Context, p iot.Principal, seen []changes.Change) (func(changes.Change) error, error) {
	if err := k.s.d.Policy.Check(ctx, p, access.Option, access.Admin, access.Object{}); err != nil {
		return nil, err
	}
	now, err := k.s.d.Store.Options(ctx, p.Tenant, "")
	if err != nil {
		return nil, err
	}
	refused := map[string]error{}
	for _, o := range now {
		if err := editable(p, o); err != nil {
			refused[o.LogID()] = err
		}
	}
	return func(c changes.Change) error { return refused[c.ID] }, nil
}

// Announce implements changes.Kind.
func (k optionKind) Announce(ctx context.Context, p iot.Principal, set string, done []changes.Change) {
	k.s.resettle(p.Tenant)
	for _, c := range done {
		was, _ := iot.RawText(c.Before)
		is, _ := iot.RawText(c.After)
		activity := "Option updated"
		switch {
		case c.Before == nil && c.After == nil:
			continue
		case c.Before == nil:
			activity = "Option created"
		case c.After == nil:
			activity = "Option deleted"
		}
		k.s.recordOption(ctx, p, activity, ParseLogID(c.ID), was, is, ", taking back change set "+set)
	}
}
