package seriespebble_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// values returns copies of all keys and values of a key space.
func values(t *testing.T, s *seriespebble.Store, tag byte) (keys, vals [][]byte) {
	t.Helper()
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: []byte{tag}, UpperBound: []byte{tag + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		keys, vals = append(keys, bytes.Clone(it.Key())), append(vals, bytes.Clone(it.Value()))
	}
	return keys, vals
}

// TestDamageIsReported flips bits below the engine's own checksums: every read must fail as Corrupt, and name the place.
func TestDamageIsReported(t *testing.T) {
	for tag, place := range map[byte]string{'r': "row of source 1", 'c': "chunk of source 1", 's': ""} {
		s := open(t, t.TempDir(), seriespebble.Options{})
		f := newFleet(1)
		n := 3
		if tag == 'c' {
			n = 128
		}
		must(t, s.Append(context.Background(), f.batch(n)))
		_, err := s.Seal(context.Background(), "", always())
		must(t, err)
		keys, vals := values(t, s, tag)
		if len(keys) == 0 {
			t.Fatalf("nothing in key space %c", tag)
		}
		for bit := 0; bit < len(vals[0])*8; bit += 5 {
			bad := bytes.Clone(vals[0])
			bad[bit/8] ^= 1 << (bit % 8)
			must(t, s.DB().Set(keys[0], bad, pebble.NoSync))
			s.Forget()
			checkDamage(t, s, place)
		}
		must(t, s.DB().Set(keys[0], vals[0][:len(vals[0])/2], pebble.NoSync))
		s.Forget()
		checkDamage(t, s, place)
		must(t, s.DB().Set(keys[0], vals[0], pebble.NoSync))
		s.Forget()
		must(t, s.Scan(context.Background(), "main", series.Query{}, func(*iot.Measurement) bool { return true }))
	}
}

func checkDamage(t *testing.T, s *seriespebble.Store, place string) {
	t.Helper()
	ctx := context.Background()
	ok := func(*iot.Measurement) bool { return true }
	errs := map[string]error{
		"scan":         s.Scan(ctx, "main", series.Query{Source: 1}, ok),
		"scan back":    s.Scan(ctx, "main", series.Query{Source: 1, Reverse: true}, ok),
		"scan sources": s.Scan(ctx, "main", series.Query{}, ok),
	}
	_, errs["aggregate"] = s.Aggregate(ctx, "main", series.Aggregation{Source: 1, Interval: series.Interval{N: 9, Unit: series.Year}})
	_, errs["delete"] = s.Delete(ctx, "main", series.Query{Source: 1, To: 1_770_000_900_000})
	for what, err := range errs {
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), place) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// TestFailedAppendLeavesNothingBehind fails a batch after its first entry brought a new shape, and then uses that shape.
func TestFailedAppendLeavesNothingBehind(t *testing.T) {
	s := open(t, t.TempDir(), seriespebble.Options{})
	point := func(source iot.ID, ms int64, typ string) series.Entry {
		return series.Entry{Tenant: "main", M: &iot.Measurement{Source: source, Time: iot.FromMillis(ms), Type: typ}}
	}
	ctx := context.Background()
	must(t, s.Append(ctx, []series.Entry{point(2, 5, "t")}))
	keys, vals := values(t, s, 'r')
	bad := keys[0][:len(keys[0])-4] // sorts before the row, but is none
	must(t, s.DB().Set(bad, vals[0], pebble.NoSync))
	s.Forget()
	if err := s.Append(ctx, []series.Entry{point(1, 1, "new"), point(2, 4, "t")}); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
	must(t, s.DB().Delete(bad, pebble.NoSync))
	must(t, s.Append(ctx, []series.Entry{point(1, 1, "new")}))
	var got []string
	must(t, s.Scan(ctx, "main", series.Query{}, func(m *iot.Measurement) bool { got = append(got, m.Type); return true }))
	if len(got) != 2 || got[0] != "new" || got[1] != "t" {
		t.Fatal(got)
	}
}

// FuzzRow gives the row decoder content with a good checksum.
func FuzzRow(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 5, 2, 200, 1}, 1)
	f.Add([]byte{1, 0, 0, 0, 0, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8, '{', '}'}, 1)
	f.Fuzz(func(t *testing.T, value []byte, n int) {
		key := []byte("r\x04mainkey")
		if len(value) > 5 {
			binary.LittleEndian.PutUint32(value[1:], seriespebble.Checksum(key, value[5:]))
		}
		_, rest, err := seriespebble.RowShape(key, value)
		if err == nil {
			var nums []iot.Number
			if nums, _, err = seriespebble.RowNumbers(key, nil, n%1000, rest); err == nil && n%1000 > 0 && len(nums) != n%1000 {
				t.Fatal("numbers are missing without an error")
			}
		}
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
		if _, err := seriespebble.ParseShape(key, value, 1); err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
	})
}
