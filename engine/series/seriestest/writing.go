package seriestest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

func (b *bench) get(t iot.TenantID, id iot.MeasurementID) iot.Measurement {
	b.t.Helper()
	m, err := b.s.Get(context.Background(), t, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func (b *bench) kind(what string, err error, want fault.Kind) {
	b.t.Helper()
	if !fault.Is(err, want) {
		b.t.Fatalf("%s: got %v, want kind %v", what, err, want)
	}
}

// neighbours are tenants whose names are prefixes of each other.
var neighbours = []iot.TenantID{"t", "tt", "main", "main1", "mai"}

func isolation(b *bench) {
	want := map[iot.TenantID][]iot.Measurement{}
	var entries []series.Entry
	for i := range int64(300) {
		for k, t := range neighbours {
			m := values(7, start+i*1000, string(t), "f."+string(t)+".u="+string(rune('1'+k)))
			entries = append(entries, series.Entry{Tenant: t, M: m})
		}
	}
	if err := b.s.Append(context.Background(), entries); err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		b.expect("seq", e.M.Seq, uint32(0))
		want[e.Tenant] = append(want[e.Tenant], *e.M)
	}
	b.rest()
	for _, t := range neighbours {
		b.same("one source", b.scan(t, series.Query{Source: 7}), want[t])
		b.same("all sources", b.scan(t, series.Query{}), want[t])
		b.expect("catalog", b.catalog(t, 0), []series.Info{{Key: series.Key{Fragment: "f", Series: string(t)}, Unit: "u"}})
	}
	b.expect("deleted", b.delete("main", series.Query{}), int64(300))
	b.same("deleted", b.scan("main", series.Query{}), nil)
	b.same("next to the deleted", b.scan("main1", series.Query{Source: 7}), want["main1"])
	b.same("unknown", b.scan("nobody", series.Query{}), nil)
}

func units(b *bench) {
	b.expect("empty", b.catalog(tenant, 1), []series.Info{})
	for i := range int64(300) {
		unit := "C"
		if i >= 200 {
			unit = "F"
		}
		b.append(tenant, values(1, start+i*1000, "t", "f.T."+unit+"=20.5", "f.A.=1"), values(2, start+i*1000, "t", "g.T.K=1"))
	}
	b.rest()
	key := func(f, s string) series.Key { return series.Key{Fragment: f, Series: s} }
	b.expect("one source", b.catalog(tenant, 1), []series.Info{{Key: key("f", "A")}, {Key: key("f", "T"), Unit: "F"}})
	b.append(tenant, values(1, start+1, "late", "f.T.R=1"))
	b.expect("late unit", b.catalog(tenant, 1), []series.Info{{Key: key("f", "A")}, {Key: key("f", "T"), Unit: "F"}})
	b.expect("tenant", len(b.catalog(tenant, 0)), 3)
	units := map[string]int{}
	for _, m := range b.scan(tenant, series.Query{Source: 1, Fragment: "f", Series: "T"}) {
		units[m.Samples[0].Unit]++
	}
	b.expect("units stay with their values", units, map[string]int{"C": 200, "F": 100, "R": 1})
	b.delete(tenant, series.Query{Source: 2})
	b.expect("all deleted", b.catalog(tenant, 2), []series.Info{})
}

func single(b *bench) {
	var all []*iot.Measurement
	for i := range int64(300) {
		all = append(all, temperature(5, start+i/2))
	}
	b.append(tenant, all...)
	b.rest()
	victim := all[131].ID()
	b.expect("get", b.get(tenant, victim), *all[131])
	b.expect("delete", b.delete(tenant, series.One(victim)), int64(1))
	b.expect("delete again", b.delete(tenant, series.One(victim)), int64(0))
	_, err := b.s.Get(context.Background(), tenant, victim)
	b.kind("deleted", err, fault.NotFound)
	for _, id := range []iot.MeasurementID{{}, {Source: 5}, {Source: 6, Time: start}, {Source: 5, Time: start, Seq: 2}, {Time: start}} {
		_, err := b.s.Get(context.Background(), tenant, id)
		b.kind("absent", err, fault.NotFound)
	}
	_, err = b.s.Get(context.Background(), "other", all[0].ID())
	b.kind("other tenant", err, fault.NotFound)
	b.same("rest", b.scan(tenant, series.Query{}), plain(append(all[:131:131], all[132:]...)))
}

func deletion(b *bench) {
	for i, q := range selections() {
		t := iot.TenantID(fmt.Sprintf("tenant%d", i))
		all := b.mixedIn(t)
		var rest []iot.Measurement
		for i := range all {
			if !q.Match(&all[i]) {
				rest = append(rest, all[i])
			}
		}
		b.expect("count", b.delete(t, q), int64(len(all)-len(rest)))
		b.same("rest", b.scan(t, series.Query{}), rest)
		b.rest()
		b.same("rest later", b.scan(t, series.Query{}), rest)
		b.delete(t, series.Query{})
		b.expect("catalog", b.catalog(t, 0), []series.Info{})
		m := temperature(2, start)
		b.append(t, m)
		b.same("a new one", b.scan(t, series.Query{}), []iot.Measurement{*m})
	}
	_, err := b.s.Delete(context.Background(), tenant, series.Query{Limit: 1})
	b.kind("limit", err, fault.Invalid)
}

// idsAfterDeletion removes the end of a source, below which a driver may have remembered free places.
func idsAfterDeletion(b *bench) {
	for _, ms := range []int64{10, 100, 70, 60} {
		b.append(tenant, temperature(1, start+ms))
	}
	b.rest()
	b.expect("deleted", b.delete(tenant, series.Query{Source: 1, From: start + 50}), int64(3))
	for _, ms := range []int64{50, 65, 80, 65, 65, 100, 70, 60, 60} {
		b.append(tenant, temperature(1, start+ms))
	}
	b.expect("all", len(b.scan(tenant, series.Query{Source: 1})), 10)
}

func dropTenant(b *bench) {
	all := b.mixed()
	b.append("other", temperature(2, start))
	if err := b.s.DropTenant(context.Background(), tenant); err != nil {
		b.t.Fatal(err)
	}
	b.same("gone", b.scan(tenant, series.Query{}), nil)
	b.expect("catalog", b.catalog(tenant, 0), []series.Info{})
	b.expect("other", len(b.scan("other", series.Query{})), 1)
	again := b.mixed()
	b.expect("count", len(again), len(all))
	b.same("again", b.scan(tenant, series.Query{}), again)
	if err := b.s.DropTenant(context.Background(), "nobody"); err != nil {
		b.t.Fatal(err)
	}
}

func refusals(b *bench) {
	bad := map[string]*iot.Measurement{
		"no source": temperature(0, start), "huge source": temperature(1<<63, start), "too old": temperature(1, series.MinTime-1), "too new": temperature(1, series.MaxTime+1),
		"utf8": values(1, start, "\xff"), "nul": values(1, start, "a\x00"), "long": values(1, start, strings.Repeat("x", series.MaxName+1)),
		"nan":   {Source: 1, Time: iot.FromMillis(start), Samples: []iot.Sample{{Value: iot.Number{Mant: int64(math.Float64bits(math.NaN())), Scale: iot.Float64}}}},
		"scale": {Source: 1, Time: iot.FromMillis(start), Samples: []iot.Sample{{Value: iot.Number{Mant: 1, Scale: 19}}}},
		"wide":  {Source: 1, Time: iot.FromMillis(start), Samples: make([]iot.Sample, series.MaxSamples+1)}, "nil": nil,
	}
	for name, m := range bad {
		err := b.s.Append(context.Background(), []series.Entry{{Tenant: tenant, M: temperature(1, start)}, {Tenant: tenant, M: m}})
		b.kind(name, err, fault.Invalid)
	}
	b.kind("tenant", b.s.Append(context.Background(), []series.Entry{{M: temperature(1, start)}}), fault.Invalid)
	b.same("nothing", b.scan(tenant, series.Query{}), nil)
	b.append(tenant)
	b.kind("offset", b.s.Scan(context.Background(), tenant, series.Query{Offset: -1}, func(*iot.Measurement) bool { return true }), fault.Invalid)
}

func canceled(b *bench) {
	b.mixed()
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := b.s.Scan(ctx, tenant, series.Query{}, func(*iot.Measurement) bool {
		n++
		cancel()
		return true
	})
	if b.kind("scan", err, fault.Canceled); n >= 1200 {
		b.t.Fatal("the scan went on to the end")
	}
	if !errors.Is(err, context.Canceled) {
		b.t.Fatal("the cause is lost")
	}
	before := len(b.scan(tenant, series.Query{}))
	b.kind("append", b.s.Append(ctx, []series.Entry{{Tenant: tenant, M: temperature(1, start)}}), fault.Canceled)
	_, err = b.s.Delete(ctx, tenant, series.Query{})
	b.kind("delete", err, fault.Canceled)
	_, err = b.s.Get(ctx, tenant, iot.MeasurementID{Source: 1, Time: start})
	b.kind("get", err, fault.Canceled)
	b.kind("drop", b.s.DropTenant(ctx, tenant), fault.Canceled)
	b.expect("unchanged", len(b.scan(tenant, series.Query{})), before)
}

func bigBatch(b *bench) {
	var all []*iot.Measurement
	for i := range int64(20_000) {
		all = append(all, temperature(iot.ID(1+i%50), start+i/50*1000))
	}
	b.append(tenant, all...)
	b.rest()
	b.same("all", b.scan(tenant, series.Query{}), plain(all))
	wide := make([]string, 1000)
	for i := range wide {
		wide[i] = "f" + strings.Repeat("x", i%10) + ".s" + string(rune('a'+i%26)) + ".u=1.5"
	}
	m := values(99, start, "wide", wide...)
	b.append(tenant, m)
	b.same("wide", b.scan(tenant, series.Query{Source: 99}), []iot.Measurement{*m})
}

func concurrent(b *bench) {
	const writers, each = 16, 60
	var wg sync.WaitGroup
	all := make([][]*iot.Measurement, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range int64(each) {
				batch := []*iot.Measurement{temperature(1, start+i%5), temperature(iot.ID(2+i%2), start-i)}
				entries := []series.Entry{{Tenant: tenant, M: batch[0]}, {Tenant: tenant, M: batch[1]}}
				if err := b.s.Append(context.Background(), entries); err != nil {
					b.t.Error(err)
				}
				all[w] = append(all[w], batch...)
			}
		})
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		for range 5 {
			b.rest()
		}
	}()
	wg.Wait()
	<-settled
	var flat []*iot.Measurement
	for _, of := range all {
		flat = append(flat, of...)
	}
	b.same("all", b.scan(tenant, series.Query{}), plain(flat))
}

