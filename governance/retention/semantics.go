package retention

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Semantics says which of several rules that select a document decide about it. It is an option of the tenant.
type Semantics string

const (
	// AnyRule lets rules run independently: a document goes when any of them says so. It is what the wire promises, and the default.
	AnyRule Semantics = "any"
	// MostSpecific lets one rule decide alone: of those that select a document, whatever its age, the one with the most conditions. If several have as
	// many, one with a source comes before one with a type, that before one with a fragment type, that before one with a data type. Of rules with
	// the same conditions set, the one that keeps longest decides, since what was deleted does not come back.
	MostSpecific Semantics = "specific"

	// Category and SemanticsKey name the option.
	Category, SemanticsKey = "retention", "semantics"
)

// ParseSemantics reads a value of the option.
func ParseSemantics(value string) (Semantics, error) {
	switch s := Semantics(value); s {
	case AnyRule, MostSpecific:
		return s, nil
	}
	return "", fault.Errorf(fault.Op("retention.Semantics"), fault.Invalid, "the value %.40q is neither any nor specific", value)
}

// semantics reads the option of a tenant. What cannot be read is an error: to take the default instead could delete what should stay.
func (s *Rules) semantics(ctx context.Context, t iot.TenantID) (Semantics, error) {
	if s.d.Option == nil {
		return AnyRule, nil
	}
	value, err := s.d.Option(ctx, t, Category, SemanticsKey)
	if err != nil || value == "" {
		return AnyRule, err
	}
	return ParseSemantics(value)
}

// rank grows with how specific a rule is: the number of its conditions, then which ones they are.
func (r Rule) rank() int {
	n, which := 0, 0
	for _, set := range []bool{r.Source != Any, r.Type != Any, r.FragmentType != Any, r.DataType != Any} {
		which *= 2
		if set {
			n, which = n+1, which+1
		}
	}
	return n<<4 | which
}

// decisive orders rules: the one that decides about a document that both select comes first.
func decisive(a, b Rule) int {
	return cmp.Or(b.rank()-a.rank(), b.MaximumAge-a.MaximumAge, cmp.Compare(a.ID, b.ID))
}

// claim is what a rule wants of one data type. Not ok: nothing.
type claim struct {
	rule Rule
	Query
	ok bool
}

// claims returns what each rule wants of a data type, in their order. Together they want what is to go. once says that of rules that let one decide
// only that one wants a document. Otherwise a rule may want what another one removes anyway: the fewer exceptions, the less work.
func (sem Semantics) claims(rules []Rule, d DataType, now time.Time, once bool) []claim {
	out := make([]claim, len(rules))
	for i, r := range rules {
		out[i].rule = r
		out[i].Query, out[i].ok = r.query(d, now)
	}
	if sem == MostSpecific {
		yield(out, once)
	}
	return out
}

// yield takes from each claim what more decisive rules decide about; without once, only of those among them that keep longer.
func yield(claims []claim, once bool) {
	order := make([]*claim, len(claims))
	for i := range claims {
		order[i] = &claims[i]
	}
	slices.SortFunc(order, func(a, b *claim) int { return decisive(a.rule, b.rule) })
	var before []claim
	for _, c := range order {
		if !c.ok {
			continue
		}
		own := *c
		c.Except, c.ok = c.without(before, once)
		before = append(before, own)
	}
}

// without returns what a claim must leave to others; false if that is all of it.
func (c claim) without(others []claim, once bool) ([]iot.Selector, bool) {
	left := map[iot.Selector]bool{}
	for _, o := range others {
		x, some := c.overlap(o.Query)
		if some && x == (iot.Selector{}) {
			return nil, false
		}
		if some && (once || o.Before.Before(c.Before)) {
			left[x] = true
		}
	}
	var out []iot.Selector
	for x := range left {
		if !slices.ContainsFunc(wider(x), func(w iot.Selector) bool { return left[w] }) {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b iot.Selector) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Fragment, b.Fragment))
	})
	return out, true
}

// overlap returns what of the documents of q another query selects as well, said with the conditions that q does not have itself; false: none.
func (q Query) overlap(o Query) (x iot.Selector, some bool) {
	if q.Source != 0 && o.Source != 0 && q.Source != o.Source || q.Type != "" && o.Type != "" && q.Type != o.Type {
		return x, false
	}
	if q.Source == 0 {
		x.Source = o.Source
	}
	if q.Type == "" {
		x.Type = o.Type
	}
	if q.Fragment != o.Fragment { // a document can have both
		x.Fragment = o.Fragment
	}
	return x, true
}

// wider returns the selectors with some of the conditions of x, except x and the one without any.
func wider(x iot.Selector) (out []iot.Selector) {
	for bits := range 8 {
		var w iot.Selector
		if bits&1 != 0 {
			w.Source = x.Source
		}
		if bits&2 != 0 {
			w.Type = x.Type
		}
		if bits&4 != 0 {
			w.Fragment = x.Fragment
		}
		if w != x && w != (iot.Selector{}) {
			out = append(out, w)
		}
	}
	return out
}
