package retention

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

const (
	// every is how long the rules of a tenant rest between two runs.
	every = 24 * time.Hour
	// lookEvery is how often a node looks for tenants whose rules are due.
	lookEvery = 10 * time.Minute
	// Leap is the longest rest after which rules run by themselves. After a longer one the clock may be wrong, and what it says is too old is not.
	Leap = 7 * 24 * time.Hour
	// lease is how long a run stays claimed by a node that says nothing, beat is how often it does.
	lease, beat = 5 * time.Minute, time.Minute
	// maxStarted bounds the runs that people asked for and that go on at a time, on one node.
	maxStarted = 4
)

// Progress is how far a run of the rules of a tenant got.
type Progress struct {
	Began time.Time
	Ended time.Time    `json:",omitzero"`  // zero: it goes on, or its node has died
	By    iot.UserName `json:",omitempty"` // who asked for it; empty: the platform
	Steps int          // rules times data types
	// Semantics is what it goes by; empty in one of a version that had no choice.
	Semantics Semantics          `json:",omitempty"`
	Done      int                // of Steps
	Removed   map[DataType]int64 // documents
	Failed    string             `json:",omitempty"` // what went wrong first; the other steps were done
}

// Run removes what is due until ctx ends.
func (s *Rules) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.Work(ctx)
		timer.Reset(lookEvery)
	}
}

// Work runs the rules of all tenants that have not run for a day, as far as no other node does. What fails is logged and comes again the next day.
func (s *Rules) Work(ctx context.Context) {
	tenants, err := s.d.Tenants(ctx)
	if err != nil && ctx.Err() == nil {
		s.d.Log.Error("look for retention rules", "err", err)
	}
	for _, t := range tenants {
		if err := s.due(ctx, t); err != nil && ctx.Err() == nil {
			s.d.Log.Error("run retention rules", "tenant", t, "err", err)
		}
	}
}

func (s *Rules) due(ctx context.Context, t iot.TenantID) error {
	if err := s.begin(ctx, t); err != nil {
		return err
	}
	st, err := s.d.Store.State(ctx, t)
	if err != nil {
		return err
	}
	now := s.d.Clock.Now()
	if st.Ran.After(now) {
		return s.d.Store.Rewind(ctx, t, now)
	}
	rules, err := s.d.Store.List(ctx, t)
	if err != nil {
		return err
	}
	sem, err := s.semantics(ctx, t)
	if err != nil {
		return err
	}
	if len(rules) > 0 && now.Sub(st.Ran) > Leap {
		s.hold(ctx, t, st.Ran)
		return nil
	}
	since := now.Add(-every)
	if st.interrupted(now) {
		since = now // it is done again: what it removed does not count twice
	}
	mine, err := s.d.Store.Claim(ctx, t, since, now, lease)
	if err != nil || !mine {
		return err
	}
	s.release(t)
	return s.apply(ctx, t, rules, Progress{Began: now, Semantics: sem})
}

// hold says once that rules wait for somebody who knows what time it is.
func (s *Rules) hold(ctx context.Context, t iot.TenantID, ran time.Time) {
	s.mu.Lock()
	told := s.held[t]
	s.held[t] = true
	s.mu.Unlock()
	if told {
		return
	}
	s.d.Log.Warn("retention waits: its rules have not run for so long that the clock may be wrong; POST /isobar/retention/run goes on", "tenant", t, "ran", ran)
	s.d.Audit.Record(ctx, iot.System(t), iot.AuditRecord{Type: "RetentionRule", Activity: "Retention waits",
		Text: "Retention rules ran at " + iot.FormatTime(ran) + " for the last time, which is so long ago that the clock may be wrong. They wait until somebody runs them"})
}

func (s *Rules) release(t iot.TenantID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, t)
}

// Status is a State, what the next run goes by, whether the rules wait for Start because the clock may be wrong, and whether the last run was interrupted and will
// be done again within minutes.
type Status struct {
	State
	Waits       bool
	Interrupted bool
	Semantics   Semantics // of the next run
}

// Running reports whether a run goes on.
func (s Status) Running() bool {
	return !s.Progress.Began.IsZero() && s.Progress.Ended.IsZero() && !s.Interrupted
}

