package exchange_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
