package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/isobar-iot/isobar/fault"
)

func TestEveryKindHasARowOnEveryWire(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range fault.Kinds() {
		r := k.Row()
		if r.Name == "" || r.HTTP < 400 || r.C8y == "" || r.MQTT5 < 0x80 || r.CoAP < 0x80 || r.Exit == 0 || r.Default == "" {
			t.Errorf("kind %d: incomplete row %+v", k, r)
		}
		if seen[r.Name] {
			t.Errorf("kind %s twice", r.Name)
		}
		seen[r.Name] = true
	}
}

func TestCausesOfOurOwnDefectsAreNotTold(t *testing.T) {
	err := fault.E(fault.Op("x.Get"), fmt.Errorf("disk sector 7 is bad"))
	if got := fault.Message(err); got != "internal error" {
		t.Errorf("message %q", got)
	}
	if fault.KindOf(err) != fault.Internal {
		t.Errorf("kind %v", fault.KindOf(err))
	}
}

func TestOuterErrorInheritsFromInner(t *testing.T) {
	inner := fault.E(fault.NotFound, fault.Subject("12"), "no such thing")
	err := fmt.Errorf("while: %w", fault.E(fault.Op("a.B"), inner))
	if !fault.Is(err, fault.NotFound) || fault.Message(err) != "no such thing" {
		t.Errorf("got %v: %s", fault.KindOf(err), fault.Message(err))
	}
	if !errors.Is(err, inner) {
		t.Error("the cause is lost")
	}
	if fault.KindOf(context.Canceled) != fault.Canceled || fault.KindOf(nil) != 0 {
		t.Error("context errors or nil")
	}
}
