package seriespebble

import (
	"time"

	"github.com/isobar-iot/isobar/kit/clock"
)

// watch notes the sources for which rows older than a time came in since somebody began to read.
type watch struct {
	before  int64
	touched map[sourceKey]bool
}

// note records a new row. A nil watch watches nothing.
func (w *watch) note(key sourceKey, ms int64) {
	if w != nil && ms < w.before {
		w.touched[key] = true
	}
}

// queue lists the sources that have collected enough rows for a chunk, with the time at which they did. A source is looked at when
// that is SealAfter ago. It is guarded by the append lock.
type queue struct {
	due  []due
	full bool // it overflowed, so all sources must be looked at
}

type due struct {
	key sourceKey
	at  time.Time
}

// maxQueue bounds the queue; each entry stands for minRows rows, so that is over a hundred million rows in SealAfter.
const maxQueue = 1 << 20

// count notes one more row of a source.
func (q *queue) count(src *source, c clock.Clock) {
	if src.fresh++; src.fresh < minRows {
		return
	}
	src.fresh = 0
	if len(q.due) >= maxQueue {
		q.full = true
		return
	}
	q.due = append(q.due, due{src.key, c.Now()})
}

// take removes and returns the sources that were due by a time, each once; all says that every source must be looked at.
func (q *queue) take(by time.Time) (keys []sourceKey, all bool) {
	n, once := 0, map[sourceKey]bool{}
	for n < len(q.due) && !q.due[n].at.After(by) {
		if k := q.due[n].key; !once[k] {
			once[k] = true
			keys = append(keys, k)
		}
		n++
	}
	q.due = append([]due(nil), q.due[n:]...)
	all, q.full = q.full, false
	return keys, all
}
