package telemetry

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Counts is the book of what a source sent. Received is the sum of Stored, Refused, Duplicate, Expired and what is still under way; Late
// and Skewed are parts of Stored. A count is of readings: one measurement, event or alarm each.
type Counts struct {
	Received  int64
	Stored    int64 // durable and acknowledged
	Refused   int64 // told to the sender, or counted only where the dialect has no answer; see Ledger.Reasons
	Duplicate int64 // deliveries that were repeated although they had been stored, and acknowledged once more
	Expired   int64 // the sender's expiry had passed before its turn came
	Late      int64 // measured so long ago that they came from a buffer
	Skewed    int64 // measured in the future
	Gaps      int64 // silences far beyond the usual distance of readings
}

func (c *Counts) add(o Counts) {
	c.Received += o.Received
	c.Stored += o.Stored
	c.Refused += o.Refused
	c.Duplicate += o.Duplicate
	c.Expired += o.Expired
	c.Late += o.Late
	c.Skewed += o.Skewed
	c.Gaps += o.Gaps
}

// Gap is a silence: no reading of the source between two times that are further apart than its readings usually are.
type Gap struct {
	From, To time.Time // of the readings before and after
	Filled   int64     // readings that came later and lie in between
}

// MaxGaps is how many gaps of a source are kept; the oldest go first.
const MaxGaps = 16

// Ledger tells how complete the data of a source is. It is written every few seconds: the counts of the last seconds before a crash may be
// missing, the readings are not.
type Ledger struct {
	Source iot.ID
	Counts
	Reasons      map[string]int64 // of Refused, by kind of fault
	Since        time.Time        // when counting began
	LastReceived time.Time        // by the clock of the platform
	Newest       time.Time        // latest time of a reading, by the clock of the source
	Step         time.Duration    // usual distance of readings; zero while it is not known
	// Lag is the least time between a reading's own time and its arrival lately. Of a source that is connected it is close to zero; a
	// negative one says that its clock is ahead, a large one that its clock is behind or that it sends from a buffer.
	Lag  time.Duration
	Gaps []Gap // the latest, oldest first
}

// Ledgers is the part of a Store that keeps ledgers.
type Ledgers interface {
	// AddLedgers adds counts to what is stored of each source, keeps the later of the times, and replaces Step, unless it is zero, Lag and
	// Gaps. Since is that of the first time.
	AddLedgers(ctx context.Context, t iot.TenantID, add []Ledger) error
	// Ledgers returns the ledgers of sources, or of all if there are none, in order of source. Sources without one are left out.
	Ledgers(ctx context.Context, t iot.TenantID, sources []iot.ID, offset, limit int) ([]Ledger, error)
	// DropLedger removes the ledger of a source.
	DropLedger(ctx context.Context, t iot.TenantID, source iot.ID) error
}

// Ledger returns the ledger of a source, up to the present moment on this node. It needs to read measurements of the source.
func (tm *Telemetry) Ledger(ctx context.Context, p iot.Principal, source iot.ID) (Ledger, error) {
	if _, err := tm.d.Registry.Check(ctx, p, source, access.Measurement, access.Read); err != nil {
		return Ledger{}, err
	}
	tm.books.flush(ctx, func(k accountKey) bool { return k == accountKey{p.Tenant, source} })
	found, err := tm.d.Store.Ledgers(ctx, p.Tenant, []iot.ID{source}, 0, 1)
	if err != nil {
		return Ledger{}, noDocument("telemetry.Ledger", "ledger", source.String(), err)
	}
	if len(found) == 0 {
		return Ledger{Source: source}, nil
	}
	return found[0], nil
}

// Ledgers returns a page of the ledgers of a tenant, in order of source. It needs the permission to read all measurements; who owns few
// devices gets theirs.
func (tm *Telemetry) Ledgers(ctx context.Context, p iot.Principal, offset, limit int) ([]Ledger, error) {
	const op = fault.Op("telemetry.Ledgers")
	scope, few, err := tm.readable(ctx, p, access.Measurement)
	if err != nil {
		return nil, err
	}
	if !scope.All {
		if few == nil {
			return nil, fault.E(op, fault.Denied, "you may read too many devices to list, but not all: ask for the ledger of one device")
		}
		// Whose measurements p sees in part only is left out: a ledger counts all of them.
		few = slices.DeleteFunc(few, func(id iot.ID) bool {
			_, err := tm.d.Registry.Check(ctx, p, id, access.Measurement, access.Read)
			return err != nil
		})
		if len(few) == 0 {
			return nil, nil
		}
	}
	tm.books.flush(ctx, func(k accountKey) bool { return k.t == p.Tenant })
	found, err := tm.d.Store.Ledgers(ctx, p.Tenant, few, offset, limit)
	return found, noDocument(op, "ledger", "", err)
}

// Refused counts a reading that its dialect refused before it reached the face, or that the face refused.
func (tm *Telemetry) Refused(t iot.TenantID, source iot.ID, err error) {
	tm.books.received(t, source, 1).refused(err)
}

// Duplicate counts a reading that came again although it was stored.
func (tm *Telemetry) Duplicate(t iot.TenantID, source iot.ID) {
	tm.books.received(t, source, 1).outcome(Counts{Duplicate: 1})
}

// Expired counts a reading whose sender gave it a time that had passed.
func (tm *Telemetry) Expired(t iot.TenantID, source iot.ID) {
	tm.books.received(t, source, 1).outcome(Counts{Expired: 1})
}

