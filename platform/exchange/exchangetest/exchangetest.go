// Package exchangetest is the conformance suite of platform/exchange: what every driver must do.
package exchangetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/exchange"
)

// TestStore runs the suite. open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) exchange.Store) {
	for name, test := range map[string]func(*testing.T, *suite){"subscriptions": subscriptions, "deletion": deletion, "places": places, "notes": notes} {
		t.Run(name, func(t *testing.T) { test(t, &suite{open(t), context.Background()}) })
	}
}

type suite struct {
	exchange.Store
	ctx context.Context
}

var rev = sqlkit.Revision{At: time.UnixMilli(1_700_000_000_000).UTC(), By: "tester", Set: "s"}

func (s *suite) make(t *testing.T, tenant iot.TenantID, scope exchange.Scope, source iot.ID, name string) exchange.Subscription {
	t.Helper()
	id, err := s.NextID(s.ctx, tenant)
	if err != nil || id <= 0 {
		t.Fatalf("id %v: %v", id, err)
	}
	x := exchange.Subscription{ID: id, Scope: scope, Source: source, Name: name, Volatile: source%2 == 1, APIs: []exchange.API{exchange.Alarms, exchange.Events},
		TypeFilter: "'a' or 'b'", Fragments: []string{"x", `y"'`}, Created: rev.At}
	if err := s.Create(s.ctx, tenant, x, rev); err != nil {
		t.Fatal(err)
	}
	return x
}

func subscriptions(t *testing.T, s *suite) {
	one := s.make(t, "t1", exchange.OfObject, 7, "topic")
	got, err := s.Get(s.ctx, "t1", one.ID)
	if err != nil || !reflect.DeepEqual(got, one) {
		t.Errorf("got %+v, want %+v: %v", got, one, err)
	}
	if _, err := s.Get(s.ctx, "t2", one.ID); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant's: %v", err)
	}
	twin := one
	twin.ID = 999
	if err := s.Create(s.ctx, "t1", twin, rev); !sqlkit.IsUnique(err) {
		t.Errorf("the same scope, source and name twice: %v", err)
	}
	bare := exchange.Subscription{ID: 1000, Scope: exchange.OfTenant, Name: "topic", Created: rev.At}
	if err := s.Create(s.ctx, "t1", bare, rev); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(s.ctx, "t1", 1000); err != nil || !reflect.DeepEqual(got, bare) {
		t.Errorf("got %+v, want %+v: %v", got, bare, err)
	}
	s.make(t, "t1", exchange.OfObject, 8, "other")
	s.make(t, "t2", exchange.OfObject, 7, "topic")
	for _, c := range []struct {
		q    exchange.Query
		n    int
		want int // on the page
	}{
		{exchange.Query{Limit: 10}, 3, 3}, {exchange.Query{}, 3, 0}, {exchange.Query{Limit: 1, Offset: 1}, 3, 1}, {exchange.Query{Limit: 10, Source: 7}, 1, 1},
		{exchange.Query{Limit: 10, Scope: exchange.OfTenant}, 1, 1}, {exchange.Query{Limit: 10, Name: "topic"}, 2, 2}, {exchange.Query{Limit: 10, TypeFilter: "'a' or 'b'"}, 2, 2},
		{exchange.Query{Limit: 10, Name: "none"}, 0, 0},
	} {
		list, n, err := s.List(s.ctx, "t1", c.q)
		if err != nil || n != c.n || len(list) != c.want {
			t.Errorf("%+v: %d of %d, want %d of %d: %v", c.q, len(list), n, c.want, c.n, err)
		}
		if !slices.IsSortedFunc(list, func(a, b exchange.Subscription) int { return int(a.ID - b.ID) }) {
			t.Errorf("%+v: not by id", c.q)
		}
	}
}

func deletion(t *testing.T, s *suite) {
	one, two := s.make(t, "t1", exchange.OfObject, 7, "a"), s.make(t, "t1", exchange.OfObject, 7, "b")
	tenant := s.make(t, "t1", exchange.OfTenant, 0, "a")
	other := s.make(t, "t2", exchange.OfObject, 7, "a")
	if err := s.Delete(s.ctx, "t2", 12345, rev); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("delete what is not there: %v", err)
	}
	if err := s.Delete(s.ctx, "t1", one.ID, rev); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeleteAll(s.ctx, "t1", exchange.OfObject, 7, rev); n != 1 || err != nil {
		t.Errorf("deleted %d: %v", n, err)
	}
	if _, err := s.Get(s.ctx, "t1", two.ID); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("deleted with all: %v", err)
	}
	if _, err := s.Get(s.ctx, "t1", tenant.ID); err != nil {
		t.Errorf("of the tenant: %v", err)
	}
	if _, err := s.Get(s.ctx, "t2", other.ID); err != nil {
		t.Errorf("of another tenant: %v", err)
	}
	if n, err := s.DeleteAll(s.ctx, "t1", exchange.OfObject, 7, rev); n != 0 || err != nil {
		t.Errorf("deleted %d again: %v", n, err)
	}
}