// Status tells how far the last run of the rules of p's tenant got. It needs ROLE_RETENTION_RULE_READ.
func (s *Rules) Status(ctx context.Context, p iot.Principal) (Status, error) {
	if err := s.allow(ctx, p, access.Read); err != nil {
		return Status{}, err
	}
	return s.status(ctx, p.Tenant)
}

func (s *Rules) status(ctx context.Context, t iot.TenantID) (out Status, err error) {
	const op = fault.Op("retention.Status")
	if err := s.begin(ctx, t); err != nil {
		return out, sqlkit.Fault(op, err)
	}
	if out.State, err = s.d.Store.State(ctx, t); err != nil {
		return out, sqlkit.Fault(op, err)
	}
	if out.Semantics, err = s.semantics(ctx, t); err != nil {
		return out, sqlkit.Fault(op, err)
	}
	rules, err := s.d.Store.List(ctx, t)
	out.Interrupted = out.interrupted(s.d.Clock.Now())
	out.Waits = len(rules) > 0 && s.d.Clock.Now().Sub(out.Ran) > Leap
	return out, sqlkit.Fault(op, err)
}

// Start runs the rules of p's tenant now, whenever they ran before, and returns before that is done. If a run goes on already, it returns how far that one
// got. It needs ROLE_RETENTION_RULE_ADMIN. With too many runs at a time it is Exhausted.
func (s *Rules) Start(ctx context.Context, p iot.Principal) (Status, error) {
	const op = fault.Op("retention.Start")
	if err := s.allow(ctx, p, access.Admin); err != nil {
		return Status{}, err
	}
	rules, err := s.d.Store.List(ctx, p.Tenant)
	var sem Semantics
	if err == nil {
		sem, err = s.semantics(ctx, p.Tenant)
	}
	if err == nil {
		err = s.begin(ctx, p.Tenant)
	}
	if err != nil {
		return Status{}, sqlkit.Fault(op, err)
	}
	select {
	case s.places <- struct{}{}:
	default:
		return Status{}, fault.E(op, fault.Exhausted, time.Minute, "too many runs of retention rules at once: wait as long as Retry-After says")
	}
	now := s.d.Clock.Now()
	pr := Progress{Began: now, By: p.User, Semantics: sem, Steps: len(s.steps(sem, rules, now))}
	mine, err := s.d.Store.Claim(ctx, p.Tenant, now, now, lease)
	if err == nil && mine { // whoever looks next must not see the end of the run before
		err = s.d.Store.Report(ctx, p.Tenant, pr, now, lease)
	}
	if err != nil || !mine {
		<-s.places
		if err != nil {
			return Status{}, sqlkit.Fault(op, err)
		}
		return s.status(ctx, p.Tenant)
	}
	s.release(p.Tenant)
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "RetentionRule", Activity: "Retention started", Text: "Retention rules were started"})
	s.running.Go(func() {
		defer func() { <-s.places }()
		if err := s.apply(s.life, p.Tenant, rules, pr); err != nil && s.life.Err() == nil {
			s.d.Log.Error("run retention rules", "tenant", p.Tenant, "err", err)
		}
	})
	return Status{State: State{Ran: now, Progress: pr}, Semantics: sem}, nil
}

// step is what a rule asks of one data type.
type step struct {
	rule iot.ID
	data DataType
	Query
}

func (s *Rules) steps(sem Semantics, rules []Rule, now time.Time) (out []step) {
	for _, d := range dataTypes {
		if s.d.Keepers[d] == nil {
			continue
		}
		for _, c := range sem.claims(rules, d, now, false) {
			if c.ok {
				out = append(out, step{c.rule.ID, d, c.Query})
			}
		}
	}
	return out
}

