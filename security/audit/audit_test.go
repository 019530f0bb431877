package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/audit/auditsql"
)

func TestAuditLog(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		store, err := auditsql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		log := audit.New(audit.Deps{Store: store, Policy: &access.Policy{}, Clock: now, Log: slog.New(slog.DiscardHandler)})
		for i := range 12 {
			tenant := iot.TenantID([]string{"a", "b"}[i%2])
			log.Record(ctx, iot.Principal{Tenant: tenant, User: "ann", Application: "cockpit"},
				iot.AuditRecord{Type: "User", Activity: fmt.Sprint("did ", i), Source: iot.ID(i), Changes: []iot.AttributeChange{{Attribute: "x", Previous: "1", New: "2"}}})
			now.Advance(time.Second)
		}
		reader := iot.Principal{Tenant: "a", User: "r", Roles: []string{"ROLE_AUDIT_READ"}}
		records, n, err := log.List(ctx, reader, audit.Query{Limit: 3, Offset: 1})
		if err != nil || n != 6 || len(records) != 3 || records[0].Activity != "did 8" || records[0].User != "ann" || records[0].Changes[0].New != "2" {
			t.Errorf("%+v %d %v", records, n, err)
		}
		from := time.Date(2026, 1, 2, 3, 4, 9, 0, time.UTC)
		if _, n, err := log.List(ctx, reader, audit.Query{From: from, To: from.Add(2 * time.Second), Limit: 9}); err != nil || n != 1 {
			t.Errorf("by time: %d %v", n, err)
		}
		if _, n, err := log.List(ctx, reader, audit.Query{Source: 4, Type: "User", User: "ann", Application: "cockpit", Limit: 9}); err != nil || n != 1 {
			t.Errorf("by everything: %d %v", n, err)
		}
		if got, err := log.Get(ctx, reader, records[0].ID); err != nil || got.Activity != "did 8" {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := log.Get(ctx, reader, 99999); !fault.Is(err, fault.NotFound) {
			t.Errorf("missing: %v", err)
		}
		if _, _, err := log.List(ctx, iot.Principal{Tenant: "a", User: "x"}, audit.Query{Limit: 1}); !fault.Is(err, fault.Denied) {
			t.Errorf("without the permission: %v", err)
		}
		mine := iot.AuditRecord{Type: "User", Activity: "a", Text: "t", Time: from, Source: 1}
		if _, err := log.Create(ctx, iot.Principal{Tenant: "a", User: "dev"}, mine, "dev"); err != nil {
			t.Errorf("the owner writes about its object: %v", err)
		}
		if _, err := log.Create(ctx, iot.Principal{Tenant: "a", User: "dev"}, mine, "other"); !fault.Is(err, fault.Denied) {
			t.Errorf("about another's object: %v", err)
		}
	})
}
