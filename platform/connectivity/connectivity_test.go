package connectivity_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/registry"
)

func contact(serial string) connectivity.Contact {
	return connectivity.Contact{Serial: serial, Object: iot.ManagedObject{Type: "t", Name: serial}}
}

func TestOneOfManyCreatesADevice(t *testing.T) {
	b := setup(t, nil)
	const n = 20
	var wg sync.WaitGroup
	ids, created := make([]iot.ID, n), make([]bool, n)
	for i := range n {
		wg.Go(func() {
			var err error
			if ids[i], created[i], err = b.Ensure(ctx, device, contact("new")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	count := 0
	for i := range n {
		if created[i] {
			count++
		}
		if ids[i] != ids[0] {
			t.Errorf("ids %v", ids)
			break
		}
	}
	if count != 1 {
		t.Errorf("created %d times", count)
	}
}

func TestEnsureNeedsThePermissionToCreate(t *testing.T) {
	b := setup(t, nil)
	if _, _, err := b.Ensure(ctx, iot.Principal{Tenant: tenant, User: "reader"}, contact("new")); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
}

func TestANewDeviceJoinsTheGroupOfItsRegistration(t *testing.T) {
	b := setup(t, nil)
	b.group = b.device("group", `{"c8y_IsDeviceGroup":{}}`)
	id, _, err := b.Ensure(ctx, device, contact("new"))
	b.must(err)
	x := contact("child")
	x.Place = registry.Place{Parent: id, Kind: iot.ChildDevice}
	_, _, err = b.Ensure(ctx, device, x)
	b.must(err)
	members, err := b.registry.Below(ctx, tenant, b.group, iot.ChildAsset)
	b.must(err)
	if fmt.Sprint(members) != fmt.Sprint([]iot.ID{b.group, id}) {
		t.Errorf("the group is %v, want it and %v", members, id)
	}
	b.group = 99999 // it has gone
	if _, created, err := b.Ensure(ctx, device, contact("later")); err != nil || !created {
		t.Errorf("without its group the device is kept out: %v", err)
	}
}

type sink chan iot.Operation

func (s sink) Deliver(op iot.Operation) { s <- op }

func TestOperationsGoToTheSinksOfTheirAgent(t *testing.T) {
	b := setup(t, nil)
	agent := b.device("agent", `{"com_cumulocity_model_Agent":{}}`)
	other := b.device("other", `{"com_cumulocity_model_Agent":{}}`)
	one, two, foreign, elsewhere := make(sink, 10), make(sink, 10), make(sink, 10), make(sink, 10)
	detachOne := b.Attach(tenant, agent, one)
	defer b.Attach(tenant, agent, two)()
	defer b.Attach("other", agent, foreign)()
	defer b.Attach(tenant, other, elsewhere)()
	send := func(to iot.ID) iot.ID {
		op, err := b.operations.Create(ctx, iot.System(tenant), iot.Operation{Device: to, Fragments: iot.Doc{{Name: "c8y_Restart", Raw: []byte("{}")}}})
		b.must(err)
		return op.ID
	}
	first := send(agent)
	if receive(t, one).ID != first || receive(t, two).ID != first {
		t.Error("another operation")
	}
	detachOne()
	detachOne() // twice is harmless
	second := send(agent)
	if receive(t, two).ID != second {
		t.Error("another operation")
	}
	third := send(other)
	if receive(t, elsewhere).ID != third { // facts come in order: what else was sent would be there by now
		t.Error("another operation")
	}
	if len(one)+len(two)+len(foreign) != 0 {
		t.Errorf("%d %d %d too many", len(one), len(two), len(foreign))
	}
}
