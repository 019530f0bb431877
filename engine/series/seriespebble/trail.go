package seriespebble

import (
	"encoding/binary"

	"github.com/isobar-iot/isobar/engine/series"
)

// trail is what the latest commits brought of one client, oldest first: of each the number of deliveries, then those.
type trail []byte

// maxTrail is how many commits a trail may hold in memory before the older ones are dropped.
const maxTrail = 2 * series.Remembered

const countBytes = 4

func appendCommit(b []byte, of []int32, entries []series.Entry) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(of)))
	for _, i := range of {
		b = series.AppendDelivery(b, entries[i].From)
	}
	return b
}

// cutCommit returns the first commit of t and what follows; ok is false if t is damaged.
func cutCommit(t []byte) (first, rest []byte, ok bool) {
	if len(t) < countBytes {
		return nil, nil, false
	}
	n := countBytes + series.DeliveryBytes*int64(binary.LittleEndian.Uint32(t))
	if n > int64(len(t)) {
		return nil, nil, false
	}
	return t[:n], t[n:], true
}

// commits is the number of commits in t; ok is false if t is damaged.
func (t trail) commits() (n int, ok bool) {
	for rest := []byte(t); len(rest) > 0; n++ {
		if _, rest, ok = cutCommit(rest); !ok {
			return 0, false
		}
	}
	return n, true
}

// latest is t without all but the last n commits, given that it has so many of them.
func (t trail) latest(has, n int) trail {
	rest := []byte(t)
	for ; has > n; has-- {
		_, rest, _ = cutCommit(rest)
	}
	return rest
}

// deliveries appends the deliveries of t, which is not damaged.
func (t trail) deliveries(out []series.Delivery, client uint64) []series.Delivery {
	for rest := []byte(t); len(rest) > 0; {
		var first []byte
		first, rest, _ = cutCommit(rest)
		out, _ = series.ParseDeliveries(out, client, first[countBytes:])
	}
	return out
}

// recent is the trail of a client since the last fold.
type recent struct {
	trail   trail
	commits int
}

func (r *recent) add(commit []byte, commits int) {
	r.trail = append(r.trail, commit...)
	if r.commits += commits; r.commits > maxTrail {
		rest := r.trail.latest(r.commits, series.Remembered)
		r.trail, r.commits = r.trail[:copy(r.trail, rest)], series.Remembered
	}
}
