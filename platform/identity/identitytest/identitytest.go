// Package identitytest is the conformance suite that every driver of platform/identity must pass.
package identitytest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/identity"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestStore runs the suite; open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) identity.Store) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"a registration comes back as it was": testRoundTrip, "ids are unique across tenants": testUnique, "pages are stable": testPaging,
		"one that is used gives way": testUsed, "of several updates none is lost": testConcurrent, "a tenant deletes its own only": testDelete,
	} {
		t.Run(name, func(t *testing.T) { test(t, &fixture{t, open(t), context.Background()}) })
	}
}

type fixture struct {
	t   *testing.T
	s   identity.Store
	ctx context.Context
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func rev(n int) sqlkit.Revision {
	return sqlkit.Revision{At: start.Add(time.Duration(n) * time.Second), By: "ann", Set: fmt.Sprint("set", n)}
}

func fresh(t iot.TenantID, id string) identity.Registration {
	return identity.Registration{ID: id, Tenant: t, Status: identity.Waiting, Owner: "ann", Created: start, Changed: start}
}

func testRoundTrip(t *testing.T, f *fixture) {
	in := fresh("acme", "imei-☃-1")
	in.Group, in.Type, in.Token, in.Failures, in.Enrollment = 7, "pump", identity.Token{0, 1, 255}, 3, identity.Token{9}
	in.Custom = iot.Doc{{Name: "a", Raw: []byte(`{"b": 1.50}`)}}
	f.must(f.s.Create(f.ctx, in, rev(0)))
	out, err := f.s.Get(f.ctx, in.ID)
	f.must(err)
	if string(out.Token) != string(in.Token) || string(out.Enrollment) != string(in.Enrollment) || !out.Custom.Equal(in.Custom) {
		t.Errorf("got %+v", out)
	}
	if out.ID != in.ID || out.Tenant != in.Tenant || out.Status != in.Status || out.Owner != in.Owner || !out.Created.Equal(start) || out.Group != 7 || out.Type != "pump" || out.Failures != 3 {
		t.Errorf("got %+v", out)
	}
	if _, err := f.s.Get(f.ctx, "nobody"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("get of nothing: %v", err)
	}
	if _, err := f.s.Update(f.ctx, "nobody", rev(1), func(r identity.Registration) identity.Registration { return r }); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("update of nothing: %v", err)
	}
}

func testUnique(t *testing.T, f *fixture) {
	f.must(f.s.Create(f.ctx, fresh("acme", "x"), rev(0)))
	for _, tenant := range []iot.TenantID{"acme", "other"} {
		if err := f.s.Create(f.ctx, fresh(tenant, "x"), rev(0)); !sqlkit.IsUnique(err) {
			t.Errorf("%s: %v", tenant, err)
		}
	}
	f.must(f.s.Create(f.ctx, fresh("other", "X"), rev(0)))
}

func testPaging(t *testing.T, f *fixture) {
	for i := range 7 {
		f.must(f.s.Create(f.ctx, fresh("acme", fmt.Sprint("d", i)), rev(0)))
	}
	f.must(f.s.Create(f.ctx, fresh("other", "theirs"), rev(0)))
	used := fresh("acme", "d9")
	used.Status = identity.Used
	f.must(f.s.Create(f.ctx, used, rev(0)))
	got := ""
	for offset := 0; offset < 8; offset += 2 {
		page, n, err := f.s.List(f.ctx, "acme", offset, 2)
		if err != nil || n != 7 {
			t.Fatalf("%d, %v", n, err)
		}
		for _, r := range page {
			got += r.ID
		}
	}
	if got != "d0d1d2d3d4d5d6" {
		t.Errorf("got %s", got)
	}
}

func testUsed(t *testing.T, f *fixture) {
	f.must(f.s.Create(f.ctx, fresh("acme", "x"), rev(0)))
	_, err := f.s.Update(f.ctx, "x", rev(1), func(r identity.Registration) identity.Registration {
		r.Status = identity.Used
		return r
	})
	f.must(err)
	f.must(f.s.Create(f.ctx, fresh("other", "x"), rev(2)))
	if r, err := f.s.Get(f.ctx, "x"); err != nil || r.Tenant != "other" || r.Status != identity.Waiting {
		t.Errorf("got %+v, %v", r, err)
	}
}

func testConcurrent(t *testing.T, f *fixture) {
	f.must(f.s.Create(f.ctx, fresh("acme", "x"), rev(0)))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := f.s.Update(f.ctx, "x", rev(1), func(r identity.Registration) identity.Registration {
				r.Failures++
				return r
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r, err := f.s.Get(f.ctx, "x"); err != nil || r.Failures != 20 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func testDelete(t *testing.T, f *fixture) {
	f.must(f.s.Create(f.ctx, fresh("acme", "x"), rev(0)))
	if err := f.s.Delete(f.ctx, "other", "x", rev(1)); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant: %v", err)
	}
	f.must(f.s.Delete(f.ctx, "acme", "x", rev(1)))
	if err := f.s.Delete(f.ctx, "acme", "x", rev(1)); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("again: %v", err)
	}
}
