package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Deps is what Rules need.
type Deps struct {
	Store   Store
	Policy  *access.Policy
	Audit   access.Auditor
	Clock   clock.Clock
	Log     *slog.Logger
	Keepers map[DataType]Keeper // a data type without one is left alone
	// FirstAge is after how many days the first rule of a tenant that is created removes everything; 0: it has no rule.
	FirstAge int
	// Option reads an option of a tenant; empty: it is not set. Nil: no tenant has any.
	Option func(ctx context.Context, t iot.TenantID, category, key string) (string, error)
	// Tenants lists all tenants.
	Tenants func(ctx context.Context) ([]iot.TenantID, error)
}

// Rules is the face. It is safe for concurrent use.
type Rules struct {
	d       Deps
	life    context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup
	places  chan struct{} // of runs that people asked for

	mu   sync.Mutex
	held map[iot.TenantID]bool // it was said that the clock has leapt
}

// New returns Rules, which run nothing by themselves: Run does, and Start.
func New(d Deps) *Rules {
	s := &Rules{d: d, places: make(chan struct{}, maxStarted), held: map[iot.TenantID]bool{}}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Close ends the runs that people asked for and waits for them.
func (s *Rules) Close() {
	s.end()
	s.running.Wait()
}

// Found gives a tenant that was just created its first rule, if FirstAge says so. It acts for the platform.
func (s *Rules) Found(ctx context.Context, t iot.TenantID) error {
	const op = fault.Op("retention.Found")
	if err := s.begin(ctx, t); err != nil || s.d.FirstAge == 0 {
		return sqlkit.Fault(op, err)
	}
	p := iot.System(t)
	r, _, err := s.d.Store.Create(ctx, t, Rule{DataType: Any, FragmentType: Any, Type: Any, Source: Any, MaximumAge: s.d.FirstAge, Editable: true}, MaxRules, s.revision(p))
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	s.record(ctx, p, "Retention rule created", r.ID, iot.Diff(nil, r.doc()))
	return nil
}

func (s *Rules) revision(p iot.Principal) sqlkit.Revision {
	return sqlkit.Revision{At: s.d.Clock.Now(), By: string(p.User), Set: sqlkit.NewSetID()}
}

// allow checks the permission.
func (s *Rules) allow(ctx context.Context, p iot.Principal, l access.Level) error {
	return s.d.Policy.Check(ctx, p, access.Retention, l, access.Object{})
}

func (s *Rules) begin(ctx context.Context, t iot.TenantID) error {
	return s.d.Store.Begin(ctx, t, s.d.Clock.Now())
}

// List returns the rules of p's tenant in order of id. It needs ROLE_RETENTION_RULE_READ.
func (s *Rules) List(ctx context.Context, p iot.Principal) ([]Rule, error) {
	const op = fault.Op("retention.List")
	if err := s.allow(ctx, p, access.Read); err != nil {
		return nil, err
	}
	rules, err := s.d.Store.List(ctx, p.Tenant)
	return rules, sqlkit.Fault(op, err)
}

// Get returns a rule. It needs ROLE_RETENTION_RULE_READ.
func (s *Rules) Get(ctx context.Context, p iot.Principal, id iot.ID) (Rule, error) {
	const op = fault.Op("retention.Get")
	if err := s.allow(ctx, p, access.Read); err != nil {
		return Rule{}, err
	}
	r, err := s.d.Store.Get(ctx, p.Tenant, id)
	return r, sqlkit.Fault(op, err)
}

// Patch changes a rule: nil is left alone.
type Patch struct {
	DataType, FragmentType, Type, Source *string
	MaximumAge                           *int
	Editable                             *bool // only the tenant management decides; of others it is ignored
}

// apply returns the rule that a patch makes. An empty condition is Any.
func (x Patch) apply(p iot.Principal, r Rule) (Rule, error) {
	set := func(to *string, v *string) {
		if v != nil {
			*to = *v
		}
		if *to == "" {
			*to = Any
		}
	}
	data := string(r.DataType)
	set(&data, x.DataType)
	r.DataType = DataType(data)
	set(&r.FragmentType, x.FragmentType)
	set(&r.Type, x.Type)
	set(&r.Source, x.Source)
	if x.MaximumAge != nil {
		r.MaximumAge = *x.MaximumAge
	}
	if x.Editable != nil && p.Tenant == iot.Management {
		r.Editable = *x.Editable
	}
	return r, r.check()
}

// Create adds a rule to p's tenant; conditions that are not given are Any, MaximumAge must be given. It needs ROLE_RETENTION_RULE_ADMIN.
func (s *Rules) Create(ctx context.Context, p iot.Principal, x Patch) (Rule, error) {
	const op = fault.Op("retention.Create")
	if err := s.allow(ctx, p, access.Admin); err != nil {
		return Rule{}, err
	}
	r, err := x.apply(p, Rule{Editable: true})
	if err != nil {
		return Rule{}, err
	}
	r, full, err := s.d.Store.Create(ctx, p.Tenant, r, MaxRules, s.revision(p))
	if err != nil {
		return Rule{}, sqlkit.Fault(op, err)
	}
	if full {
		return Rule{}, fault.Errorf(op, fault.Invalid, "a tenant must not have more than %d retention rules", MaxRules)
	}
	s.record(ctx, p, "Retention rule created", r.ID, iot.Diff(nil, r.doc()))
	return r, nil
}

// Update changes a rule. It needs ROLE_RETENTION_RULE_ADMIN; a rule that is not editable is changed by the tenant management only.
func (s *Rules) Update(ctx context.Context, p iot.Principal, id iot.ID, x Patch) (Rule, error) {
	const op = fault.Op("retention.Update")
	if err := s.allow(ctx, p, access.Admin); err != nil {
		return Rule{}, err
	}
	before, after, err := s.d.Store.Update(ctx, p.Tenant, id, s.revision(p), func(r Rule) (Rule, error) {
		if !r.Editable && p.Tenant != iot.Management {
			return r, fault.E(op, fault.Denied, "the retention rule is not editable")
		}
		return x.apply(p, r)
	})
	if err != nil {
		return Rule{}, sqlkit.Fault(op, err)
	}
	if before != after {
		s.record(ctx, p, "Retention rule updated", id, iot.Diff(before.doc(), after.doc()))
	}
	return after, nil
}

// Delete removes a rule. It needs ROLE_RETENTION_RULE_ADMIN, and a rule that is editable.
func (s *Rules) Delete(ctx context.Context, p iot.Principal, id iot.ID) error {
	const op = fault.Op("retention.Delete")
	if err := s.allow(ctx, p, access.Admin); err != nil {
		return err
	}
	gone, err := s.d.Store.Delete(ctx, p.Tenant, id, s.revision(p), func(r Rule) error {
		if !r.Editable {
			return fault.E(op, fault.Denied, "the retention rule is not editable")
		}
		return nil
	})
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	s.record(ctx, p, "Retention rule deleted", id, iot.Diff(gone.doc(), nil))
	return nil
}

func (r Rule) doc() iot.Doc {
	d := iot.Doc{}.SetText("dataType", string(r.DataType)).SetText("fragmentType", r.FragmentType).SetText("type", r.Type).SetText("source", r.Source)
	return d.Set("maximumAge", json.RawMessage(strconv.Itoa(r.MaximumAge))).Set("editable", json.RawMessage(strconv.FormatBool(r.Editable)))
}

func (s *Rules) record(ctx context.Context, p iot.Principal, activity string, id iot.ID, changes []iot.AttributeChange) {
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "RetentionRule", Activity: activity, Text: fmt.Sprintf("%s: '%s'", activity, id), Changes: changes})
}
