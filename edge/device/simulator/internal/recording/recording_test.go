package recording

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, csv          string
		rows, missing, bad int
		series, unit       string
		last               float64
	}{
		{"Numenta", "timestamp,value\n2013-12-02 21:15:00,73.9\n2013-12-02 21:20:00,74.9\n", 2, 0, 0, "", "", 74.9},
		{"Prophet with missing values", "ds,y\n2017-05-01 00:00:00,27.8\n2017-05-01 00:05:00,NaN\n2017-05-01 00:10:00,\n2017-05-01 00:15:00,26\n", 2, 2, 0, "", "", 26},
		{"named column with unit", "Time,Oil pressure [bar]\n2026-01-01T00:00:00Z,4.5\n", 1, 0, 0, "Oil_pressure", "bar", 4.5},
		{"value before time", "value,timestamp\n1.5,2026-01-01\n", 1, 0, 0, "", "", 1.5},
		{"the value column among others", "id,date,value\n7,2026-01-01,1.5\n", 1, 0, 0, "", "", 1.5},
		{"semicolon and decimal comma", "time;temp (C)\n2026-01-01 10:00;21,5\n", 1, 0, 0, "temp", "C", 21.5},
		{"no header", "2026-01-01 10:00:00,1\n2026-01-01 10:01:00,2\n", 2, 0, 0, "", "", 2},
		{"Unix seconds and milliseconds", "ts,value\n1700000000,1\n1700000001000,2", 2, 0, 0, "", "", 2},
		{"quotes, CRLF, comment and byte order mark", "\ufeff\"timestamp\",\"value\"\r\n# a comment\r\n\"2026-01-01 10:00:00\",\"3\"\r\n", 1, 0, 0, "", "", 3},
		{"bad rows are counted", "timestamp,value\nnonsense\n2026-01-01,abc\n2026-01-02,1\n2025-01-01,2\n2026-01-03,inf\n", 1, 0, 4, "", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Read(strings.NewReader(c.csv), "x.csv")
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Rows) != c.rows || r.Missing != c.missing || r.Bad != c.bad {
				t.Errorf("%d rows, %d missing, %d bad", len(r.Rows), r.Missing, r.Bad)
			}
			if r.Series != c.series || r.Unit != c.unit {
				t.Errorf("series %q, unit %q", r.Series, r.Unit)
			}
			if got := r.Rows[len(r.Rows)-1].Value; got != c.last {
				t.Errorf("last value %v, want %v", got, c.last)
			}
		})
	}
}

func TestReadRefusesWhatHasNoRows(t *testing.T) {
	for _, csv := range []string{"", "timestamp,value\n", "a\nb\nc\n", strings.Repeat("x", 200_000)} {
		if _, err := Read(strings.NewReader(csv), "x.csv"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.20q: %v", csv, err)
		}
	}
}

func TestReadPassesOnTrouble(t *testing.T) {
	if _, err := Read(iotest.ErrReader(errors.New("disk gone")), "x.csv"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no.csv")); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestRhythmIgnoresGaps(t *testing.T) {
	r, err := Read(strings.NewReader("t,v\n2026-01-01 00:00:00,1\n2026-01-01 00:05:00,1\n2026-01-01 00:10:00,1\n2026-01-09 00:00:00,1\n2026-01-09 00:05:00,1\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	rhythm := r.Rhythm()
	if rhythm != 5*time.Minute {
		t.Errorf("rhythm of %v", rhythm)
	}
	if g := r.Gap(2, rhythm); g != 30*time.Minute {
		t.Errorf("the gap lasts %v", g)
	}
	if g := r.Gap(4, rhythm); g != rhythm {
		t.Errorf("starting again takes %v", g)
	}
}

func TestBandAndWatch(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		v := 80 + 10*math.Sin(float64(i)/7)
		if i >= 600 && i < 620 {
			v = 140
		}
		fmt.Fprintf(&b, "%d,%f\n", 1700000000+i*300, v)
	}
	r, err := Read(strings.NewReader(b.String()), "x")
	if err != nil {
		t.Fatal(err)
	}
	band := r.Band()
	if band.Low < 60 || band.Low > 70 || band.High < 90 || band.High > 100 {
		t.Fatalf("band %+v", band)
	}
	var w Watch
	var changes []int
	for i, row := range r.Rows {
		if w.See(band, row.Value) {
			changes = append(changes, i)
		}
	}
	if fmt.Sprint(changes) != "[601 621]" || w.Raised() {
		t.Errorf("changes at %v, raised %v", changes, w.Raised())
	}
}

func TestBandOfAConstantHasWidth(t *testing.T) {
	r := &Recording{Rows: []Row{{Value: 5}, {Value: 5}}}
	if b := r.Band(); b.Low >= 5 || b.High <= 5 || b.Stress(5) != 0 {
		t.Errorf("%+v", b)
	}
}

// TestPublicRecordings reads the real files in the folder that ISOBAR_RECORDINGS names; the project does not contain any.
func TestPublicRecordings(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(os.Getenv("ISOBAR_RECORDINGS"), "*.csv"))
	if os.Getenv("ISOBAR_RECORDINGS") == "" || len(files) == 0 {
		t.Skip("ISOBAR_RECORDINGS names no folder with recordings")
	}
	for _, f := range files {
		r, err := Open(f)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		var w Watch
		alarms, band := 0, r.Band()
		for _, row := range r.Rows {
			if w.See(band, row.Value) && w.Raised() {
				alarms++
			}
		}
		t.Logf("%s: %d rows, %d missing, %d bad, rhythm %v, band %+v, %d alarms", r.Name, len(r.Rows), r.Missing, r.Bad, r.Rhythm(), band, alarms)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("timestamp,value\n2013-12-02 21:15:00,73.9\n"))
	f.Add([]byte("time;temp (C)\n2026-01-01 10:00;21,5\n"))
	f.Add([]byte("1700000000,1\n1700000001000,nan\n\xff\xfe,\n"))
	f.Fuzz(func(t *testing.T, csv []byte) {
		r, err := Read(bytes.NewReader(csv), "fuzz")
		if err != nil {
			return
		}
		for i, row := range r.Rows {
			if math.IsNaN(row.Value) || math.IsInf(row.Value, 0) {
				t.Fatalf("row %d is %v", i, row.Value)
			}
			if i > 0 && row.Time.Before(r.Rows[i-1].Time) {
				t.Fatalf("row %d goes back in time", i)
			}
		}
		if b := r.Band(); !(b.Low < b.High) {
			t.Fatalf("band %+v", b)
		}
		if r.Rhythm() <= 0 {
			t.Fatal("no rhythm")
		}
	})
}
