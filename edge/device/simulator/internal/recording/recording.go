package recording

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

// Row is one recorded value.
type Row struct {
	Time  time.Time
	Value float64
}

// Recording is one series of values in the order of time.
type Recording struct {
	Name    string // the file's name without folder
	Series  string // the column's name, empty if it says nothing ("value", "y")
	Unit    string // from a header such as "pressure [bar]", empty if there is none
	Rows    []Row
	Missing int // rows without a value
	Bad     int // rows that could not be understood, or went back in time
}

const (
	maxRows      = 2_000_000
	maxLineBytes = 64 << 10
)

// Open reads the recording in a file.
func Open(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		kind := fault.Unavailable
		if errors.Is(err, os.ErrNotExist) {
			kind = fault.NotFound
		}
		return nil, fault.E(fault.Op("recording.Open"), kind, fault.Subject(path), "the recording cannot be opened", err)
	}
	defer f.Close() // only read
	return Read(f, filepath.Base(path))
}

// Read reads a recording; name is for messages. The error is of kind Invalid if no row can be used and TooLarge beyond two million rows.
func Read(r io.Reader, name string) (*Recording, error) {
	const op = fault.Op("recording.Read")
	rec := &Recording{Name: name}
	in := bufio.NewReaderSize(r, maxLineBytes)
	var cols *columns
	for {
		line, tooLong, err := nextLine(in)
		if err != nil && err != io.EOF {
			return nil, fault.E(op, fault.Unavailable, fault.Subject(name), "the recording cannot be read", err)
		}
		switch {
		case tooLong:
			rec.Bad++
		case blank(line):
		case cols == nil:
			var header bool
			if cols, header = detect(line); header {
				rec.Series, rec.Unit = cols.series, cols.unit
			} else {
				rec.add(cols, line)
			}
		default:
			rec.add(cols, line)
		}
		if len(rec.Rows) > maxRows {
			return nil, fault.E(op, fault.TooLarge, fault.Subject(name), fmt.Sprintf("the recording has more than %d rows", maxRows))
		}
		if err == io.EOF {
			break
		}
	}
	if len(rec.Rows) == 0 {
		return nil, fault.E(op, fault.Invalid, fault.Subject(name),
			fmt.Sprintf("no row with a time and a number was found (%d missing, %d bad); expected lines such as 2026-01-02 03:04:05,17.5", rec.Missing, rec.Bad))
	}
	return rec, nil
}

func (r *Recording) add(cols *columns, line string) {
	row, found := cols.row(line)
	switch {
	case found == bad, found == usable && len(r.Rows) > 0 && row.Time.Before(r.Rows[len(r.Rows)-1].Time):
		r.Bad++
	case found == missing:
		r.Missing++
	default:
		r.Rows = append(r.Rows, row)
	}
}

// nextLine returns one line without its line break. A line longer than the buffer is swallowed and reported as too long.
func nextLine(in *bufio.Reader) (line string, tooLong bool, err error) {
	b, err := in.ReadSlice('\n')
	for err == bufio.ErrBufferFull {
		tooLong = true
		_, err = in.ReadSlice('\n')
	}
	if tooLong {
		return "", true, err
	}
	return string(b), false, err
}

// Rhythm returns the usual time between two rows: the median, so that gaps do not count. It is five minutes for a single row.
func (r *Recording) Rhythm() time.Duration {
	steps := make([]time.Duration, 0, len(r.Rows))
	for i := 1; i < len(r.Rows); i++ {
		if d := r.Rows[i].Time.Sub(r.Rows[i-1].Time); d > 0 {
			steps = append(steps, d)
		}
	}
	if len(steps) == 0 {
		return 5 * time.Minute
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

// gapRhythms is how many usual steps a gap in the recording lasts at most when it is relived; nobody waits a week for a row.
const gapRhythms = 6

// Gap returns the recorded time from row i to the next one, at most six times the rhythm given. After the last row the recording
// starts again one rhythm later.
func (r *Recording) Gap(i int, rhythm time.Duration) time.Duration {
	if i+1 >= len(r.Rows) {
		return rhythm
	}
	return min(max(r.Rows[i+1].Time.Sub(r.Rows[i].Time), 0), gapRhythms*rhythm)
}
