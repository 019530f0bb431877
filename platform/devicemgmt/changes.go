package devicemgmt

import (
	"context"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Kinds returns how operations take part in the change log: who made them, changed their status, and deleted them, and why. None of it can be taken back. Who
// reads operations for the sake of single fragments sees no changes of them.
func (s *Operations) Kinds() []changes.Kind { return []changes.Kind{operationKind{s}} }

type operationKind struct{ s *Operations }

// Name implements changes.Kind.
func (operationKind) Name() iot.Kind { return iot.KindOperation }

// Documents implements changes.Kind.
func (k operationKind) Documents() changes.Documents { return k.s.d.Store.Documents() }

// Scope implements changes.Kind.
func (k operationKind) Scope(ctx context.Context, p iot.Principal) (access.Scope, error) {
	scope, err := k.s.d.Policy.Scope(ctx, p, access.Operation, access.Read)
	return scope.Whole(), err
}

// Show implements changes.Kind.
func (operationKind) Show(context.Context, iot.Principal, *changes.Change) error { return nil }

// Judge implements changes.Kind: that an operation cannot be taken back is told to everybody who sees it.
func (operationKind) Judge(context.Context, iot.Principal, []changes.Change) (func(changes.Change) error, error) {
	return func(changes.Change) error { return nil }, nil
}

// Announce implements changes.Kind.
func (operationKind) Announce(context.Context, iot.Principal, string, []changes.Change) {}
