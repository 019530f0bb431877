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

// TestAnchorStore runs the suite of trust anchors; open returns an empty store.
func TestAnchorStore(t *testing.T, open func(t *testing.T) identity.AnchorStore) {
	for name, test := range map[string]func(*testing.T, *anchorFixture){
		"an anchor comes back as it was": testAnchorRoundTrip, "fingerprints are unique across tenants, all or none": testAnchorUnique, "the bound holds": testAnchorBound,
		"pages are stable": testAnchorPages, "a tenant changes and deletes its own only": testAnchorTenants, "of several updates none is lost": testAnchorConcurrent,
		"the enabled ones of all tenants": testAnchorEnabled, "a tenant has one authority": testAuthority, "what is revoked stays revoked": testRevocations,
	} {
		t.Run(name, func(t *testing.T) { test(t, &anchorFixture{t, open(t), context.Background()}) })
	}
}

type anchorFixture struct {
	t   *testing.T
	s   identity.AnchorStore
	ctx context.Context
}

func (f *anchorFixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *anchorFixture) create(t iot.TenantID, anchors ...identity.Anchor) error {
	return f.s.Create(f.ctx, t, anchors, 100, rev(0))
}

func anchor(t iot.TenantID, fingerprint string) identity.Anchor {
	return identity.Anchor{Tenant: t, Fingerprint: fingerprint, Name: "n", Enabled: true, DER: []byte{0, 1, 255}, Created: start, Changed: start}
}

func testAnchorRoundTrip(t *testing.T, f *anchorFixture) {
	in := anchor("acme", "aa")
	in.Name, in.AutoRegistration, in.Proven, in.Code, in.CodeUntil, in.Signature = "café ☃", true, true, "code", start.Add(time.Hour), "sig"
	f.must(f.create("acme", in))
	out, err := f.s.Get(f.ctx, "acme", "aa")
	f.must(err)
	if string(out.DER) != string(in.DER) {
		t.Errorf("certificate %x", out.DER)
	}
	out.DER, in.DER = nil, nil
	if fmt.Sprint(out) != fmt.Sprint(in) {
		t.Errorf("got  %+v\nwant %+v", out, in)
	}
	if _, err := f.s.Get(f.ctx, "acme", "bb"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("what is not there: %v", err)
	}
}

func testAnchorUnique(t *testing.T, f *anchorFixture) {
	f.must(f.create("acme", anchor("acme", "aa")))
	for _, tenant := range []iot.TenantID{"acme", "other"} {
		if err := f.create(tenant, anchor(tenant, "bb"), anchor(tenant, "aa")); !sqlkit.IsUnique(err) {
			t.Errorf("again by %s: %v", tenant, err)
		}
		if _, n, err := f.s.List(f.ctx, "other", false, 0, 10); err != nil || n != 0 {
			t.Errorf("%d stored, %v", n, err)
		}
	}
}

func testAnchorBound(t *testing.T, f *anchorFixture) {
	f.must(f.s.Create(f.ctx, "acme", []identity.Anchor{anchor("acme", "a"), anchor("acme", "b")}, 3, rev(0)))
	if err := f.s.Create(f.ctx, "acme", []identity.Anchor{anchor("acme", "c"), anchor("acme", "d")}, 3, rev(0)); !errors.Is(err, identity.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	f.must(f.s.Create(f.ctx, "acme", []identity.Anchor{anchor("acme", "c")}, 3, rev(0)))
}

func testAnchorPages(t *testing.T, f *anchorFixture) {
	for i := range 5 {
		a := anchor("acme", fmt.Sprint("f", 9-i))
		a.Created = start.Add(time.Duration(i/2) * time.Second)
		f.must(f.create("acme", a))
	}
	f.must(f.create("other", anchor("other", "x")))
	var got []string
	for offset := 0; offset < 6; offset += 2 {
		page, n, err := f.s.List(f.ctx, "acme", false, offset, 2)
		f.must(err)
		if n != 5 {
			t.Errorf("%d in all", n)
		}
		for _, a := range page {
			got = append(got, a.Fingerprint)
		}
	}
	if fmt.Sprint(got) != "[f8 f9 f6 f7 f5]" {
		t.Errorf("order %v", got)
	}
}

func testAnchorTenants(t *testing.T, f *anchorFixture) {
	f.must(f.create("acme", anchor("acme", "aa")))
	rename := func(a identity.Anchor) identity.Anchor { a.Name, a.Enabled, a.DER = "new", false, nil; return a }
	if _, err := f.s.Update(f.ctx, "other", "aa", rev(1), rename); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("update by another tenant: %v", err)
	}
	if _, err := f.s.Delete(f.ctx, "other", "aa", rev(1)); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("delete by another tenant: %v", err)
	}
	out, err := f.s.Update(f.ctx, "acme", "aa", rev(2), rename)
	f.must(err)
	read, err := f.s.Get(f.ctx, "acme", "aa")
	f.must(err)
	if out.Name != "new" || fmt.Sprint(read) != fmt.Sprint(out) || !out.Changed.Equal(rev(2).At) || len(out.DER) != 3 {
		t.Errorf("updated to %+v, read %+v", out, read)
	}
	gone, err := f.s.Delete(f.ctx, "acme", "aa", rev(3))
	if err != nil || gone.Name != "new" {
		t.Errorf("deleted %+v, %v", gone, err)
	}
	if _, err := f.s.Delete(f.ctx, "acme", "aa", rev(4)); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("deleted again: %v", err)
	}
	f.must(f.create("other", anchor("other", "aa")))
}