// account is the part of a ledger that is not written yet.
type account struct {
	t      iot.TenantID
	source iot.ID

	mu      sync.Mutex // guards the fields below
	pending int        // readings under way: the account must stay
	idle    int        // rounds of writing without anything new
	counts  Counts
	reasons map[string]int64
	at      int64 // Unix milliseconds of the last arrival
	first   int64 // time of the first reading since the account was opened; zero: none
	newest  int64
	step    float64 // milliseconds, a moving mean of the distances of readings
	steps   int
	lag     int64
	lagged  bool
	gaps    []Gap
	filled  bool // gaps changed
	resumed bool // it knows what was stored before it was opened

	// Measurements that were stored and that the meter of usage was not told of: on the UTC day of the last one, and before it. The meter is
	// told every few seconds, so that before means the day before.
	day              int64
	made, madeBefore int64
}

const (
	// gapFactor is how many usual distances make a silence a gap, leastGap the shortest one.
	gapFactor = 5
	leastGap  = 10_000
	// knownSteps is how many distances must have been seen before a silence can be told from the usual.
	knownSteps = 8
	dayMillis  = 86_400_000
	// meanOver is the number of distances that the moving mean looks back at.
	meanOver = 16
)

func (a *account) refused(err error) {
	kind := fault.KindOf(err).String()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending--
	a.counts.Refused++
	if a.reasons == nil {
		a.reasons = map[string]int64{}
	}
	a.reasons[kind]++
}

func (a *account) outcome(c Counts) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending--
	a.counts.add(c)
}

// settle counts the outcome of a measurement.
func (a *account) settle(m *iot.Measurement, err error, arrived int64) {
	if err != nil {
		a.refused(err)
		return
	}
	a.stored(m.Time.UnixMilli(), arrived)
}

// stored counts a reading with its own time and that of its arrival, both Unix milliseconds.
func (a *account) stored(ms, arrived int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending--
	a.counts.Stored++
	if day := arrived / dayMillis; day != a.day {
		a.day, a.made, a.madeBefore = day, 0, a.madeBefore+a.made
	}
	a.made++
	lag := arrived - ms
	if !a.lagged || lag < a.lag {
		a.lag, a.lagged = lag, true
	}
	if lag > lateAfter.Milliseconds() {
		a.counts.Late++
	} else if lag < -skewAfter.Milliseconds() {
		a.counts.Skewed++
	}
	if a.first == 0 {
		a.first = ms
	}
	a.advance(ms)
}

// advance takes a reading's time into account for the usual distance and for gaps.
func (a *account) advance(ms int64) {
	switch d := ms - a.newest; {
	case a.newest == 0:
		a.newest = ms
	case d < 0:
		a.fill(ms)
	case d > 0:
		a.newest = ms
		if a.silence(ms-d, ms) {
			return
		}
		a.steps++
		a.step += (float64(d) - a.step) / float64(min(a.steps, meanOver))
	}
}

// silence notes a gap between two times if they are too far apart.
func (a *account) silence(from, to int64) bool {
	if a.steps < knownSteps || to-from < leastGap || float64(to-from) < gapFactor*a.step {
		return false
	}
	a.counts.Gaps++
	a.gaps = append(a.gaps, Gap{From: iot.FromMillis(from), To: iot.FromMillis(to)})
	a.gaps = a.gaps[max(0, len(a.gaps)-MaxGaps):]
	return true
}

func (a *account) fill(ms int64) {
	at := iot.FromMillis(ms)
	if i := slices.IndexFunc(a.gaps, func(g Gap) bool { return at.After(g.From) && at.Before(g.To) }); i >= 0 {
		a.gaps[i].Filled++
		a.filled = true
	}
}

// take returns what is to be written and begins anew. ok is false if there is nothing; quiet says that nothing is under way and that there
// was nothing for a while.
func (a *account) take() (l Ledger, ok, quiet bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == (Counts{}) && !a.filled {
		a.idle++
		return l, false, a.idle > 1 && a.pending == 0
	}
	l = Ledger{Source: a.source, Counts: a.counts, Reasons: a.reasons, LastReceived: millis(a.at), Newest: millis(a.newest), Gaps: slices.Clone(a.gaps)}
	if a.steps >= knownSteps {
		l.Step = time.Duration(a.step * float64(time.Millisecond))
	}
	if a.lagged {
		l.Lag = time.Duration(a.lag) * time.Millisecond
	}
	a.idle, a.counts, a.reasons, a.lagged, a.filled = 0, Counts{}, nil, false, false
	return l, true, false
}

// back takes back what could not be written.
func (a *account) back(l Ledger) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts.add(l.Counts)
	for k, n := range l.Reasons {
		if a.reasons == nil {
			a.reasons = map[string]int64{}
		}
		a.reasons[k] += n
	}
}

// fresh reports whether the account does not know yet what is stored of its source.
func (a *account) fresh() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.resumed
}

// resume takes over what is stored of the source, from before the account was opened: a silence may lie between the two.
func (a *account) resume(before Ledger) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.resumed {
		return
	}
	a.resumed = true
	own := a.gaps
	a.gaps = slices.Clone(before.Gaps)
	if a.steps < knownSteps && before.Step > 0 {
		a.step, a.steps = float64(before.Step.Milliseconds()), knownSteps
	}
	switch newest := before.Newest; {
	case newest.IsZero():
	case a.first == 0:
		a.newest = newest.UnixMilli()
	case before.Step > 0:
		a.silence(newest.UnixMilli(), a.first)
	}
	a.gaps = append(a.gaps, own...)
	a.gaps = a.gaps[max(0, len(a.gaps)-MaxGaps):]
}

func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return iot.FromMillis(ms)
}
