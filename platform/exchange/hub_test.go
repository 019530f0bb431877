package exchange_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/exchange"
)

// value is a metric of the component.
func (f *fixture) value(name string) (v float64) {
	f.Helper()
	all, err := f.count.Gather()
	f.must(err)
	for _, m := range all {
		if m.GetName() == "isobar_notifications_"+name {
			return m.GetMetric()[0].GetGauge().GetValue() + m.GetMetric()[0].GetCounter().GetValue()
		}
	}
	f.Fatalf("there is no metric %s", name)
	return 0
}

func (f *fixture) until(what string, check func() bool) {
	f.Helper()
	for end := time.Now().Add(15 * time.Second); !check(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("not in time: %s", what)
		}
	}
}

// fat is a reading with much beside it.
func (f *fixture) fat(n, size int) iot.Measurement {
	f.Helper()
	m := f.reading(n)
	var err error
	m.Extra, err = iot.ParseDoc(fmt.Appendf(nil, `{"fat":%q}`, strings.Repeat("x", size)), iot.MaxDepth)
	f.must(err)
	return m
}

func (f *fixture) send(from, to, size int) {
	f.Helper()
	for n := from; n < to; n++ {
		f.intend(f.fat(n, size)).Happened(batch(f.fat(n, size)))
	}
}

// TestConnectionsTakeNothingFromTheServer: it has a bounded number of consumers for a stream, and keeps each for minutes.
func TestConnectionsTakeNothingFromTheServer(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		f.send(0, 1, 1)
		f.types(c, 1)
		js, err := jetstream.New(f.bus.Conn())
		f.must(err)
		stream, err := js.Stream(ctx, "n2-acme-topic")
		f.must(err)
		if n := stream.CachedInfo().State.Consumers; n != 0 {
			t.Errorf("%d consumers of the stream", n)
		}
		c.Detach()
	})
}

// TestAConsumerThatAcknowledgesNothingHoldsABoundedPart of a topic, and misses nothing of it when it does.
func TestAConsumerThatAcknowledgesNothingHoldsABoundedPart(t *testing.T) {
	each(t, func(f *fixture) {
		const n, size = 60, 100_000
		c := f.subscribe()
		f.send(0, n, size)
		f.noNotes()
		var got []exchange.Notification
		more := func() {
			within, cancel := context.WithTimeout(ctx, 15*time.Second)
			defer cancel()
			some, err := c.Next(within)
			f.must(err)
			got = append(got, some...)
		}
		for len(got) < 11 { // more than a mebibyte
			more()
		}
		if held := f.value("held_bytes"); held < 1<<20 || held > 1<<20+512<<10+3*size {
			t.Errorf("%.0f bytes are held", held)
		}
		if len(got) != 11 {
			t.Errorf("%d messages were handed out", len(got))
		}
		for done := 0; ; more() {
			for ; done < len(got); done++ {
				c.Acknowledge(got[done].ID)
			}
			if done == n {
				break
			}
		}
		f.until("nothing is held", func() bool { return f.value("held_bytes") == 0 })
		f.send(n, n+20, size)
		more()
		c.Detach()
		f.until("nothing is held after the end", func() bool { return f.value("held_bytes") == 0 })
	})
}

// TestAllConsumersTogetherHoldABoundedPart, and none of them stops the others.
func TestAllConsumersTogetherHoldABoundedPart(t *testing.T) {
	each(t, func(f *fixture) {
		f.stop()
		f.conf.MaxHeld = 400_000
		f.start()
		_, err := f.x.Subscribe(ctx, admin, exchange.Subscription{Scope: exchange.OfObject, Source: f.dev, Name: "topic"})
		f.must(err)
		const greedy, n, size = 5, 30, 50_000
		for i := range greedy {
			p := pass
			p.Subscriber = fmt.Sprint("greedy", i)
			_, err := f.x.Attach(ctx, p, "")
			f.must(err)
		}
		c := f.attach()
		f.send(0, n, size)
		f.types(c, n)
		if held := f.value("held_bytes"); held > 400_000+(greedy+1)*2*size {
			t.Errorf("%.0f bytes are held", held)
		}
	})
}

// TestWhatASlowConsumerOfMemoryLosesIsCounted: the oldest go.
func TestWhatASlowConsumerOfMemoryLosesIsCounted(t *testing.T) {
	each(t, func(f *fixture) {
		_, err := f.x.Subscribe(ctx, admin, exchange.Subscription{Scope: exchange.OfTenant, Name: "live", Volatile: true, APIs: []exchange.API{exchange.Events}})
		f.must(err)
		_, err = f.x.Attach(ctx, exchange.Pass{Tenant: admin.Tenant, Topic: "live", Subscriber: "me", Volatile: true}, "")
		f.must(err)
		const n, size = 100, 100_000
		for i := range n {
			d, err := iot.ParseDoc(fmt.Appendf(nil, `{"fat":%q}`, strings.Repeat("x", size)), iot.MaxDepth)
			f.must(err)
			_, err = f.tm.CreateEvent(ctx, admin, iot.Persistent, iot.Event{Source: f.dev, Type: fmt.Sprint(i), Text: "x", Time: start, Fragments: d})
			f.must(err)
		}
		f.until("the oldest went", func() bool { return f.value("dropped_total") > n/4 })
		if held := f.value("held_bytes"); held > 6<<20 {
			t.Errorf("%.0f bytes are held", held)
		}
	})
}

// TestAMessageThatIsNeverAcknowledged: the consumer is told, and the next one gets the message again and goes on.
func TestAMessageThatIsNeverAcknowledged(t *testing.T) {
	each(t, func(f *fixture) {
		f.stop()
		f.conf.Patience = time.Millisecond
		f.start()
		c := f.subscribe()
		const n = 7000
		for i := 0; i < n; i += 500 {
			var m []iot.Measurement
			for j := range 500 {
				m = append(m, f.reading(i+j))
			}
			f.intend(m...).Happened(batch(m...))
		}
		within, cancel := context.WithTimeout(ctx, 60*time.Second)
		defer cancel()
		first := uint64(0)
		var err error
		for err == nil {
			var got []exchange.Notification
			got, err = c.Next(within)
			for _, m := range got {
				if first == 0 {
					first = m.ID
					continue
				}
				c.Acknowledge(m.ID)
			}
		}
		if !fault.Is(err, fault.Conflict) {
			t.Fatalf("the consumer ended with %v", err)
		}
		var again *exchange.Consumer
		f.until("the consumer has ended", func() bool {
			again, err = f.x.Attach(ctx, pass, "")
			return err == nil
		})
		got, err := again.Next(within)
		f.must(err)
		if got[0].ID != first {
			t.Errorf("message %d came, not %d", got[0].ID, first)
		}
		again.Acknowledge(got[0].ID)
		if got, err = again.Next(within); err != nil || got[0].ID <= first+5000 {
			t.Errorf("then came %v, %v (first %d)", got[0].ID, err, first)
		}
	})
}
