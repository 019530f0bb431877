package registrysql

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Positions remember where the pages of a list began and ended, so that a page deep in it is found without counting to it once more. They tell
// nothing about what is on a page. One counts as long as nothing changed here that the list may depend on, and not longer than positionTTL: so
// long another node may have changed something, which then moves the bounds of pages a moment later.
const (
	maxLists     = 500
	maxReaches   = 32
	maxPositions = 1000 // of a list
	positionTTL  = 10 * time.Second
)

// what says what a list depends on, and what a change changes.
type what uint8

const (
	structure what = 1 << iota // which objects there are, and what hangs below what
	marks                      // which fragments, short texts, names, types, owners and external ids they have
	documents                  // anything in a document
	states                     // availability, connection, alarms
	aspects   = 4
)

// revisions count the changes of a tenant by aspect.
type revisions [aspects]uint64

// position is where a page may begin: after an object in the order of the list, which has offset objects up to there.
type position struct {
	offset int
	name   string // in lists by name
	id     iot.ID
}

// list is what is known about one.
type list struct {
	at    revisions
	total int // negative: unknown
	known []position
}

// reached is what was found to be in a scope.
type reached struct {
	at  revisions
	ids []iot.ID // sorted; nil: too many
}

type positions struct {
	mu      sync.Mutex // guards all
	now     map[iot.TenantID]revisions
	lists   *otter.Cache[string, *list]
	reaches *otter.Cache[string, reached]
}

func newPositions() *positions {
	return &positions{now: map[iot.TenantID]revisions{}, reaches: otter.Must(&otter.Options[string, reached]{MaximumSize: maxReaches, ExpiryCalculator: otter.ExpiryWriting[string, reached](positionTTL)}), lists: otter.Must(&otter.Options[string, *list]{MaximumSize: maxLists, ExpiryCalculator: otter.ExpiryWriting[string, *list](positionTTL)})}
}

// moved says that something changed, before whoever changed it hears of it.
func (s *Store) moved(t iot.TenantID, w what) {
	s.positions.mu.Lock()
	defer s.positions.mu.Unlock()
	r := s.positions.now[t]
	for i := range r {
		if w&(1<<i) != 0 {
			r[i]++
		}
	}
	s.positions.now[t] = r
}

// revisions returns those that count for a list, the others as zero.
func (p *positions) revisions(t iot.TenantID, w what) revisions {
	r := p.now[t]
	for i := range r {
		if w&(1<<i) == 0 {
			r[i] = 0
		}
	}
	return r
}

// listKey names a list by its text and arguments, which may be long.
func listKey(t iot.TenantID, text string, args []any) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", t, text)
	for _, a := range args {
		fmt.Fprintf(h, " %q", fmt.Sprint(a))
	}
	return string(h.Sum(nil))
}

// find returns the revisions that count for a list now, the last position up to an offset, and how many there are, negative if that is unknown.
func (p *positions) find(t iot.TenantID, key string, w what, offset int) (at revisions, from position, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at = p.revisions(t, w)
	l, ok := p.lists.GetIfPresent(key)
	if !ok || l.at != at {
		return at, position{}, -1
	}
	for _, x := range l.known {
		if x.offset <= offset && x.offset > from.offset {
			from = x
		}
	}
	return at, from, l.total
}

// learn remembers what a list has shown that was read after find.
func (p *positions) learn(key string, at revisions, total int, seen ...position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.lists.GetIfPresent(key)
	if !ok || l.at != at {
		l = &list{at: at, total: -1}
		p.lists.Set(key, l)
	}
	if total >= 0 {
		l.total = total
	}
	for _, x := range seen {
		known := len(l.known) >= maxPositions
		for _, k := range l.known {
			known = known || k.offset == x.offset
		}
		if !known {
			l.known = append(l.known, x)
		}
	}
}

// reach is Reach for the next page of a list, with the ids in order. SQLite has no other node that could change what is in a scope, so that what was
// found counts until something changes here; nobody may be shown for seconds what is out of reach since, as on PostgreSQL might happen.
func (s *Store) reach(ctx context.Context, t iot.TenantID, scope access.Scope) (ids []iot.ID, complete bool, err error) {
	p, key := s.positions, listKey(t, "reach", []any{fmt.Sprintf("%#v", scope), s.small})
	p.mu.Lock()
	at := p.revisions(t, structure|marks)
	known, ok := p.reaches.GetIfPresent(key)
	p.mu.Unlock()
	if ok && known.at == at && s.db.Dialect == sqlkit.SQLite {
		return known.ids, known.ids != nil, nil
	}
	if ids, complete, err = s.Reach(ctx, t, scope, s.small); err != nil {
		return nil, false, err
	}
	if slices.Sort(ids); !complete {
		ids = nil
	} else if ids == nil {
		ids = []iot.ID{}
	}
	if s.db.Dialect == sqlkit.SQLite {
		p.reaches.Set(key, reached{at, ids})
	}
	return ids, complete, nil
}
