package access

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

// gate bounds the work of hashing: as many at once as there are processors, and a short queue. Each hash takes 20 ms and 19 MiB, so that
// without it whoever sends made-up names would own processor and memory.
type gate struct {
	slots   chan struct{}
	waiting atomic.Int64
}

const (
	maxWaiting = 128             // more than that are refused at once
	maxWait    = 5 * time.Second // longer than that nobody waits
)

func newGate() *gate { return &gate{slots: make(chan struct{}, runtime.GOMAXPROCS(0))} }

// do runs fn when there is room, or fails with Exhausted.
func (g *gate) do(ctx context.Context, fn func()) error {
	const op = fault.Op("access.Hash")
	busy := fault.E(op, fault.Exhausted, time.Second, "too many logins at once, try again in a second")
	select {
	case g.slots <- struct{}{}:
	default:
		if g.waiting.Add(1) > maxWaiting {
			g.waiting.Add(-1)
			return busy
		}
		timer := time.NewTimer(maxWait)
		defer timer.Stop()
		select {
		case g.slots <- struct{}{}:
			g.waiting.Add(-1)
		case <-timer.C:
			g.waiting.Add(-1)
			return busy
		case <-ctx.Done():
			g.waiting.Add(-1)
			return fault.E(op, ctx.Err())
		}
	}
	defer func() { <-g.slots }()
	fn()
	return nil
}

// verify compares a password with a hash, in turn if that takes long.
func (u *Users) verify(ctx context.Context, hash, pw string) (ok bool, err error) {
	if strings.HasPrefix(hash, fastPrefix) {
		return verify(hash, pw), nil
	}
	if len(pw) > maxTried { // hashing more is work for nothing: no password is so long
		pw = pw[:maxTried]
	}
	err = u.gate.do(ctx, func() { ok = verify(hash, pw) })
	return ok, err
}

const maxTried = 1024

// hash hashes a password that a person chose, in turn.
func (u *Users) hash(ctx context.Context, pw string) (hash string, err error) {
	err = u.gate.do(ctx, func() { hash = hashPassword(pw) })
	return hash, err
}
