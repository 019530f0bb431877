package retention_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/iot"
)

// item is a document.
type item struct {
	source    iot.ID
	kind      string
	fragments []string
	time      time.Time
}

// shelf keeps the documents of one data type.
type shelf struct{ items []item }

func (s *shelf) gone(q retention.Query) func(item) bool {
	return func(x item) bool {
		one := func(c iot.Selector) bool {
			return c.Matches(x.source, x.kind, func(f string) bool { return slices.Contains(x.fragments, f) })
		}
		return x.time.Before(q.Before) && one(iot.Selector{Source: q.Source, Type: q.Type, Fragment: q.Fragment}) && !slices.ContainsFunc(q.Except, one)
	}
}

func (s *shelf) Count(_ context.Context, _ iot.TenantID, q retention.Query) (f retention.Found, _ error) {
	for _, x := range s.items {
		if s.gone(q)(x) {
			f.Documents++
		}
	}
	return f, nil
}

func (s *shelf) Remove(_ context.Context, _ iot.TenantID, q retention.Query) (int64, error) {
	before := len(s.items)
	s.items = slices.DeleteFunc(s.items, s.gone(q))
	return int64(before - len(s.items)), nil
}

// conditions are what a rule asks of a document, in the order of their weight.
func conditions(r retention.Rule) [4]bool {
	return [4]bool{r.Source != "*", r.Type != "*", r.FragmentType != "*", r.DataType != "*"}
}

func selects(r retention.Rule, d retention.DataType, x item) bool {
	return (r.DataType == "*" || r.DataType == d) && (r.Source == "*" || r.Source == x.source.String()) && (r.Type == "*" || r.Type == x.kind) &&
		(r.FragmentType == "*" || slices.Contains(x.fragments, r.FragmentType))
}

// decides says which rule decides about a document, as the documentation says it; nil: none selects it.
func decides(rules []retention.Rule, d retention.DataType, x item) (best *retention.Rule) {
	better := func(a, b retention.Rule) bool {
		ca, cb := conditions(a), conditions(b)
		na, nb := 0, 0
		for i := range ca {
			if ca[i] {
				na++
			}
			if cb[i] {
				nb++
			}
		}
		if na != nb {
			return na > nb
		}
		for i := range ca {
			if ca[i] != cb[i] {
				return ca[i]
			}
		}
		if a.MaximumAge != b.MaximumAge {
			return a.MaximumAge > b.MaximumAge
		}
		return a.ID < b.ID
	}
	for i, r := range rules {
		if selects(r, d, x) && (best == nil || better(r, *best)) {
			best = &rules[i]
		}
	}
	return best
}

func draw[T any](t *rapid.T, what string, of ...T) T { return rapid.SampledFrom(of).Draw(t, what) }

func drawItem(t *rapid.T, d retention.DataType, now time.Time) item {
	x := item{time: now.Add(-time.Duration(rapid.IntRange(0, 12).Draw(t, "age")) * 12 * time.Hour).Add(time.Millisecond)}
	if d != retention.BulkOperations {
		x.source = iot.ID(rapid.IntRange(1, 3).Draw(t, "source"))
	}
	if d != retention.BulkOperations && d != retention.Operations {
		x.kind = draw(t, "type", "t1", "t2", "t3")
	}
	if d != retention.Alarms && d != retention.AuditRecords {
		x.fragments = draw(t, "fragments", nil, []string{"f1"}, []string{"f2"}, []string{"f1", "f2"})
	}
	return x
}

