package access

import (
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Failed logins within a window, after which further ones are refused unchecked until it ends. Counting a user only together with the
// address keeps an attacker from locking the user out elsewhere; who guesses with many users or from many addresses is stopped by the other
// two, which spare those who logged in from the same address not long ago. Names that do not exist count like those that do.
const (
	throttleWindow     = time.Minute
	maxFailures        = 20  // of one user from one address
	maxAddressFailures = 100 // of all users from one address
	maxUserFailures    = 100 // of one user from all addresses
	codeWindow         = 5 * time.Minute
	maxCodeFailures    = 5 // wrong one-time passwords of one user: who gives them knows the password

	failuresSize = 50_000
	knownSize    = 50_000
	knownTTL     = 30 * 24 * time.Hour
	loginsEvery  = time.Hour // good Basic logins of a user from an address are audited so often at most
)

// window counts within a span of time.
type window struct {
	mu    sync.Mutex // guards start and n
	start time.Time
	n     int
}

// add counts n more and returns the sum within the window, and how long it still lasts.
func (w *window) add(now time.Time, span time.Duration, n int) (sum int, left time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.start) >= span || now.Before(w.start) {
		w.start, w.n = now, 0
	}
	w.n += n
	return w.n, w.start.Add(span).Sub(now)
}

// counters is a bounded set of windows by key.
type counters struct {
	span    time.Duration
	limit   int
	windows *otter.Cache[string, *window]
}

func newCounters(span time.Duration, limit int) *counters {
	return &counters{span, limit, otter.Must(&otter.Options[string, *window]{MaximumSize: failuresSize, ExpiryCalculator: otter.ExpiryAccessing[string, *window](2 * span)})}
}

// full returns how long a key must wait, zero if it need not.
func (c *counters) full(key string, now time.Time) time.Duration {
	w, ok := c.windows.GetIfPresent(key)
	if !ok {
		return 0
	}
	if n, left := w.add(now, c.span, 0); n >= c.limit {
		return left
	}
	return 0
}

func (c *counters) add(key string, now time.Time) {
	w, _ := c.windows.ComputeIfAbsent(key, func() (*window, bool) { return &window{}, false })
	w.add(now, c.span, 1)
}

// guard throttles logins. It is safe for concurrent use and keeps its memory on one node: with n nodes an attacker has n times the tries.
type guard struct {
	pair, address, user, code, mail *counters
	known                           *otter.Cache[string, time.Time] // where users logged in from, and when that was last audited
}

func newGuard() *guard {
	return &guard{pair: newCounters(throttleWindow, maxFailures), address: newCounters(throttleWindow, maxAddressFailures), user: newCounters(throttleWindow, maxUserFailures),
		code: newCounters(codeWindow, maxCodeFailures), mail: newCounters(mailWindow, maxMails),
		known: otter.Must(&otter.Options[string, time.Time]{MaximumSize: knownSize, ExpiryCalculator: otter.ExpiryWriting[string, time.Time](knownTTL)})}
}

func tried(wait time.Duration) error {
	return fault.E(fault.Op("access.Login"), fault.Exhausted, wait, "too many failed logins, try again later")
}

func userKey(t iot.TenantID, name iot.UserName) string { return string(t) + "/" + string(name) }

// admit returns a fault of kind Exhausted if nobody may try now.
func (g *guard) admit(t iot.TenantID, name iot.UserName, addr string, now time.Time) error {
	user := userKey(t, name)
	pair := user + "@" + addr
	wait := g.pair.full(pair, now)
	if _, known := g.known.GetIfPresent(pair); !known {
		wait = max(wait, g.user.full(user, now))
		if addr != "" {
			wait = max(wait, g.address.full(addr, now))
		}
	}
	if wait > 0 {
		return tried(wait)
	}
	return nil
}

// failed counts a failure.
func (g *guard) failed(t iot.TenantID, name iot.UserName, addr string, now time.Time) {
	user := userKey(t, name)
	g.pair.add(user+"@"+addr, now)
	g.user.add(user, now)
	if addr != "" {
		g.address.add(addr, now)
	}
}

// succeeded remembers the address and forgets the failures from there. It reports whether a login from there was not audited lately.
func (g *guard) succeeded(t iot.TenantID, name iot.UserName, addr string, now time.Time) (fresh bool) {
	pair := userKey(t, name) + "@" + addr
	g.pair.windows.Invalidate(pair)
	last, known := g.known.GetIfPresent(pair)
	if fresh = !known || now.Sub(last) >= loginsEvery; fresh {
		g.known.Set(pair, now)
	}
	return fresh
}
