package retention

import (
	"context"
	"fmt"
	"strings"
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
)

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
	now := s.d.Clock.Now()
	mine, err := s.d.Store.Claim(ctx, t, now.Add(-every), now)
	if err != nil || !mine {
		return err
	}
	return s.apply(ctx, t, now)
}

// apply runs the rules of a tenant, and says what was done, also when not all could be.
func (s *Rules) apply(ctx context.Context, t iot.TenantID, now time.Time) error {
	rules, err := s.d.Store.List(ctx, t)
	if err != nil {
		return err
	}
	var failed error
	for _, d := range dataTypes {
		gone := int64(0)
		for _, r := range rules {
			q, ok := r.query(d, now)
			if k := s.d.Keepers[d]; ok && k != nil {
				n, err := k.Remove(ctx, t, q)
				gone += n
				if failed == nil && err != nil {
					failed = fmt.Errorf("rule %s, %s: %w", r.ID, d, err)
				}
			}
		}
		if gone > 0 {
			s.told(context.WithoutCancel(ctx), t, d, gone)
		}
	}
	return failed
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

// Preview returns what the rules of p's tenant would remove if they ran now, by rule and data type. A document that several rules select is
// counted for each. It needs ROLE_RETENTION_RULE_READ.
func (s *Rules) Preview(ctx context.Context, p iot.Principal) ([]Forecast, error) {
	const op = fault.Op("retention.Preview")
	if err := s.allow(ctx, op, p, access.Read); err != nil {
		return nil, err
	}
	rules, err := s.d.Store.List(ctx, p.Tenant)
	if err != nil {
		return nil, sqlkit.Fault(op, err)
	}
	now := s.d.Clock.Now()
	known := map[string]Found{} // many rules ask the same
	var out []Forecast
	for _, r := range rules {
		for _, d := range dataTypes {
			if r.DataType != Any && r.DataType != d {
				continue
			}
			q, ok := r.query(d, now)
			f := Forecast{Rule: r, DataType: d, Before: q.Before}
			if k := s.d.Keepers[d]; ok && k != nil {
				key := fmt.Sprintf("%s %+v", d, q)
				found, seen := known[key]
				if !seen {
					if found, err = k.Count(ctx, p.Tenant, q); err != nil {
						return nil, sqlkit.Fault(op, err)
					}
					known[key] = found
				}
				f.Found = found
			}
			out = append(out, f)
		}
	}
	return out, nil
}
