package sqlkit

import (
	"context"
	"errors"
)

// Delivery names what a client delivered, for effects that must not happen twice when the client repeats the delivery.
type Delivery struct {
	Tenant string
	Client uint64 // hash of the client's name
	Conn   int64  // the connection, in ascending order per client
	Packet uint16 // the client's identifier of the delivery on that connection
	Part   uint16 // the place of the effect in the delivery
	Hash   uint64 // of what was delivered
	// Repeats says that the client calls it a repetition, so that Write must look whether it is one of a delivery on the connection Before.
	// If Before is zero, that is the newest one before Conn that is known here, unless a newer one is known to be Elsewhere: then it is none.
	Repeats   bool
	Before    int64
	Elsewhere int64

	noted bool
}

// ErrRepeated is returned by Write, which then did nothing, when the delivery had its effect before.
var ErrRepeated = errors.New("the delivery was repeated and had its effect before")

type deliveryKey struct{}

// WithDelivery makes the first successful Write under the context the effect of a delivery: Write remembers it in the same transaction. The
// context must not be used by several goroutines.
func WithDelivery(ctx context.Context, d *Delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, d)
}

// withoutDelivery is for writes that are no effect.
func withoutDelivery(ctx context.Context) context.Context {
	if ctx.Value(deliveryKey{}) == nil {
		return ctx
	}
	return context.WithValue(ctx, deliveryKey{}, (*Delivery)(nil))
}

// deliverySlots bounds what is remembered of a client.
const deliverySlots = 64

// effect wraps a transaction that is the effect of a delivery. done must be told how it ended.
func effect(ctx context.Context, fn func(*Tx) error) (wrapped func(*Tx) error, done func(error)) {
	d, _ := ctx.Value(deliveryKey{}).(*Delivery)
	if d == nil || d.noted {
		return fn, func(error) {}
	}
	wrapped = func(tx *Tx) error {
		if d.Repeats {
			if known, err := d.known(ctx, tx); err != nil || known {
				return errors.Join(err, ErrRepeated)
			}
		}
		if err := fn(tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO delivery (tenant, client, slot, part, conn, packet, hash, uses) VALUES (?, ?, ?, ?, ?, ?, ?, 1)
			ON CONFLICT (tenant, client, slot, part) DO UPDATE SET conn = excluded.conn, packet = excluded.packet, hash = excluded.hash,
				uses = CASE WHEN delivery.conn = excluded.conn AND delivery.packet = excluded.packet THEN delivery.uses + 1 ELSE 1 END`,
			d.Tenant, int64(d.Client), int64(d.Packet%deliverySlots), int64(d.Part), d.Conn, int64(d.Packet), int64(d.Hash))
		return err
	}
	return wrapped, func(err error) { d.noted = d.noted || err == nil }
}

// known looks for the delivery among those of the connection before. A client that used the identifier more than once there does not tell its
// deliveries apart by it: nothing of it is known, so that no new delivery is taken for a repetition.
func (d *Delivery) known(ctx context.Context, tx *Tx) (bool, error) {
	before := d.Before
	if before == 0 {
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(conn), 0) FROM delivery WHERE tenant = ? AND client = ? AND conn <> ?`, d.Tenant, int64(d.Client), d.Conn).Scan(&before); err != nil {
			return false, err
		}
		before = max(before, d.Elsewhere)
	}
	var n int64
	err := tx.QueryRow(ctx, `SELECT count(*) FROM delivery WHERE tenant = ? AND client = ? AND slot = ? AND part = ? AND conn = ? AND packet = ? AND hash = ? AND uses = 1`,
		d.Tenant, int64(d.Client), int64(d.Packet%deliverySlots), int64(d.Part), before, int64(d.Packet), int64(d.Hash)).Scan(&n)
	return n > 0, err
}

// Connected remembers durably that a client which has delivered something has a new connection: what it delivered before is not on the
// newest one then. Of a client that has delivered nothing it remembers nothing. It takes a slot of its own, which no delivery has.
func (db *DB) Connected(ctx context.Context, tenant string, client uint64, conn int64) error {
	var known int64
	err := db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM delivery WHERE tenant = ? AND client = ? LIMIT 1) AS d`, tenant, int64(client)).Scan(&known)
	if err != nil || known == 0 {
		return err
	}
	return db.Write(withoutDelivery(ctx), func(tx *Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO delivery (tenant, client, slot, part, conn, packet, hash, uses) VALUES (?, ?, -1, 0, ?, 0, 0, 1)
			ON CONFLICT (tenant, client, slot, part) DO UPDATE SET conn = excluded.conn`, tenant, int64(client), conn)
		return err
	})
}
