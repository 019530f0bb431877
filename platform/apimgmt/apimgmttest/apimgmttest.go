// Package apimgmttest is the conformance suite of drivers of platform/apimgmt.
package apimgmttest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/security/access"
)

const tenant, other = iot.TenantID("acme"), iot.TenantID("other")

// TestStore runs the suite; open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) apimgmt.Store) {
	t.Run("keys", func(t *testing.T) { testKeys(t, open(t)) })
	t.Run("endpoints", func(t *testing.T) { testEndpoints(t, open(t)) })
	t.Run("usage", func(t *testing.T) { testUsage(t, open(t)) })
}

func testKeys(t *testing.T, s apimgmt.Store) {
	ctx := context.Background()
	k := apimgmt.Key{ID: "k", Name: "n", Owner: "ann", Scopes: []access.Right{{Resource: "ALARM", Verb: "READ"}}, Sources: []iot.ID{7}, PerMinute: 1, Created: time.UnixMilli(5).UTC(), Hash: "h"}
	const most, callers = 5, 20
	var all sync.WaitGroup
	fulls := make(chan bool, callers)
	for i := range callers {
		all.Go(func() {
			x := k
			x.ID = fmt.Sprint("k", i)
			full, err := s.CreateKey(ctx, tenant, x, most)
			if err != nil {
				t.Error(err)
			}
			fulls <- full
		})
	}
	all.Wait()
	close(fulls)
	made := 0
	for full := range fulls {
		if !full {
			made++
		}
	}
	if made != most {
		t.Errorf("%d keys were made, want %d", made, most)
	}
	k.Owner = "bob"
	if full, err := s.CreateKey(ctx, tenant, k, most); full || err != nil {
		t.Fatal(full, err)
	}
	if got, err := s.Key(ctx, tenant, "k"); err != nil || !reflect.DeepEqual(got, k) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := s.Key(ctx, other, "k"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant: %v", err)
	}
	for owner, want := range map[iot.UserName]int{"": most + 1, "ann": most, "bob": 1, "eve": 0} {
		if got, err := s.Keys(ctx, tenant, owner); err != nil || len(got) != want {
			t.Errorf("keys of %q: %d %v", owner, len(got), err)
		}
	}
	if got, err := s.UpdateKey(ctx, tenant, "k", func(k apimgmt.Key) apimgmt.Key { k.Hash = "i"; return k }); err != nil || got.Hash != "i" {
		t.Errorf("%+v %v", got, err)
	}
	if got, _ := s.Key(ctx, tenant, "k"); got.Hash != "i" {
		t.Errorf("%+v", got)
	}
	if err := s.DeleteKey(ctx, other, "k"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant: %v", err)
	}
	if err := s.DeleteKey(ctx, tenant, "k"); err != nil {
		t.Error(err)
	}
	if _, err := s.UpdateKey(ctx, tenant, "k", func(k apimgmt.Key) apimgmt.Key { return k }); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("deleted: %v", err)
	}
}

