package sqlkit_test

import (
	"context"
	"errors"
	"testing"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

// TestADeliveryHasItsEffectOnce repeats deliveries after various things have happened in between.
func TestADeliveryHasItsEffectOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := migrated(t, db)
		write := func(d sqlkit.Delivery) (repeated bool) {
			t.Helper()
			ran := false
			err := db.Write(sqlkit.WithDelivery(ctx, &d), func(*sqlkit.Tx) error { ran = true; return nil })
			if err != nil && !errors.Is(err, sqlkit.ErrRepeated) {
				t.Fatal(err)
			}
			if ran == errors.Is(err, sqlkit.ErrRepeated) {
				t.Fatalf("ran: %v, and %v", ran, err)
			}
			return err != nil
		}
		one := sqlkit.Delivery{Tenant: "main", Client: 1<<63 + 7, Conn: 10, Packet: 5, Part: 1, Hash: 1<<63 + 9}
		again := func(change func(*sqlkit.Delivery)) sqlkit.Delivery {
			d := one
			d.Conn, d.Repeats = 20, true
			if change != nil {
				change(&d)
			}
			return d
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		failed := one
		if err := db.Write(sqlkit.WithDelivery(ctx, &failed), func(*sqlkit.Tx) error { return context.Canceled }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if write(again(nil)) {
			t.Error("what failed counts as delivered")
		}
		write(one)
		for name, c := range map[string]struct {
			change func(*sqlkit.Delivery)
			want   bool
		}{
			"as it was":                    {nil, true},
			"on the connection named":      {func(d *sqlkit.Delivery) { d.Before = 10 }, true},
			"on another connection":        {func(d *sqlkit.Delivery) { d.Before = 11 }, false},
			"a newer one is elsewhere":     {func(d *sqlkit.Delivery) { d.Elsewhere = 15 }, false},
			"an older one is elsewhere":    {func(d *sqlkit.Delivery) { d.Elsewhere = 5 }, true},
			"other content":                {func(d *sqlkit.Delivery) { d.Hash++ }, false},
			"another part":                 {func(d *sqlkit.Delivery) { d.Part++ }, false},
			"another client":               {func(d *sqlkit.Delivery) { d.Client++ }, false},
			"another tenant":               {func(d *sqlkit.Delivery) { d.Tenant = "other" }, false},
			"a new one, whatever it holds": {func(d *sqlkit.Delivery) { d.Repeats = false }, false},
		} {
			d := one
			d.Client += 100 // a client for each case
			first := d
			write(first)
			d.Conn, d.Repeats = 20, true
			if c.change != nil {
				c.change(&d)
			}
			if got := write(d); got != c.want {
				t.Errorf("%s: repeated %v", name, got)
			}
			_, err := db.EraseTenant(ctx, "main")
			must(err)
		}
		write(one)
		write(one) // the client uses the identifier again on the same connection
		if write(again(nil)) {
			t.Error("a client that uses one identifier for everything lost a delivery")
		}
		_, err := db.EraseTenant(ctx, "main")
		must(err)
		write(one)
		must(db.Connected(ctx, "main", one.Client, 15))
		must(db.Connected(ctx, "main", one.Client+1, 15)) // has delivered nothing
		if write(again(nil)) {
			t.Error("a newer connection on which nothing happened does not count")
		}
	})
}
