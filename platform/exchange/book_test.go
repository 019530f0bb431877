package exchange_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/registry"
)

// devices makes objects.
func (f *fixture) devices(n int) (out []iot.ID) {
	f.Helper()
	d, err := iot.ParseDoc([]byte(`{"name":"dev","c8y_IsDevice":{}}`), iot.MaxDepth)
	f.must(err)
	draft, err := registry.DraftOf(d)
	f.must(err)
	for len(out) < n {
		drafts := make([]registry.Draft, min(50, n-len(out)))
		for i := range drafts {
			drafts[i] = draft
		}
		made, err := f.reg.Create(ctx, admin, registry.Place{}, drafts...)
		f.must(err)
		for _, o := range made {
			out = append(out, o.ID)
		}
	}
	return out
}

// TestAStartOfManySubscriptionsReadsEachOnce: what comes one after the other must not read all that came before. ISOBAR_SUBSCRIPTIONS sets how many there are; their times are logged.
func TestAStartOfManySubscriptionsReadsEachOnce(t *testing.T) {
	n := 300
	if s := os.Getenv("ISOBAR_SUBSCRIPTIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 1 {
			t.Fatalf("ISOBAR_SUBSCRIPTIONS=%s", s)
		}
	}
	each(t, func(f *fixture) {
		devices, began := f.devices(n), time.Now()
		f.store.rows.Store(0)
		expect := func(what string) {
			f.Helper()
			rows := f.store.rows.Load()
			f.Logf("%s: %d in %s, %d rows read", what, n, time.Since(began).Round(time.Millisecond), rows)
			if rows > int64(5*n) {
				f.Errorf("%s: %d rows were read for %d", what, rows, n)
			}
			f.store.rows.Store(0)
			began = time.Now()
		}
		topic := func(i int) string { return fmt.Sprint("topic", i/500) }
		for i, d := range devices {
			_, err := f.x.Subscribe(ctx, admin, exchange.Subscription{Scope: exchange.OfObject, Source: d, Name: topic(i)})
			f.must(err)
		}
		expect("subscriptions")
		var consumers []*exchange.Consumer
		for i := range devices {
			c, err := f.x.Attach(ctx, exchange.Pass{Tenant: admin.Tenant, Topic: topic(i), Subscriber: fmt.Sprint("s", i)}, "")
			f.must(err)
			consumers = append(consumers, c)
		}
		expect("consumers")
		f.record(devices[n-1])
		f.want("the last consumer", f.types(consumers[n-1], 1), "m1")
		for _, c := range consumers {
			c.Detach()
		}
		began = time.Now()
		f.store.rows.Store(0)
		for i := range devices {
			f.must(f.x.Unsubscribe(ctx, exchange.Pass{Tenant: admin.Tenant, Topic: topic(i), Subscriber: fmt.Sprint("s", i)}))
		}
		expect("consumers that go")
		for _, d := range devices {
			f.must(f.x.DropAll(ctx, admin, exchange.OfObject, d))
		}
		expect("subscriptions that go")
	})
}

// record stores a measurement of a device.
func (f *fixture) record(device iot.ID) {
	f.Helper()
	m := f.reading(1)
	m.Source = device
	_, err := f.tm.Record(ctx, admin, iot.Persistent, []iot.Measurement{m})
	f.must(err)
}

// TestWhatIsReadAgainIsHeardAllTheTime reads all that is subscribed again and again while facts come, as after a word of an older node.
func TestWhatIsReadAgainIsHeardAllTheTime(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		var want []string
		for i := range 300 {
			f.bus.Publish(bus.Subject(admin.Tenant, "exchange"), []byte("another node"))
			m := f.reading(i)
			_, err := f.tm.Record(ctx, admin, iot.Persistent, []iot.Measurement{m})
			f.must(err)
			want = append(want, m.Type)
		}
		f.want("all", f.types(c, len(want)), want...)
	})
}
