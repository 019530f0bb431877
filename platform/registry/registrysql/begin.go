package registrysql

import (
	"context"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
)

// fewObjects is up to how many objects a list begins with any condition that an index knows, whatever the order: it is a matter of milliseconds.
const fewObjects = 5000

// conjuncts returns the conditions that must all hold.
func conjuncts(e query.Expr) []query.Expr {
	switch e := e.(type) {
	case nil:
		return nil
	case query.And:
		var out []query.Expr
		for _, t := range e {
			out = append(out, conjuncts(t)...)
		}
		return out
	}
	return []query.Expr{e}
}

// candidate is a condition that a list may begin with: then it need not be checked any more.
type candidate struct {
	source
	drop func() // removes the condition
}

// begin chooses where a list begins, and returns the conditions that are left. Neither engine chooses well by itself: SQLite knows nothing of how
// many objects have a fragment, and PostgreSQL nothing of how they go together.
func (s *Store) begin(ctx context.Context, b *builder, q *registry.Query, terms []query.Expr) ([]query.Expr, error) {
	byOther := slices.ContainsFunc(terms, func(e query.Expr) bool {
		c, ok := e.(query.Compare)
		return ok && (c.Op == query.Eq || len(q.Order) == 0) && len(c.Path) == 1 && (c.Path[0] == "type" || c.Path[0] == "owner" || c.Path[0] == "id" || c.Path[0] == "_id")
	})
	b.whole = byOther || q.Type != "" || q.Owner != "" || q.IDs != nil || q.Parent != 0 || q.ParentOf != 0
	if b.start != nil || q.Parent != 0 || b.whole && q.Order == nil {
		return terms, nil
	}
	all, err := s.candidates(ctx, b.tenant, q, &terms)
	if err != nil || len(all) == 0 {
		return terms, err
	}
	chosen := -1
	for i, c := range all {
		if len(all) == 1 && q.Order == nil {
			break
		}
		var n int
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM `+c.from+` WHERE `+c.cond+` LIMIT ?) few`, append(slices.Clone(c.args), fewObjects+1)...).Scan(&n); err != nil {
			return terms, err
		}
		if n <= fewObjects {
			chosen = i
			break
		}
	}
	if chosen < 0 && !b.byName && !b.whole {
		chosen = 0
	}
	if chosen >= 0 {
		b.start = &all[chosen].source
		all[chosen].drop()
	}
	return terms, nil
}

// candidates returns what a list may begin with, the most promising first.
func (s *Store) candidates(ctx context.Context, t iot.TenantID, q *registry.Query, terms *[]query.Expr) (texts []candidate, err error) {
	var states, fragments []candidate
	for i, e := range *terms {
		drop := func() { *terms = slices.Delete(slices.Clone(*terms), i, i+1) }
		switch e := e.(type) {
		case query.Compare:
			_, server := serverColumns[strings.Join(e.Path, ".")]
			switch {
			case strings.Join(e.Path, ".") == "c8y_Availability.status" && e.Op == query.Eq && e.Value.Kind == query.Text && !e.Value.Wildcard && e.Value.Text != "":
				states = append(states, candidate{source{"object_state d", "d.tenant = ? AND d.availability = ?", []any{string(t), e.Value.Text}}, drop})
			case !server && indexed(e):
				sure, err := s.sure(ctx, t, e.Path[0])
				if err != nil {
					return nil, err
				}
				if sure {
					texts = append(texts, candidate{source{"object_value d", "d.tenant = ? AND d.path = ? AND d.value = ?",
						[]any{string(t), strings.Join(e.Path, pathSeparator), e.Value.Text}}, drop})
				}
			}
		case query.Has:
			if len(e) == 1 && len(e[0]) == 1 && !kept(e[0][0]) {
				fragments = append(fragments, ofFragment(t, e[0][0], drop))
			}
		}
	}
	if q.Fragment != "" {
		fragments = append(fragments, ofFragment(t, q.Fragment, func() { q.Fragment = "" }))
	}
	if q.OnlyDevices {
		fragments = append(fragments, ofFragment(t, iot.FragmentIsDevice, func() { q.OnlyDevices = false }))
	}
	return slices.Concat(texts, states, fragments), nil
}

// kept reports whether a name is that of something that is kept beside the documents.
func kept(name string) bool {
	_, column := serverColumns[name]
	return column || name == iot.FragmentAvailability || name == iot.FragmentConnection || name == iot.FragmentActiveAlarms
}

func ofFragment(t iot.TenantID, name string, drop func()) candidate {
	return candidate{source{"object_fragment d", "d.tenant = ? AND d.fragment = ?", []any{string(t), name}}, drop}
}

// sure reports whether the index holds all texts of a fragment that are compared through it.
func (s *Store) sure(ctx context.Context, t iot.TenantID, fragment string) (bool, error) {
	m := mark(fragment)
	var unsure bool
	err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM object_value WHERE tenant = ? AND path = ? AND value = ?)`, string(t), m.path, m.value).Scan(&unsure)
	return !unsure, err
}