// TestSemanticsModel compares runs and previews of random rules with what the words of the documentation say about each document alone.
func TestSemanticsModel(t *testing.T) {
	shelves, keepers := map[retention.DataType]*shelf{}, map[retention.DataType]retention.Keeper{}
	all := []retention.DataType{retention.Alarms, retention.AuditRecords, retention.BulkOperations, retention.Events, retention.Measurements, retention.Operations}
	for _, d := range all {
		shelves[d] = &shelf{}
		keepers[d] = shelves[d]
	}
	var tenant iot.TenantID
	var semantics string
	n := 0
	f := setup(t, func(d *retention.Deps) {
		d.Keepers = keepers
		d.Tenants = func(context.Context) ([]iot.TenantID, error) { return []iot.TenantID{tenant}, nil }
		d.Option = func(_ context.Context, _ iot.TenantID, category, key string) (string, error) {
			if category != "retention" || key != "semantics" {
				return "", errors.New("another option")
			}
			return semantics, nil
		}
	})
	kept, spared := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		tenant = iot.TenantID(fmt.Sprint("t", n))
		semantics = draw(t, "semantics", "", "any", "specific", "specific", "specific")
		p := iot.Principal{Tenant: tenant, User: "ann", Roles: admin.Roles}
		f.rules.Work(ctx)
		f.clock.Advance(24 * time.Hour)
		now := f.clock.Now()
		focus := string(draw(t, "focus", all...)) // so that rules meet
		var rules []retention.Rule
		for range rapid.IntRange(1, 7).Draw(t, "rules") {
			data := draw(t, "dataType", "*", focus, focus, string(draw(t, "other", all...)))
			r, err := f.rules.Create(ctx, p, retention.Patch{DataType: &data, Source: ptr(draw(t, "source", "*", "*", "1", "2")), Type: ptr(draw(t, "type", "*", "*", "t1", "t2")),
				FragmentType: ptr(draw(t, "fragment", "*", "*", "f1", "f2")), MaximumAge: ptr(rapid.IntRange(1, 5).Draw(t, "days"))})
			if err != nil {
				t.Fatal(err)
			}
			rules = append(rules, r)
		}
		want, wanted, removed := map[retention.DataType][]item{}, map[string]int64{}, map[retention.DataType]int64{}
		for _, d := range all {
			shelves[d].items = nil
			for range rapid.IntRange(0, map[bool]int{true: 40, false: 6}[string(d) == focus]).Draw(t, "items") {
				x := drawItem(t, d, now)
				shelves[d].items = append(shelves[d].items, x)
				old := func(r retention.Rule) bool {
					return selects(r, d, x) && x.time.Before(now.AddDate(0, 0, -r.MaximumAge))
				}
				gone := slices.ContainsFunc(rules, old)
				if semantics == "specific" {
					best := decides(rules, d, x)
					if gone && !old(*best) {
						spared++
					}
					gone = best != nil && old(*best)
					if gone {
						wanted[best.ID.String()+string(d)]++
					}
				} else {
					for _, r := range rules {
						if old(r) {
							wanted[r.ID.String()+string(d)]++
						}
					}
				}
				if gone {
					removed[d]++
				} else {
					want[d] = append(want[d], x)
					kept++
				}
			}
		}
		outlook, err := f.rules.Preview(ctx, p)
		if err != nil || outlook.Semantics != retention.Semantics(semantics) && semantics != "" {
			t.Fatalf("%q %v", outlook.Semantics, err)
		}
		for _, line := range outlook.Forecasts {
			if line.Documents != wanted[line.Rule.ID.String()+string(line.DataType)] {
				t.Errorf("%s: %+v would remove %d of %s, want %d", semantics, line.Rule, line.Documents, line.DataType, wanted[line.Rule.ID.String()+string(line.DataType)])
			}
			delete(wanted, line.Rule.ID.String()+string(line.DataType))
		}
		if len(wanted) != 0 {
			t.Errorf("no line for %v", wanted)
		}
		f.rules.Work(ctx)
		st, err := f.rules.Status(ctx, p)
		if err != nil || st.Progress.Ended.IsZero() || st.Progress.Semantics != outlook.Semantics {
			t.Fatalf("%+v %v", st, err)
		}
		for _, d := range all {
			if !slices.EqualFunc(shelves[d].items, want[d], func(a, b item) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
				t.Errorf("%s %s: left %v\nwant %v\nrules %+v", semantics, d, shelves[d].items, want[d], rules)
			}
			if st.Progress.Removed[d] != removed[d] {
				t.Errorf("%s %s: removed %d, want %d", semantics, d, st.Progress.Removed[d], removed[d])
			}
		}
	})
	if !t.Failed() && (kept == 0 || spared == 0) {
		t.Errorf("%d documents stayed, %d of them thanks to a more specific rule: nothing was tested", kept, spared)
	}
}

// TestWhatIsMoreSpecific has two rules for an event of 30 days: the first of each pair decides, and of equal ones the longer.
func TestWhatIsMoreSpecific(t *testing.T) {
	for name, c := range map[string]struct {
		decides, other [4]string // data type, source, type, fragment
		equal          bool
	}{
		"more conditions":          {[4]string{"EVENT", "", "t", ""}, [4]string{"", "1", "", ""}, false},
		"three before two":         {[4]string{"EVENT", "", "t", "f"}, [4]string{"", "1", "t", ""}, false},
		"source before type":       {[4]string{"", "1", "", ""}, [4]string{"", "", "t", ""}, false},
		"type before fragment":     {[4]string{"", "", "t", ""}, [4]string{"", "", "", "f"}, false},
		"fragment before data":     {[4]string{"", "", "", "f"}, [4]string{"EVENT", "", "", ""}, false},
		"source before two others": {[4]string{"EVENT", "1", "", ""}, [4]string{"", "", "t", "f"}, false},
		"anything before nothing":  {[4]string{"EVENT", "", "", ""}, [4]string{"", "", "", ""}, false},
		"the same":                 {[4]string{"EVENT", "", "t", ""}, [4]string{"EVENT", "", "t", ""}, true},
		"two fragments":            {[4]string{"", "", "", "f"}, [4]string{"", "", "", "g"}, true},
	} {
		for i := range 4 {
			longer, first := i&1 == 0, i&2 == 0
			kept := &shelf{items: []item{{1, "t", []string{"f", "g"}, start.AddDate(0, 0, -29)}}}
			f := setup(t, func(d *retention.Deps) {
				d.Option = func(context.Context, iot.TenantID, string, string) (string, error) { return "specific", nil }
				d.Keepers = map[retention.DataType]retention.Keeper{retention.Events: kept}
			})
			f.rules.Work(ctx)
			for _, deciding := range []bool{first, !first} {
				r, days := c.other, 1
				if deciding {
					r = c.decides
				}
				if deciding == longer {
					days = 365
				}
				_, err := f.rules.Create(ctx, admin, retention.Patch{DataType: &r[0], Source: &r[1], Type: &r[2], FragmentType: &r[3], MaximumAge: &days})
				f.must(err)
			}
			f.clock.Advance(24 * time.Hour)
			f.rules.Work(ctx)
			if stays, want := len(kept.items) == 1, longer || c.equal; stays != want {
				t.Errorf("%s: stays is %v, want %v", name, stays, want)
			}
		}
	}
}