// apply runs rules of a tenant, and says what was done, also when not all could be.
func (s *Rules) apply(ctx context.Context, t iot.TenantID, rules []Rule, p Progress) error {
	steps := s.steps(p.Semantics, rules, p.Began)
	p.Steps, p.Removed = len(steps), map[DataType]int64{}
	tell, stop := s.heart(ctx, t, p)
	defer stop()
	var failed error
	for _, x := range steps {
		if ctx.Err() != nil {
			failed = ctx.Err()
			break
		}
		n, err := s.d.Keepers[x.data].Remove(ctx, t, x.Query)
		p.Removed[x.data] += n
		if failed == nil && err != nil {
			failed = fmt.Errorf("rule %s, %s: %w", x.rule, x.data, err)
			p.Failed = fmt.Sprintf("rule %s, %s: %s", x.rule, x.data, fault.Message(err))
		}
		p.Done++
		tell(p)
	}
	for _, d := range dataTypes {
		if n := p.Removed[d]; n > 0 {
			s.told(context.WithoutCancel(ctx), t, d, n)
		}
	}
	if ctx.Err() == nil { // else it is to be done again
		stop()
		p.Ended = s.d.Clock.Now()
		tell(p)
	}
	return failed
}

// heart reports a progress now and then, so that the claim lasts, until it is stopped. tell reports another one at once.
func (s *Rules) heart(ctx context.Context, t iot.TenantID, first Progress) (tell func(Progress), stop func()) {
	var mu sync.Mutex
	now, end := first.clone(), make(chan struct{})
	report := func() { // with mu, so that an older one never comes after a newer one
		err := s.d.Store.Report(context.WithoutCancel(ctx), t, now, s.d.Clock.Now(), lease)
		if err != nil {
			s.d.Log.Warn("report a run of retention rules", "tenant", t, "err", err)
		}
	}
	mu.Lock()
	report()
	mu.Unlock()
	var beating sync.WaitGroup
	beating.Go(func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				mu.Lock()
				report()
				mu.Unlock()
			}
		}
	})
	tell = func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		now = p.clone()
		report()
	}
	return tell, sync.OnceFunc(func() { close(end); beating.Wait() })
}

func (p Progress) clone() Progress {
	p.Removed = maps.Clone(p.Removed)
	return p
}

func (s *Rules) told(ctx context.Context, t iot.TenantID, d DataType, n int64) {
	s.d.Log.Info("removed by retention", "tenant", t, "dataType", d, "documents", n)
	s.d.Audit.Record(ctx, iot.System(t), iot.AuditRecord{Type: "RetentionRule", Activity: "Data removed by retention",
		Text: fmt.Sprintf("%d documents of the data type %s were removed by retention rules", n, strings.ToLower(string(d)))})
}

// Forecast is what a rule selects of one data type.
type Forecast struct {
	Rule     Rule
	DataType DataType
	Before   time.Time // older documents would go
	Found
}

// Outlook is what the rules of a tenant would remove if they ran now, by rule and data type.
type Outlook struct {
	Semantics Semantics
	Forecasts []Forecast
}

// Preview returns the Outlook of p's tenant. A document that several rules select is counted for the one that decides about it, and for each by
// AnyRule. It needs ROLE_RETENTION_RULE_READ.
func (s *Rules) Preview(ctx context.Context, p iot.Principal) (out Outlook, err error) {
	const op = fault.Op("retention.Preview")
	if err := s.allow(ctx, p, access.Read); err != nil {
		return out, err
	}
	rules, err := s.d.Store.List(ctx, p.Tenant)
	if err == nil {
		out.Semantics, err = s.semantics(ctx, p.Tenant)
	}
	if err != nil {
		return out, sqlkit.Fault(op, err)
	}
	now := s.d.Clock.Now()
	claims := map[DataType][]claim{}
	for _, d := range dataTypes {
		claims[d] = out.Semantics.claims(rules, d, now, true)
	}
	known := map[string]Found{} // many rules ask the same
	for i, r := range rules {
		for _, d := range dataTypes {
			if r.DataType != Any && r.DataType != d {
				continue
			}
			c := claims[d][i]
			f := Forecast{Rule: r, DataType: d, Before: c.Before}
			if k := s.d.Keepers[d]; c.ok && k != nil {
				key := fmt.Sprintf("%s %+v", d, c.Query)
				found, seen := known[key]
				if !seen {
					if found, err = k.Count(ctx, p.Tenant, c.Query); err != nil {
						return out, sqlkit.Fault(op, err)
					}
					known[key] = found
				}
				f.Found = found
			}
			out.Forecasts = append(out.Forecasts, f)
		}
	}
	return out, nil
}
