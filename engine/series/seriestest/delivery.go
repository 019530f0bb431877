package seriestest

import (
	"context"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// deliveries appends what two clients bring in more commits than a store must remember.
func deliveries(b *bench) {
	ctx := context.Background()
	const rounds = series.Remembered + 9
	entry := func(t iot.TenantID, client uint64, n int) series.Entry {
		return series.Entry{Tenant: t, M: temperature(1, int64(n)), From: &series.Delivery{Client: client, Conn: int64(n / 40), Packet: uint16(n), Part: uint16(n % 3), Hash: uint64(n) << 40}}
	}
	var want []series.Delivery
	for n := range rounds {
		batch := []series.Entry{entry(tenant, 7, 2*n), entry("other", 7, n), entry(tenant, 1<<63+5, n), {Tenant: tenant, M: temperature(2, int64(n))}, entry(tenant, 7, 2*n+1)}
		if err := b.s.Append(ctx, batch); err != nil {
			b.t.Fatal(err)
		}
		want = append(want, *batch[0].From, *batch[4].From)
	}
	b.rest()
	got, err := b.s.Deliveries(ctx, tenant, 7)
	if err != nil {
		b.t.Fatal(err)
	}
	if least := want[len(want)-2*series.Remembered:]; len(got) < len(least) || !slices.Equal(got[len(got)-len(least):], least) {
		b.t.Fatalf("remembered %v, want at least %v", got, least)
	}
	for _, client := range []uint64{7, 8} {
		if err := b.s.Connected(ctx, tenant, client, 4711); err != nil {
			b.t.Fatal(err)
		}
	}
	if got, err = b.s.Deliveries(ctx, tenant, 7); err != nil || got[len(got)-1] != (series.Delivery{Client: 7, Conn: 4711}) || got[len(got)-2] != want[len(want)-1] {
		b.t.Fatalf("after a new connection: %v, %v", got, err)
	}
	if got, err = b.s.Deliveries(ctx, tenant, 8); err != nil || len(got) != 0 {
		b.t.Fatalf("a client that never came: %v, %v", got, err)
	}
	if err := b.s.DropTenant(ctx, tenant); err != nil {
		b.t.Fatal(err)
	}
	if got, err = b.s.Deliveries(ctx, tenant, 7); err != nil || len(got) != 0 {
		b.t.Fatalf("after the tenant was dropped: %v, %v", got, err)
	}
	if got, err = b.s.Deliveries(ctx, "other", 7); err != nil || len(got) < series.Remembered {
		b.t.Fatalf("another tenant has %d, %v", len(got), err)
	}
}
