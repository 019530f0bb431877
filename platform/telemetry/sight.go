package telemetry

import (
	"context"
	"math"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// eye is what somebody may see of the measurements of a source.
type eye struct {
	source iot.ID // zero: of all sources
	all    bool
	names  map[string]bool // the fragments that grants cover, if not all
	strip  bool            // show the covered fragments of a measurement instead of hiding it (access rule 12)
}

// see reports whether the measurement may be seen, and takes from it what may not.
func (e eye) see(m *iot.Measurement) bool {
	if e.all {
		return true
	}
	hidden := func(name string) bool { return !e.names[name] }
	some := slices.ContainsFunc(m.Samples, func(s iot.Sample) bool { return hidden(s.Fragment) }) ||
		slices.ContainsFunc(m.Extra, func(x iot.Member) bool { return hidden(x.Name) })
	if !some {
		return len(m.Samples)+len(m.Extra) > 0 // what has no fragments at all only a grant for any fragment shows
	}
	if !e.strip {
		return false
	}
	m.Samples = slices.DeleteFunc(slices.Clone(m.Samples), func(s iot.Sample) bool { return hidden(s.Fragment) })
	m.Extra = slices.DeleteFunc(slices.Clone(m.Extra), func(x iot.Member) bool { return hidden(x.Name) })
	return len(m.Samples)+len(m.Extra) > 0
}

// eyes returns the sources whose measurements p may see anything of: all in one, or one by one. It fails with Denied if there can be none.
func (tm *Telemetry) eyes(ctx context.Context, p iot.Principal, source iot.ID) ([]eye, error) {
	scope, sources, err := tm.d.Registry.Readable(ctx, p, access.Measurement, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	if scope.All {
		return []eye{{source: source, all: true}}, nil
	}
	if source != 0 {
		if !slices.Contains(sources, source) {
			return nil, nil
		}
		sources = []iot.ID{source}
	}
	out := make([]eye, 0, len(sources))
	for _, id := range sources {
		e := eye{source: id, all: true}
		if scope.Partial() {
			if e, err = tm.eyeOn(ctx, p, id); err != nil {
				if fault.Is(err, fault.NotFound) {
					continue
				}
				return nil, err
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// eyeOn is what p may see of the measurements of one source.
func (tm *Telemetry) eyeOn(ctx context.Context, p iot.Principal, id iot.ID) (eye, error) {
	src, err := tm.d.Registry.Source(ctx, p.Tenant, id)
	if err != nil {
		return eye{}, err
	}
	o, err := tm.d.Registry.Subject(ctx, p, src, access.Measurement)
	if err != nil {
		return eye{}, err
	}
	e := eye{source: id}
	e.names, e.all = tm.d.Policy.Covered(p, access.Measurement, o)
	if !e.all && tm.d.Option != nil {
		v, _ := tm.d.Option(ctx, p.Tenant, "configuration", "acl.measurement.only-accessible-fragments")
		e.strip = v == "true"
	}
	return e, nil
}

// seen is a store with only what an eye may see of one source. It hides that a store may aggregate by itself, which would count all.
type seen struct {
	series.Store
	eye eye
}

// Scan implements series.Store. Offset and limit count what is shown.
func (s seen) Scan(ctx context.Context, tenant iot.TenantID, q series.Query, fn func(m *iot.Measurement) bool) error {
	if err := q.Check(); err != nil {
		return err
	}
	all, n := q, 0
	all.Offset, all.Limit = 0, 0
	return s.Store.Scan(ctx, tenant, all, func(m *iot.Measurement) bool {
		shown := series.Copy(m)
		if !s.eye.see(&shown) || !all.Match(&shown) { // what was taken from it must not be found either
			return true
		}
		n++
		if n <= q.Offset {
			return true
		}
		return fn(&shown) && (q.Limit == 0 || n < q.Offset+q.Limit)
	})
}

// seriesSeen returns those of the series asked for, or of all that there are, whose fragments an eye may see.
func (tm *Telemetry) seriesSeen(ctx context.Context, t iot.TenantID, source iot.ID, asked []series.Key, e eye) ([]series.Key, error) {
	if len(asked) == 0 {
		infos, err := tm.d.Series.Catalog(ctx, t, source)
		if err != nil {
			return nil, sqlkit.Fault("telemetry.Series", err)
		}
		for _, x := range infos {
			asked = append(asked, x.Key)
		}
	}
	return slices.DeleteFunc(slices.Clone(asked), func(k series.Key) bool { return !e.names[k.Fragment] }), nil
}