func reentrant(b *bench) {
	b.mixed()
	n := 0
	err := b.s.Scan(context.Background(), tenant, series.Query{Source: 1, Limit: 20}, func(m *iot.Measurement) bool {
		id := m.ID()
		got := b.get(tenant, id)
		b.expect("get", got.ID(), id)
		b.append(tenant, temperature(1, start+int64(n)))
		n++
		return true
	})
	if err != nil || n != 20 {
		b.t.Fatal(n, err)
	}
}

func closed(b *bench) {
	b.mixed()
	if err := b.s.Close(); err != nil {
		b.t.Fatal(err)
	}
	ctx := context.Background()
	b.kind("append", b.s.Append(ctx, []series.Entry{{Tenant: tenant, M: temperature(1, start)}}), fault.Unavailable)
	b.kind("scan", b.s.Scan(ctx, tenant, series.Query{}, func(*iot.Measurement) bool { return true }), fault.Unavailable)
	_, err := b.s.Get(ctx, tenant, iot.MeasurementID{Source: 1, Time: start})
	b.kind("get", err, fault.Unavailable)
	_, err = b.s.Delete(ctx, tenant, series.Query{})
	b.kind("delete", err, fault.Unavailable)
	_, err = b.s.Catalog(ctx, tenant, 1)
	b.kind("catalog", err, fault.Unavailable)
	b.kind("drop", b.s.DropTenant(ctx, tenant), fault.Unavailable)
	if err := b.s.Close(); err != nil {
		b.t.Fatal(err)
	}
}