// TestManyRulesAskLittle: what a rule leaves to others is said as shortly as can be, and not at all where the others are not longer.
func TestManyRulesAskLittle(t *testing.T) {
	f := setup(t, func(d *retention.Deps) {
		d.Option = func(context.Context, iot.TenantID, string, string) (string, error) { return "specific", nil }
	})
	f.rules.Work(ctx)
	add := func(x retention.Patch) {
		_, err := f.rules.Create(ctx, admin, x)
		f.must(err)
	}
	add(retention.Patch{MaximumAge: ptr(60), DataType: ptr("EVENT")})
	add(retention.Patch{MaximumAge: ptr(90), DataType: ptr("EVENT"), Source: ptr("7")})
	for i := range 50 {
		add(retention.Patch{MaximumAge: ptr(100), DataType: ptr("EVENT"), Source: ptr("7"), Type: ptr("t" + strconv.Itoa(i))}) // 7 is spared as a whole
		add(retention.Patch{MaximumAge: ptr(30), DataType: ptr("EVENT"), Type: ptr("short" + strconv.Itoa(i))})
	}
	add(retention.Patch{MaximumAge: ptr(200), DataType: ptr("EVENT"), Type: ptr("t1")})
	add(retention.Patch{MaximumAge: ptr(10), DataType: ptr("*")}) // decides about the other data types only
	f.clock.Advance(24 * time.Hour)
	f.rules.Work(ctx)
	asked := f.keepers[retention.Events].asked
	if len(asked) != 103 || len(f.keepers[retention.Alarms].asked) != 1 {
		t.Fatalf("%d and %d questions", len(asked), len(f.keepers[retention.Alarms].asked))
	}
	for _, q := range asked {
		var want []iot.Selector
		switch {
		case q.Source == 0 && q.Type == "":
			want = []iot.Selector{{Type: "t1"}, {Source: 7}}
		case q.Source == 0 && q.Type[0] == 's': // {Source: 7} is the more decisive of the two
			want = []iot.Selector{{Source: 7}}
		case q.Source == 7 && q.Type == "":
			for i := range 50 {
				want = append(want, iot.Selector{Type: "t" + strconv.Itoa(i)})
			}
			slices.SortFunc(want, func(a, b iot.Selector) int { return compare(a.Type, b.Type) })
		}
		if !slices.Equal(q.Except, want) {
			t.Errorf("%+v, want the exceptions %+v", q, want)
		}
	}
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestSemanticsThatCannotBeReadRemoveNothing(t *testing.T) {
	value, failure := "", fault.E(fault.Unavailable, "down")
	f := setup(t, func(d *retention.Deps) {
		d.Option = func(context.Context, iot.TenantID, string, string) (string, error) {
			if value == "" {
				return "", failure
			}
			return value, nil
		}
	})
	f.everything(60)
	f.rules.Work(ctx)
	for _, c := range []struct {
		value string
		kind  fault.Kind
	}{{"", fault.Unavailable}, {"Specific", fault.Invalid}} {
		value = c.value
		f.clock.Advance(24 * time.Hour)
		f.rules.Work(ctx)
		_, err := f.rules.Start(ctx, admin)
		f.kind("start", err, c.kind)
		_, err = f.rules.Preview(ctx, admin)
		f.kind("preview", err, c.kind)
		_, err = f.rules.Status(ctx, admin)
		f.kind("status", err, c.kind)
	}
	if n := f.removals(); n != 0 {
		t.Errorf("%d removals", n)
	}
	value = "specific"
	f.rules.Work(ctx)
	if n := f.removals(); n != len(f.keepers) {
		t.Errorf("%d removals once it can be read", n)
	}
}