func places(t *testing.T, s *suite) {
	p := exchange.Place{Topic: "topic", Subscriber: "me", Stream: 1 << 60, Floor: 41, Done: []uint64{43, 45}}
	for range 2 {
		got, err := s.Join(s.ctx, "t1", p)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("got %+v, want %+v: %v", got, p, err)
		}
	}
	if got, err := s.Join(s.ctx, "t1", exchange.Place{Topic: "topic", Subscriber: "me", Stream: 5}); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("who is known gets another place: %+v, %v", got, err)
	}
	next := p
	next.Floor, next.Done = 50, nil
	if err := s.Save(s.ctx, "t1", next); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(s.ctx, "t2", next); err != nil {
		t.Errorf("of a consumer that is not there: %v", err)
	}
	if _, err := s.Join(s.ctx, "t1", exchange.Place{Topic: "a", Subscriber: "you"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Join(s.ctx, "t1", exchange.Place{Topic: "a", Subscriber: "they"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		tenant            iot.TenantID
		topic, subscriber string
		n                 int
		known             bool
	}{{"t1", "a", "you", 2, true}, {"t1", "a", "me", 2, false}, {"t1", "topic", "me", 1, true}, {"t1", "b", "me", 0, false}, {"t2", "a", "you", 0, false}} {
		if n, known, err := s.Consumers(s.ctx, want.tenant, want.topic, want.subscriber); err != nil || n != want.n || known != want.known {
			t.Errorf("consumers %+v: %d %v %v", want, n, known, err)
		}
	}
	for tenant, want := range map[iot.TenantID]int{"t1": 2, "t2": 0} {
		if n, err := s.Topics(s.ctx, tenant); err != nil || n != want {
			t.Errorf("%s: %d topics, want %d: %v", tenant, n, want, err)
		}
	}
	if err := s.Leave(s.ctx, "t1", "a", "they"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Places(s.ctx, "t1")
	if err != nil || len(got) != 2 || got[0].Topic != "a" || !reflect.DeepEqual(got[1], next) {
		t.Errorf("places %+v: %v", got, err)
	}
	s.make(t, "t3", exchange.OfTenant, 0, "a")
	if got, err := s.Tenants(s.ctx); err != nil || !slices.Equal(got, []iot.TenantID{"t1", "t3"}) {
		t.Errorf("tenants %v: %v", got, err)
	}
	for range 2 {
		if err := s.Leave(s.ctx, "t1", "topic", "me"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Places(s.ctx, "t1"); err != nil || len(got) != 1 {
		t.Errorf("places %+v: %v", got, err)
	}
}

func notes(t *testing.T, s *suite) {
	mine, other := &sqlkit.Notes{Tenant: "t1", Node: "n1"}, &sqlkit.Notes{Tenant: "t1", Node: "home/n2"}
	var ids []int64
	for i := range 6 {
		n := mine
		if i%3 == 2 {
			n = other
		}
		id, err := s.LeaveNote(s.ctx, n, "subject", []byte(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("ids %v do not grow", ids)
	}
	data := func(notes []sqlkit.Note) (out string) {
		for _, n := range notes {
			out += string(n.Data)
		}
		return out
	}
	got, err := s.Notes(s.ctx, "t1", "n1", ids[0], 2)
	if err != nil || data(got) != "13" {
		t.Errorf("notes %q: %v", data(got), err)
	}
	if got, err := s.Notes(s.ctx, "t2", "n1", 0, 10); err != nil || len(got) != 0 {
		t.Errorf("notes of another tenant %v: %v", got, err)
	}
	tenants, got, err := s.Orphans(s.ctx, "n1", "", time.Now().Add(time.Hour).UnixMilli(), 10)
	if err != nil || data(got) != "25" || fmt.Sprint(tenants) != "[t1 t1]" {
		t.Errorf("orphans %v %q: %v", tenants, data(got), err)
	}
	for home, want := range map[string]string{"": "", "else": "", "home": "25"} {
		if _, got, err := s.Orphans(s.ctx, "n1", home, time.Now().Add(-time.Hour).UnixMilli(), 10); err != nil || data(got) != want {
			t.Errorf("orphans that are young, of %q: %q, %v", home, data(got), err)
		}
	}
	if err := s.DropNotes(s.ctx, "t1", ids[0], ids[3], ids[5]); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Notes(s.ctx, "t1", "", 0, 10); err != nil || data(got) != "124" {
		t.Errorf("notes that stay %q: %v", data(got), err)
	}
}
