package series

import (
	"cmp"
	"context"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Latest is the newest value of a series of a source, by the time of its measurement.
type Latest struct {
	Source iot.ID
	Info   // its unit is that of the value
	Value  iot.Number
	At     Stamp
}

// Recaller is the optional ability of a Store to know the newest values without looking for them. The result is that of Recall.
type Recaller interface {
	Recall(ctx context.Context, tenant iot.TenantID, source iot.ID, keys []Key) ([]Latest, error)
}

// Recall returns the newest value of each series of a source, sorted by fragment, then series; if keys are given, of those among them that
// have values. If a measurement has a series twice, the last one counts.
func Recall(ctx context.Context, s Store, tenant iot.TenantID, source iot.ID, keys []Key) ([]Latest, error) {
	if source == 0 {
		return nil, fault.E(fault.Op("series.Recall"), fault.Invalid, "a source is required")
	}
	if fast, ok := s.(Recaller); ok {
		return fast.Recall(ctx, tenant, source, keys)
	}
	infos, err := s.Catalog(ctx, tenant, source)
	if err != nil {
		return nil, err
	}
	var out []Latest
	for _, info := range infos {
		if len(keys) > 0 && !slices.Contains(keys, info.Key) {
			continue
		}
		q := Query{Source: source, Fragment: info.Fragment, Series: info.Series, Reverse: true, Limit: 1}
		err := s.Scan(ctx, tenant, q, func(m *iot.Measurement) bool {
			out = append(out, newest(m, info.Key))
			return false
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func newest(m *iot.Measurement, k Key) Latest {
	l := Latest{Source: m.Source, Info: Info{Key: k}, At: Stamp{m.Time.UnixMilli(), m.Seq}}
	for i := range m.Samples {
		if s := &m.Samples[i]; s.Fragment == k.Fragment && s.Series == k.Series {
			l.Unit, l.Value = s.Unit, s.Value
		}
	}
	return l
}

// SortLatest puts values in the order of Recall.
func SortLatest(all []Latest) {
	slices.SortFunc(all, func(a, b Latest) int {
		return cmp.Or(cmp.Compare(a.Fragment, b.Fragment), cmp.Compare(a.Series, b.Series))
	})
}