func testAnchorConcurrent(t *testing.T, f *anchorFixture) {
	f.must(f.create("acme", anchor("acme", "aa")))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := f.s.Update(f.ctx, "acme", "aa", rev(i+1), func(a identity.Anchor) identity.Anchor { a.Name += "x"; return a })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a, err := f.s.Get(f.ctx, "acme", "aa"); err != nil || a.Name != "nxxxxxxxx" {
		t.Errorf("name %q, %v", a.Name, err)
	}
}

func testAnchorEnabled(t *testing.T, f *anchorFixture) {
	off := anchor("acme", "b")
	off.Enabled = false
	f.must(f.create("acme", anchor("acme", "a"), off))
	f.must(f.create("other", anchor("other", "c")))
	list, err := f.s.Enabled(f.ctx)
	f.must(err)
	got := ""
	for _, a := range list {
		got += string(a.Tenant) + "/" + a.Fingerprint + " "
	}
	if got != "acme/a other/c " {
		t.Errorf("got %s", got)
	}
}

func testAuthority(t *testing.T, f *anchorFixture) {
	ca := anchor("acme", "ca")
	ca.Authority = true
	if _, _, err := f.s.Authority(f.ctx, "acme"); !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("before there is one: %v", err)
	}
	if err := f.s.PutAuthority(f.ctx, "acme", ca, "sealed", "other", 10, rev(1)); !errors.Is(err, identity.ErrAuthority) {
		t.Fatalf("in the place of none: %v", err)
	}
	f.must(f.s.PutAuthority(f.ctx, "acme", ca, "sealed", "", 10, rev(1)))
	if err := f.s.PutAuthority(f.ctx, "acme", anchor("acme", "cb"), "x", "", 10, rev(1)); !errors.Is(err, identity.ErrAuthority) {
		t.Fatalf("a second one: %v", err)
	}
	f.must(f.create("acme", anchor("acme", "plain")))
	if list, n, err := f.s.List(f.ctx, "acme", true, 0, 10); err != nil || n != 1 || len(list) != 1 || list[0].Fingerprint != "ca" {
		t.Errorf("list of authorities: %+v, %d, %v", list, n, err)
	}
	next := ca
	next.Fingerprint = "ca2"
	f.must(f.s.PutAuthority(f.ctx, "acme", next, "sealed2", "ca", 10, rev(2)))
	if a, sealed, err := f.s.Authority(f.ctx, "acme"); err != nil || a.Fingerprint != "ca2" || !a.Authority || sealed != "sealed2" {
		t.Errorf("%+v, %s, %v", a, sealed, err)
	}
	if _, err := f.s.Get(f.ctx, "acme", "ca"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("the old one is still there: %v", err)
	}
	if _, err := f.s.Update(f.ctx, "acme", "ca2", rev(3), func(a identity.Anchor) identity.Anchor { a.Authority = false; return a }); err != nil {
		t.Fatal(err)
	}
	if a, err := f.s.Get(f.ctx, "acme", "ca2"); err != nil || !a.Authority {
		t.Errorf("an update takes the authority away: %+v, %v", a, err)
	}
	_, err := f.s.Delete(f.ctx, "acme", "ca2", rev(4))
	f.must(err)
	if _, _, err := f.s.Authority(f.ctx, "acme"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("the key of a deleted one is still there: %v", err)
	}
	if err := f.s.PutAuthority(f.ctx, "acme", next, "s", "", 1, rev(5)); !errors.Is(err, identity.ErrTooMany) {
		t.Errorf("beyond the bound: %v", err)
	}
}

func testRevocations(t *testing.T, f *anchorFixture) {
	revoke := func(tenant iot.TenantID, overwrite bool, limit int, entries ...identity.Revocation) error {
		return f.s.Revoke(f.ctx, tenant, entries, overwrite, limit, rev(1))
	}
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	f.must(revoke("acme", false, 10, identity.Revocation{Serial: "a", At: at(1)}, identity.Revocation{Serial: "b", At: at(2)}, identity.Revocation{Serial: "a", At: at(3)}))
	f.must(revoke("acme", true, 10, identity.Revocation{Serial: "b", At: at(4)}))
	list, err := f.s.Revocations(f.ctx, "acme")
	if err != nil || len(list) != 2 || list[0].Serial != "a" || !list[0].At.Equal(at(1)) || !list[1].At.Equal(at(4)) {
		t.Errorf("%+v, %v", list, err)
	}
	for _, c := range []struct {
		tenant  iot.TenantID
		serials []string
		want    bool
	}{{"acme", []string{"x", "b"}, true}, {"acme", []string{"x"}, false}, {"acme", nil, false}, {"other", []string{"a"}, false}} {
		if got, err := f.s.Revoked(f.ctx, c.tenant, c.serials); err != nil || got != c.want {
			t.Errorf("%s %v: %v, %v", c.tenant, c.serials, got, err)
		}
	}
	if err := revoke("acme", false, 2, identity.Revocation{Serial: "c", At: at(1)}); !errors.Is(err, identity.ErrTooMany) {
		t.Errorf("beyond the bound: %v", err)
	}
	if list, err := f.s.Revocations(f.ctx, "acme"); err != nil || len(list) != 2 {
		t.Errorf("what was refused is there: %+v, %v", list, err)
	}
}
