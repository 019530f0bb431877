package exchange_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/platform/exchange"
)

// TestATenantThatIsSuspendedOrGone: who is connected is sent away and nobody comes in; when it is active again, nothing is lost.
func TestATenantThatIsSuspendedOrGone(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		token, err := f.x.Token(ctx, admin, exchange.Pass{Topic: "topic", Subscriber: "me"}, time.Hour)
		f.must(err)
		for _, kind := range []fault.Kind{fault.Denied, fault.NotFound} {
			_, err = f.x.Verify(ctx, token)
			f.must(err)
			ended := fault.E(fault.Op("test"), kind, "it ended")
			f.tenant.err.Store(&ended)
			f.bus.Publish(bus.Subject(admin.Tenant, "tenant"), nil)
			select {
			case <-c.Ended():
			case <-time.After(15 * time.Second):
				t.Fatal("the connection goes on")
			}
			if _, err := f.x.Verify(ctx, token); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("the token is good: %v", err)
			}
			if _, err := f.x.Attach(ctx, pass, ""); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("somebody was let in: %v", err)
			}
			if err := f.x.Unsubscribe(ctx, pass); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("somebody unsubscribed: %v", err)
			}
			f.send(1, 2, 1)
			f.tenant.err.Store(nil)
			c = f.attach()
			f.want("after it", f.types(c, 1), "m1")
		}
	})
}

// TestWhatASubscriptionMustNotBe: every one is in memory.
func TestWhatASubscriptionMustNotBe(t *testing.T) {
	each(t, func(f *fixture) {
		many := func(n, size int) (out []string) {
			for i := range n {
				out = append(out, fmt.Sprintf("%0*d", size, i))
			}
			return out
		}
		for what, s := range map[string]exchange.Subscription{
			"a long fragment": {Fragments: many(1, 257)}, "an empty fragment": {Fragments: []string{""}}, "many fragments": {Fragments: many(101, 3)}, "much together": {Fragments: many(65, 256)},
			"a long filter": {TypeFilter: strings.Repeat("x", 8<<10+1)},
		} {
			s.Scope, s.Name = exchange.OfTenant, "topic"
			if _, err := f.x.Subscribe(ctx, admin, s); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		s, err := f.x.Subscribe(ctx, admin, exchange.Subscription{Scope: exchange.OfTenant, Name: "topic", Fragments: append(many(60, 256), many(2, 256)...),
			APIs: []exchange.API{exchange.Events, exchange.Alarms, exchange.Events}})
		f.must(err)
		if !slices.Equal(s.APIs, []exchange.API{exchange.Events, exchange.Alarms}) || len(s.Fragments) != 60 {
			t.Errorf("stored %v and %d fragments", s.APIs, len(s.Fragments))
		}
	})
}

func (f *fixture) streams() (out []string) {
	f.Helper()
	js, err := jetstream.New(f.bus.Conn())
	f.must(err)
	list := js.StreamNames(ctx)
	for name := range list.Name() {
		out = append(out, name)
	}
	f.must(list.Err())
	return out
}

// TestATopicEndsWithItsLastConsumer: whoever comes later would not get what is in it.
func TestATopicEndsWithItsLastConsumer(t *testing.T) {
	each(t, func(f *fixture) {
		other := pass
		other.Subscriber = "other"
		f.subscribe()
		_, err := f.x.Attach(ctx, other, "")
		f.must(err)
		f.send(0, 1, 1)
		f.noNotes()
		f.must(f.x.Unsubscribe(ctx, other))
		if s := f.streams(); len(s) != 1 {
			t.Errorf("with a consumer there are the streams %v", s)
		}
		f.must(f.x.Unsubscribe(ctx, pass))
		if s := f.streams(); len(s) != 0 {
			t.Errorf("without a consumer there are the streams %v", s)
		}
		c := f.attach()
		f.send(1, 2, 1)
		f.want("in the new topic", f.types(c, 1), "m1")
	})
}

// TestTooManyTopicsAndConsumers: those that are there go on.
func TestTooManyTopicsAndConsumers(t *testing.T) {
	each(t, func(f *fixture) {
		join := func(topic, subscriber string) {
			_, err := f.store.Join(ctx, admin.Tenant, exchange.Place{Topic: topic, Subscriber: subscriber})
			f.must(err)
		}
		for i := range 999 {
			join(fmt.Sprint("t", i), "me")
		}
		c := f.attach()
		for i := range 999 {
			join("topic", fmt.Sprint("s", i))
		}
		for what, p := range map[string]exchange.Pass{"topic": {Tenant: admin.Tenant, Topic: "more", Subscriber: "me"}, "consumer": {Tenant: admin.Tenant, Topic: "topic", Subscriber: "more"}} {
			if _, err := f.x.Attach(ctx, p, ""); !fault.Is(err, fault.Full) {
				t.Errorf("one more %s: %v", what, err)
			}
		}
		if s := f.streams(); len(s) != 1 {
			t.Errorf("the streams are %v", s)
		}
		c.Detach()
		f.until("the one that was there comes again", func() bool {
			_, err := f.x.Attach(ctx, pass, "")
			return err == nil
		})
	})
}
