package recording

import "slices"

// Band is the range of values that a machine keeps while it is well.
type Band struct{ Low, High float64 }

// learnShare is the part at the start of a recording that counts as normal.
const learnShare = 0.15

// Band learns the normal range from the first 15 % of the recording (at least 20 rows, or all of them): the middle 98 % of its values,
// widened by a quarter on both sides, so that a single spike neither widens the band nor leaves it.
func (r *Recording) Band() Band {
	n := min(len(r.Rows), max(20, int(float64(len(r.Rows))*learnShare)))
	values := make([]float64, n)
	for i, row := range r.Rows[:n] {
		values[i] = row.Value
	}
	slices.Sort(values)
	low, high := values[n/100], values[n-1-n/100]
	margin := (high - low) / 4
	if margin == 0 {
		margin = 1
	}
	return Band{Low: low - margin, High: high + margin}
}

// Stress tells how far a value is from the middle of the band: 0 in the middle, 1 at its edges, more outside.
func (b Band) Stress(v float64) float64 {
	half := (b.High - b.Low) / 2
	if half <= 0 {
		return 0
	}
	s := (v - b.Low - half) / half
	if s < 0 {
		return -s
	}
	return s
}

// Watch turns values into an alarm with memory, so that a value at the edge does not make it flutter. The zero Watch is calm.
type Watch struct {
	raised bool
	run    int // consecutive values that contradict the present state
}

const (
	watchRun   = 2    // values in a row that it takes to change its mind
	calmStress = 0.95 // back inside by this much before the alarm is cleared
)

// Raised reports whether the alarm is on.
func (w *Watch) Raised() bool { return w.raised }

// See takes the next value and reports whether the alarm has just changed.
func (w *Watch) See(b Band, v float64) (changed bool) {
	s := b.Stress(v)
	if contradicts := !w.raised && s > 1 || w.raised && s < calmStress; !contradicts {
		w.run = 0
		return false
	}
	if w.run++; w.run < watchRun {
		return false
	}
	w.raised, w.run = !w.raised, 0
	return true
}
