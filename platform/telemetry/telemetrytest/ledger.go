package telemetrytest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func testLedgers(t *testing.T, f *fixture) {
	first := telemetry.Ledger{Source: 5, Counts: telemetry.Counts{Received: 10, Stored: 7, Refused: 2, Expired: 1, Gaps: 1}, Reasons: map[string]int64{"invalid": 2},
		LastReceived: at(9), Newest: at(8), Step: 3 * time.Second, Lag: -time.Second, Gaps: []telemetry.Gap{{From: at(1), To: at(2)}}}
	second := telemetry.Ledger{Source: 5, Counts: telemetry.Counts{Received: 5, Duplicate: 1, Late: 2, Skewed: 3, Stored: 3, Refused: 1}, Reasons: map[string]int64{"denied": 1},
		LastReceived: at(4), Newest: at(3), Lag: time.Second, Gaps: []telemetry.Gap{{From: at(1), To: at(2), Filled: 6}, {From: at(-9), To: at(-3)}}}
	f.must(f.s.AddLedgers(f.ctx, tenant, []telemetry.Ledger{first, {Source: 9}}))
	f.must(f.s.AddLedgers(f.ctx, tenant, []telemetry.Ledger{{Source: 7, Counts: telemetry.Counts{Received: 1}}, second}))
	f.must(f.s.AddLedgers(f.ctx, "other", []telemetry.Ledger{first}))

	want := telemetry.Ledger{Source: 5, Counts: telemetry.Counts{Received: 15, Stored: 10, Refused: 3, Duplicate: 1, Expired: 1, Late: 2, Skewed: 3, Gaps: 1},
		Reasons: map[string]int64{"invalid": 2, "denied": 1}, Since: at(9), LastReceived: at(9), Newest: at(8), Step: 3 * time.Second, Lag: time.Second, Gaps: second.Gaps}
	f.ledgers("one", []iot.ID{5, 6}, 0, 10, want)
	f.ledgers("all", nil, 0, 10, want, telemetry.Ledger{Source: 7, Counts: telemetry.Counts{Received: 1}}, telemetry.Ledger{Source: 9})
	f.ledgers("a page", nil, 1, 1, telemetry.Ledger{Source: 7, Counts: telemetry.Counts{Received: 1}})
	f.ledgers("three of them", []iot.ID{9, 7, 8}, 0, 10, telemetry.Ledger{Source: 7, Counts: telemetry.Counts{Received: 1}}, telemetry.Ledger{Source: 9})

	f.must(f.s.DropLedger(f.ctx, tenant, 5))
	f.ledgers("a dropped one", []iot.ID{5}, 0, 10)
	f.must(f.s.AddLedgers(f.ctx, tenant, []telemetry.Ledger{{Source: 5, Counts: telemetry.Counts{Refused: 1}}}))
	f.ledgers("a new one with the same id", []iot.ID{5}, 0, 10, telemetry.Ledger{Source: 5, Counts: telemetry.Counts{Refused: 1}})
}

func (f *fixture) ledgers(what string, sources []iot.ID, offset, limit int, want ...telemetry.Ledger) {
	f.t.Helper()
	got, err := f.s.Ledgers(f.ctx, tenant, sources, offset, limit)
	f.must(err)
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		f.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
