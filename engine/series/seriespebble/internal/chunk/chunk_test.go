package chunk_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
	"github.com/isobar-iot/isobar/iot"
)

var key = []byte("some key")

func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, b *chunk.Block) []byte {
	t.Helper()
	packed := chunk.Encode(nil, key, b)
	for _, form := range [][]byte{packed, chunk.Encode1(nil, key, b)} {
		var got chunk.Block
		if err := chunk.Decode(&got, b.Width, key, form); err != nil {
			t.Fatalf("decode: %v", err)
		}
		if !slices.Equal(got.Times, b.Times) || !slices.Equal(got.Seqs, b.Seqs) || !slices.Equal(got.Vals, b.Vals) {
			t.Fatalf("version %d: got %v, want %v", form[0], got, *b)
		}
		h, stats, err := chunk.ReadStats(nil, key, form)
		if err != nil || h.Count != b.Len() || h.First != b.Times[0] || h.Last != b.Times[b.Len()-1] || h.Complete != (form[0] > 1) {
			t.Fatalf("head %+v, %v", h, err)
		}
		for c := range stats {
			if want := statOf(b, c); !same(stats[c], want, h.Complete) {
				t.Fatalf("version %d: column %d: %+v, want %+v", form[0], c, stats[c], want)
			}
		}
	}
	return packed
}

func statOf(b *chunk.Block, c int) (s series.Stat) {
	for i := range b.Len() {
		s.Add(series.Stamp{MS: b.Times[i], Seq: b.Seqs[i]}, b.Row(i)[c])
	}
	return s
}

// same compares statistics; sums may differ by rounding, since those of a constant column are worked out.
func same(x, y series.Stat, complete bool) bool {
	near := func(a, b float64) bool {
		return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*(1+math.Abs(y.Sum)+math.Abs(b))
	}
	sums := near(x.Sum, y.Sum) && (near(x.M2, y.M2) || x.M2 == 0 && y.M2 <= 1e-20*y.Sum*y.Sum)
	if x.Sum, x.M2, y.Sum, y.M2 = 0, 0, 0, 0; !complete {
		y.First, y.Last, y.FirstAt, y.LastAt, y.MinAt, y.MaxAt = x.First, x.Last, x.FirstAt, x.LastAt, x.MinAt, x.MaxAt
	}
	return sums && x == y
}

// number draws numbers of the kinds that choose different ways of packing.
func number(t *rapid.T, kind int) iot.Number {
	switch kind {
	case 0:
		return iot.Number{Mant: rapid.Int64Range(-1000, 1000).Draw(t, "m"), Scale: 1}
	case 1:
		return iot.Number{Mant: rapid.Int64().Draw(t, "m"), Scale: int8(rapid.IntRange(0, 18).Draw(t, "s"))}
	case 2:
		return iot.Number{Mant: rapid.Int64Range(-10_000, 10_000).Draw(t, "m"), Scale: int8(rapid.IntRange(0, 3).Draw(t, "s"))}
	case 3:
		n, err := iot.ParseNumber(iot.Number{Mant: rapid.Int64Range(-1000, 1000).Draw(t, "m"), Scale: 1}.String())
		if err != nil {
			t.Fatal(err)
		}
		return iot.FloatNumber(n.Float())
	case 4:
		return iot.Number{Mant: int64(math.Float64bits(rapid.Float64Range(-1e300, 1e300).Draw(t, "f"))), Scale: iot.Float64}
	case 5:
		return iot.Number{Mant: 42, Scale: 1}
	case 6: // text that went through floating point: 74.93588199999998
		n, err := iot.ParseNumber(strconv.FormatFloat(float64(rapid.Int64Range(-1e9, 1e9).Draw(t, "m"))*1e-7, 'f', -1, 64))
		if err != nil {
			t.Fatal(err)
		}
		return n
	case 7:
		return iot.FloatNumber(float64(rapid.Int64Range(-1e9, 1e9).Draw(t, "m")) * 1e-7)
	case 9: // text with all digits of a float
		n, err := iot.ParseNumber(strconv.FormatFloat(rapid.Float64Range(-1000, 1000).Draw(t, "f"), 'f', -1, 64))
		if err != nil {
			t.Fatal(err)
		}
		return n
	case 8: // multiples
		return iot.Number{Mant: 25 * rapid.Int64Range(-400, 400).Draw(t, "m"), Scale: 2}
	}
	return number(t, rapid.IntRange(0, 9).Draw(t, "kind"))
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b chunk.Block
		b.Reset(rapid.IntRange(0, 4).Draw(t, "width"))
		kinds := make([]int, b.Width)
		for c := range kinds {
			kinds[c] = rapid.IntRange(0, 10).Draw(t, "kind")
		}
		ms, seq := rapid.Int64Range(series.MinTime, 0).Draw(t, "first"), uint32(0)
		for range rapid.IntRange(1, 150).Draw(t, "rows") {
			nums := make([]iot.Number, b.Width)
			for c := range nums {
				nums[c] = number(t, kinds[c])
			}
			b.Append(ms, seq, nums)
			if d := rapid.SampledFrom([]int64{0, 1, 1000, 1001, 600_000, 1 << 40}).Draw(t, "step"); d > 0 {
				ms, seq = ms+d, 0
			} else {
				seq += uint32(rapid.IntRange(1, 3).Draw(t, "seq"))
			}
		}
		roundTrip(t, &b)
	})
}