func testEndpoints(t *testing.T, s apimgmt.Store) {
	ctx := context.Background()
	text := "x"
	e := apimgmt.Endpoint{Name: "pumps", Kind: apimgmt.InventoryQuery, State: apimgmt.Draft, Query: "$filter=a eq '${a}'", MaxPage: 5, Owner: "ann", Created: time.UnixMilli(5).UTC(), Updated: time.UnixMilli(6).UTC(),
		Parameters: []apimgmt.Parameter{{Name: "a", Type: apimgmt.TextType, Default: &text}}}
	const most, callers = 5, 12
	var all sync.WaitGroup
	versions, fulls := make(chan int, callers), make(chan bool, callers)
	for range callers {
		all.Go(func() {
			made, full, err := s.CreateEndpoint(ctx, tenant, e, most)
			if err != nil {
				t.Error(err)
			}
			if fulls <- full; !full {
				versions <- made.Version
			}
		})
	}
	all.Wait()
	close(versions)
	sum := 0
	for v := range versions {
		sum += v
	}
	if sum != 1+2+3+4+5 {
		t.Errorf("the versions add up to %d, want each from 1 to %d once", sum, most)
	}
	if _, full, err := s.CreateEndpoint(ctx, other, e, most); full || err != nil {
		t.Fatal(full, err)
	}
	e.Version = 2
	if got, err := s.Endpoint(ctx, tenant, "pumps", 2); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := s.Endpoints(ctx, tenant); err != nil || len(got) != most || got[4].Version != 5 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := s.Endpoint(ctx, other, "pumps", 2); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant: %v", err)
	}
	no := errors.New("no")
	if _, err := s.UpdateEndpoint(ctx, tenant, "pumps", 2, func(e apimgmt.Endpoint) (apimgmt.Endpoint, error) { e.Query = "q"; return e, no }); !errors.Is(err, no) {
		t.Errorf("refused: %v", err)
	}
	if got, err := s.UpdateEndpoint(ctx, tenant, "pumps", 2, func(e apimgmt.Endpoint) (apimgmt.Endpoint, error) { e.State = apimgmt.Retired; return e, nil }); err != nil || got.State != apimgmt.Retired || got.Query != e.Query {
		t.Errorf("%+v %v", got, err)
	}
	if err := s.DeleteEndpoint(ctx, tenant, "pumps", 2, func(apimgmt.Endpoint) error { return no }); !errors.Is(err, no) {
		t.Errorf("refused: %v", err)
	}
	may := func(e apimgmt.Endpoint) error {
		if e.State != apimgmt.Retired {
			t.Errorf("asked about %+v", e)
		}
		return nil
	}
	if err := s.DeleteEndpoint(ctx, tenant, "pumps", 2, may); err != nil {
		t.Error(err)
	}
	if err := s.DeleteEndpoint(ctx, tenant, "pumps", 2, may); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("deleted: %v", err)
	}
	if got, err := s.Endpoints(ctx, other); err != nil || len(got) != 1 {
		t.Errorf("another tenant: %+v %v", got, err)
	}
}

func testUsage(t *testing.T, s apimgmt.Store) {
	ctx := context.Background()
	if _, err := s.CreateKey(ctx, tenant, apimgmt.Key{ID: "k", Owner: "ann"}, 1); err != nil {
		t.Fatal(err)
	}
	line := apimgmt.UsageLine{Tenant: tenant, Day: "2026-01-02", Kind: apimgmt.ByKey, Consumer: "k", Owner: "ann", Requests: 2, Errors: 1, In: 3, Out: 4, Last: time.UnixMilli(9).UTC()}
	user, elsewhere := line, line
	user.Kind, user.Consumer, user.Day = apimgmt.ByUser, "bob", "2026-01-03"
	user.Owner, elsewhere.Tenant = "bob", other
	const times = 10
	var all sync.WaitGroup
	for range times {
		all.Go(func() {
			if err := s.AddUsage(ctx, []apimgmt.UsageLine{user, line, elsewhere}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	sum := line
	sum.Requests, sum.Errors, sum.In, sum.Out = 2*times, times, 3*times, 4*times
	if got, n, err := s.Usage(ctx, tenant, apimgmt.UsageQuery{Kind: apimgmt.ByKey, Limit: 5}); err != nil || n != 1 || len(got) != 1 || got[0] != sum {
		t.Errorf("%+v %d %v", got, n, err)
	}
	for want, q := range map[int]apimgmt.UsageQuery{2: {}, 1: {From: "2026-01-03"}, 0: {To: "2026-01-01"}} {
		q.Limit = 5
		if got, n, err := s.Usage(ctx, tenant, q); err != nil || n != want || len(got) != want {
			t.Errorf("%+v: %+v %d %v", q, got, n, err)
		}
	}
	if got, n, err := s.Usage(ctx, tenant, apimgmt.UsageQuery{Owner: "ann", Limit: 1, Offset: 1}); err != nil || n != 1 || len(got) != 0 {
		t.Errorf("%+v %d %v", got, n, err)
	}
	if k, err := s.Key(ctx, tenant, "k"); err != nil || !k.LastUsed.Equal(line.Last) {
		t.Errorf("last used %v %v", k.LastUsed, err)
	}
}
