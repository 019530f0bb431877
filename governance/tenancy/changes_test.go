package tenancy_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/changes/changessql"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

// TestUndoOfOptions: secrets come back and are not shown, and only who may write options takes anything back.
func TestUndoOfOptions(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		_, store := open(t, db)
		box, err := secret.New([]byte(strings.Repeat("k", 32)))
		if err != nil {
			t.Fatal(err)
		}
		s := openFace(t, store, box)
		b, err := bus.Open(bus.Config{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		log := changes.New(changes.Deps{Store: changessql.New(db), Bus: b, Clock: clock.NewManual(time.UnixMilli(2000))})
		log.Add(s.Kinds()...)
		p := iot.Principal{Tenant: "ta", User: "u", Roles: optionRoles}
		reader := iot.Principal{Tenant: "ta", User: "r", Roles: []string{"ROLE_OPTION_MANAGEMENT_READ"}}
		other := iot.Principal{Tenant: "tb", User: "u", Roles: optionRoles}
		put := func(set string, options ...tenancy.Option) {
			t.Helper()
			if err := s.PutOptions(sqlkit.InChangeSet(ctx, set), p, options); err != nil {
				t.Fatal(err)
			}
		}
		put("one", option("c", "credentials.p", "sesame-1"), option("c", "k/1", "v1"))
		put("two", option("c", "credentials.p", "sesame-2"), option("c", "k/1", "v2"), option("c", "new", "n"))
		if err := s.DeleteOption(sqlkit.InChangeSet(ctx, "two"), p, tenancy.OptionKey{Category: "c", Key: "k/1"}); err != nil {
			t.Fatal(err)
		}
		for _, who := range []iot.Principal{p, reader} {
			sum, seen, err := log.ChangeSet(ctx, who, "two")
			if err != nil || len(seen) != 4 || sum.By != "u" {
				t.Fatalf("%+v %+v %v", sum, seen, err)
			}
			for _, c := range seen {
				if text := string(c.Before) + string(c.After); strings.Contains(text, "sesame") || strings.Contains(text, "sealed") {
					t.Errorf("a secret shows: %s", text)
				}
			}
		}
		if _, _, err := log.Undo(ctx, reader, "two", ""); !fault.Is(err, fault.Denied) {
			t.Errorf("a reader took it back: %v", err)
		}
		if _, _, err := log.Undo(ctx, other, "two", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("another tenant: %v", err)
		}
		if _, _, err := log.ChangeSets(ctx, iot.Principal{Tenant: "ta", User: "x"}, changes.Query{Limit: 1}); !fault.Is(err, fault.Denied) {
			t.Errorf("without the permission: %v", err)
		}
		if sets, n, err := log.ChangeSets(ctx, iot.Principal{Tenant: "ta", User: "x"}, changes.Query{Limit: 1, Count: true, Kinds: []iot.Kind{iot.KindOption}}); err != nil || n+len(sets) != 0 {
			t.Errorf("without the permission, of options: %+v %v", sets, err)
		}
		if _, _, err := log.Undo(ctx, p, "one", ""); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "changed since by change set two") {
			t.Errorf("changed since: %v", err)
		}
		remembered := func() string { return s.Cached(ctx, "ta", tenancy.OptionKey{Category: "c", Key: "k/1"}, "none") }
		if got := remembered(); got != "none" {
			t.Errorf("before the undo: %s", got)
		}
		if _, done, err := log.Undo(ctx, p, "two", "because"); err != nil || len(done) != 3 {
			t.Fatalf("%+v %v", done, err)
		}
		all, err := s.Options(ctx, p, "c")
		if err != nil || len(all) != 2 || all[0] != option("c", "credentials.p", "sesame-1") || all[1] != option("c", "k/1", "v1") {
			t.Errorf("after the undo: %+v %v", all, err)
		}
		if got := remembered(); got != "v1" {
			t.Errorf("after the undo, what was remembered: %s", got)
		}
		if err := store.LockOption(ctx, "ta", tenancy.OptionKey{Category: "c", Key: "k/1"}, true); err != nil {
			t.Fatal(err)
		}
		sets, _, err := log.ChangeSets(ctx, p, changes.Query{Limit: 1})
		if err != nil || len(sets) != 1 || sets[0].Undoes != "two" || sets[0].Reason != "because" {
			t.Fatalf("%+v %v", sets, err)
		}
		if _, _, err := log.Undo(ctx, p, sets[0].ID, ""); !fault.Is(err, fault.Denied) {
			t.Errorf("took back a change of a locked option: %v", err)
		}
	})
}
