package bus

import (
	"context"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Keeper is who must get facts even if the process dies right after they were stored, which the bus alone does not promise.
type Keeper interface {
	// Idle reports whether nobody waits for any fact, so that callers need not look at each.
	Idle() bool
	// Notes says how transactions of a tenant leave notes of their facts. It returns nil if nobody waits for facts of the tenant.
	Notes(t iot.TenantID) *sqlkit.Notes
	// Intend stores what is about to happen outside of SQL. When it returns, the fact is durable, but is not passed on before the promise
	// says so. It returns nil and no error if nobody waits for facts of the kind.
	Intend(ctx context.Context, t iot.TenantID, kind iot.Kind, a iot.Action, fact func() []byte) (Promise, error)
	// Tell passes a fact on that is stored already: a view of others that have notes of their own. A crash before it returns may lose it. It does nothing
	// if nobody waits for facts of the tenant.
	Tell(ctx context.Context, t iot.TenantID, subject string, data []byte) error
}

// Promise is an intended fact. Exactly one of its methods must be called, once.
type Promise interface {
	// Happened passes the fact on, as it is by now.
	Happened(data []byte)
	// Failed forgets it.
	Failed()
}

// SetKeeper names the keeper; it is called before facts are published.
func (b *Bus) SetKeeper(k Keeper) { b.keeper.Store(&k) }

// Noting makes the transactions under the returned context leave notes of the facts of a tenant, if somebody waits for them. In the modes of which
// subscribers are not told there are none.
func (b *Bus) Noting(ctx context.Context, t iot.TenantID) context.Context {
	if !iot.ModeOf(ctx).Live() {
		return ctx
	}
	if k := b.keeper.Load(); k != nil {
		if n := (*k).Notes(t); n != nil {
			return sqlkit.WithNotes(ctx, n)
		}
	}
	return ctx
}

// Keeps reports whether somebody may wait for facts that must not be lost.
func (b *Bus) Keeps() bool {
	k := b.keeper.Load()
	return k != nil && !(*k).Idle()
}

// Tell publishes a fact in the mode of the context, and passes it on to the keeper if subscribers are told of it; see Keeper.Tell.
func (b *Bus) Tell(ctx context.Context, t iot.TenantID, subject string, data []byte) {
	m := iot.ModeOf(ctx)
	if k := b.keeper.Load(); k != nil && m.Live() && !(*k).Idle() {
		if err := (*k).Tell(ctx, t, subject, data); err != nil {
			b.log.Warn("a fact is not passed on", "topic", subject, "err", err)
		}
	}
	b.Publish(InMode(subject, m), data)
}

// Intend is Keeper.Intend; without a keeper, nobody waits.
func (b *Bus) Intend(ctx context.Context, t iot.TenantID, kind iot.Kind, a iot.Action, fact func() []byte) (Promise, error) {
	if k := b.keeper.Load(); k != nil {
		return (*k).Intend(ctx, t, kind, a, fact)
	}
	return nil, nil
}
