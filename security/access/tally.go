package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// What strangers can cause must not fill the audit: of each kind of refusal, a tenant gets so many records in a window, and then one that
// says how many more there were.
const (
	tallyWindow = time.Minute
	tallySingle = 20
	tallyKinds  = 10_000 // of all tenants; more are only counted together with the others of their tenant
)

type tallyKey struct {
	tenant   iot.TenantID
	activity string
}

type tallied struct {
	start   time.Time
	written int
	more    int
	last    iot.Principal
}

// tally writes audit records of refusals, bounded. It is safe for concurrent use.
type tally struct {
	audit Auditor
	mu    sync.Mutex // guards the rest
	kinds map[tallyKey]*tallied
	timer *time.Timer // runs while there is something to sum up
	ended bool
}

func newTally(a Auditor) *tally { return &tally{audit: a, kinds: map[tallyKey]*tallied{}} }

// record writes a record about p, or counts it for the sum.
func (y *tally) record(ctx context.Context, p iot.Principal, activity, text string, now time.Time) {
	key := tallyKey{p.Tenant, activity}
	y.mu.Lock()
	k := y.kinds[key]
	if k == nil {
		if len(y.kinds) >= tallyKinds {
			key = tallyKey{iot.Management, activity}
			p.Tenant = iot.Management
		}
		if k = y.kinds[key]; k == nil {
			k = &tallied{start: now}
			y.kinds[key] = k
		}
	}
	var sum func()
	if now.Sub(k.start) >= tallyWindow || now.Before(k.start) {
		sum = y.sumUp(key, k)
		*k = tallied{start: now}
	}
	single := k.written < tallySingle
	if single {
		k.written++
	} else {
		k.more++
		k.last = p
	}
	if y.timer == nil && !y.ended {
		y.timer = time.AfterFunc(tallyWindow, y.flush)
	}
	y.mu.Unlock()
	if sum != nil {
		sum()
	}
	if single {
		y.audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: activity, Severity: "WARNING", Text: text})
	}
}

// sumUp returns what writes the sum of a window, nil if nothing was left out. The caller holds the lock; what is returned runs without it.
func (y *tally) sumUp(key tallyKey, k *tallied) func() {
	if k.more == 0 {
		return nil
	}
	more, last, since := k.more, k.last, k.start
	return func() {
		y.audit.Record(context.Background(), iot.Principal{Tenant: key.tenant, User: "system"}, iot.AuditRecord{Type: "UserAuthentication", Activity: key.activity, Severity: "WARNING",
			Text: fmt.Sprintf("%d more of these since %s, the last by '%s' from %s", more, since.UTC().Format(time.RFC3339), last.User, host(last.RemoteAddr))})
	}
}

// flush writes the sums of all windows and starts over.
func (y *tally) flush() {
	y.mu.Lock()
	var sums []func()
	for key, k := range y.kinds {
		if sum := y.sumUp(key, k); sum != nil {
			sums = append(sums, sum)
		}
	}
	clear(y.kinds)
	y.timer = nil
	y.mu.Unlock()
	for _, sum := range sums {
		sum()
	}
}

// close writes what is left.
func (y *tally) close() {
	y.mu.Lock()
	y.ended = true
	if y.timer != nil {
		y.timer.Stop()
	}
	y.mu.Unlock()
	y.flush()
}