// walk makes a random walk with one decimal, a point each ten minutes with a second of jitter.
func walk(n int) *chunk.Block {
	rnd := rand.New(rand.NewPCG(1, 1))
	b := &chunk.Block{}
	b.Reset(1)
	v := int64(200)
	for i := range int64(n) {
		v += rnd.Int64N(11) - 5
		b.Append(1_770_000_000_000+i*600_000+rnd.Int64N(1000), 0, []iot.Number{{Mant: v, Scale: 1}})
	}
	return b
}

func TestSize(t *testing.T) {
	for _, n := range []int{128, 1024} {
		packed := roundTrip(t, walk(n))
		per := float64(len(packed)) / float64(n)
		t.Logf("%d rows: %.2f bytes per point", n, per)
		if per > 2.6 {
			t.Errorf("%d rows take %.2f bytes per point", n, per)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	packed := chunk.Encode(nil, key, walk(128))
	var b chunk.Block
	for i := range len(packed) * 8 {
		packed[i/8] ^= 1 << (i % 8)
		if err := chunk.Decode(&b, 1, key, packed); !errors.Is(err, chunk.ErrDamaged) {
			t.Fatalf("bit %d: %v", i, err)
		}
		packed[i/8] ^= 1 << (i % 8)
	}
	for n := range packed {
		if err := chunk.Decode(&b, 1, key, packed[:n]); !errors.Is(err, chunk.ErrDamaged) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if err := chunk.Decode(&b, 1, []byte("other key"), packed); !errors.Is(err, chunk.ErrDamaged) {
		t.Fatal("under another key:", err)
	}
	if err := chunk.Decode(&b, 2, key, packed); !errors.Is(err, chunk.ErrDamaged) {
		t.Fatal("as another shape:", err)
	}
}

// FuzzDecode gives the decoder content with a good checksum, so that it has to survive on its own.
func FuzzDecode(f *testing.F) {
	f.Add(chunk.Encode(nil, key, walk(3)), 1)
	f.Add(chunk.Encode(nil, key, walk(40)), 1)
	two := chunk.Block{Width: 2, Times: []int64{1, 1}, Seqs: []uint32{0, 1}, Vals: []iot.Number{{Mant: 1}, iot.FloatNumber(0.1), {Mant: 25, Scale: 1}, iot.FloatNumber(1e-9)}}
	f.Add(chunk.Encode(nil, key, &two), 2)
	f.Add(chunk.Encode1(nil, key, walk(40)), 1)
	f.Add(chunk.Encode1(nil, key, &two), 2)
	noisy := chunk.Block{Width: 2, Times: []int64{1, 2, 9}, Seqs: []uint32{0, 1, 0}, Vals: []iot.Number{
		{Mant: 7493588199999998, Scale: 14}, iot.FloatNumber(74.93588199999998), {Mant: 7, Scale: 1}, iot.FloatNumber(0.5), {Mant: 71, Scale: 2}, iot.FloatNumber(1.25)}}
	f.Add(chunk.Encode(nil, key, &noisy), 2)
	digits := chunk.Block{Width: 1, Times: []int64{1, 2}, Seqs: []uint32{0, 0}, Vals: []iot.Number{{Mant: 20123456789012345, Scale: 15}, {Mant: -19123456789012345, Scale: 16}}}
	f.Add(chunk.Encode(nil, key, &digits), 1)
	f.Fuzz(func(t *testing.T, value []byte, width int) {
		if len(value) > 5 {
			table := crc32.MakeTable(crc32.Castagnoli)
			binary.LittleEndian.PutUint32(value[1:], crc32.Update(crc32.Update(0, table, key), table, value[5:]))
		}
		var b chunk.Block
		if err := chunk.Decode(&b, width, key, value); err != nil {
			if !errors.Is(err, chunk.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		var again chunk.Block
		if err := chunk.Decode(&again, width, key, chunk.Encode(nil, key, &b)); err != nil || !slices.Equal(b.Vals, again.Vals) || !slices.Equal(b.Times, again.Times) {
			t.Fatal("what was decoded does not survive packing", err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	packed := chunk.Encode(nil, key, walk(1024))
	var block chunk.Block
	for b.Loop() {
		if err := chunk.Decode(&block, 1, key, packed); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/point")
}

func BenchmarkEncode(b *testing.B) {
	block, packed := walk(1024), []byte(nil)
	for b.Loop() {
		packed = chunk.Encode(packed[:0], key, block)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/point")
}
