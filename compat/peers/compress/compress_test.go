package compress

import (
	"bytes"
	"context"
	"encoding/csv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// point is a value with the text that its recording has.
type point struct {
	ms   int64
	text string
}

func (p point) float(t *testing.T) float64 {
	f, err := strconv.ParseFloat(p.text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// tolerance is what all the digits of floats that are mostly noise may cost above the best: there is nothing to gain for anybody, and our
// chunks also carry statistics and checksums.
const tolerance = 1.01

// TestBytesPerPoint demands that our chunks take no more than the smallest of what the peers take.
func TestBytesPerPoint(t *testing.T) {
	for name, points := range datasets(t) {
		t.Run(name, func(t *testing.T) {
			ours, xor := sealed(t, points), prometheus(t, points)
			plain := parquetFile(t, points, plainRow{}, func(p point) any { return plainRow{p.ms, p.float(t)} })
			tuned := parquetFile(t, points, tunedRow{}, func(p point) any { return tunedRow{p.ms, p.float(t)} })
			dict := parquetFile(t, points, dictRow{}, func(p point) any { return dictRow{p.ms, p.float(t)} })
			n := float64(len(points))
			t.Logf("%d points: ours %.3f, Prometheus XOR %.3f, Parquet+zstd plain %.3f, delta and byte stream split %.3f, delta and dictionary %.3f bytes per point",
				len(points), ours/n, xor/n, plain/n, tuned/n, dict/n)
			best := min(xor, plain, tuned, dict)
			if name == "float" {
				best *= tolerance
			}
			if ours > best {
				t.Errorf("ours are %.0f bytes, the best peer's %.0f", ours, best)
			}
		})
	}
}

func datasets(t *testing.T) map[string][]point {
	out := map[string][]point{"walk": walk(false), "jitter": walk(true), "float": floats()}
	folder := os.Getenv("ISOBAR_RECORDINGS")
	files, _ := filepath.Glob(filepath.Join(folder, "*.csv"))
	if folder == "" || len(files) == 0 {
		t.Log("no recordings: set ISOBAR_RECORDINGS to a folder of CSV files with time and value; only generated data is compared")
		return out
	}
	for _, f := range files {
		out[filepath.Base(f)] = recording(t, f)
	}
	return out
}

func recording(t *testing.T, name string) (out []point) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		at, err := time.Parse("2006-01-02 15:04:05", line[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := strconv.ParseFloat(line[1], 64); err == nil && line[1] != "NaN" && line[1] != "" {
			out = append(out, point{at.UnixMilli(), line[1]})
		}
	}
	return out
}

// walk is a random walk with one decimal, each ten minutes, if wanted with up to 50 ms of jitter.
func walk(jitter bool) (out []point) {
	rnd, v := rand.New(rand.NewPCG(1, 1)), int64(200)
	for i := range int64(100_000) {
		v += rnd.Int64N(11) - 5
		p := point{1_770_000_000_000 + i*600_000, iot.Number{Mant: v, Scale: 1}.String()}
		if jitter {
			p.ms += rnd.Int64N(50)
		}
		out = append(out, p)
	}
	return out
}

// floats is a random walk with all digits of a float.
func floats() (out []point) {
	rnd, v := rand.New(rand.NewPCG(2, 2)), 20.0
	for i := range int64(100_000) {
		v += rnd.NormFloat64() / 10
		out = append(out, point{1_770_000_000_000 + i*1000, strconv.FormatFloat(v, 'f', -1, 64)})
	}
	return out
}

// sealed returns the size of our tables, with keys, indexes and checksums.
func sealed(t *testing.T, points []point) float64 {
	s, err := seriespebble.Open(t.TempDir(), seriespebble.Options{SealEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	for len(points) > 0 {
		var batch []series.Entry
		for _, p := range points[:min(10_000, len(points))] {
			n, err := iot.ParseNumber(p.text)
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, series.Entry{Tenant: "main", M: &iot.Measurement{Source: 1, Time: iot.FromMillis(p.ms), Type: "c8y_TemperatureMeasurement",
				Samples: []iot.Sample{{Fragment: "c8y_Temperature", Series: "T", Unit: "C", Value: n}}}})
		}
		if err := s.Append(ctx, batch); err != nil {
			t.Fatal(err)
		}
		points = points[len(batch):]
	}
	if _, err := s.Seal(ctx, "", time.UnixMilli(series.MaxTime+1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	return float64(s.TableBytes())
}

// prometheus returns the size of XOR chunks of 120 samples, as its head makes them, without any index.
func prometheus(t *testing.T, points []point) float64 {
	size := 0
	for len(points) > 0 {
		c := chunkenc.NewXORChunk()
		a, err := c.Appender()
		if err != nil {
			t.Fatal(err)
		}
		n := min(120, len(points))
		for _, p := range points[:n] {
			a.Append(0, p.ms, p.float(t))
		}
		size += len(c.Bytes())
		points = points[n:]
	}
	return float64(size)
}

type plainRow struct {
	Time  int64   `parquet:"t"`
	Value float64 `parquet:"v"`
}

type tunedRow struct {
	Time  int64   `parquet:"t,delta"`
	Value float64 `parquet:"v,split"`
}

type dictRow struct {
	Time  int64   `parquet:"t,delta"`
	Value float64 `parquet:"v,dict"`
}

func parquetFile(t *testing.T, points []point, row any, of func(p point) any) float64 {
	var b bytes.Buffer
	w := parquet.NewWriter(&b, parquet.SchemaOf(row), parquet.Compression(&zstd.Codec{Level: zstd.SpeedBetterCompression}))
	for _, p := range points {
		if err := w.Write(of(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return float64(b.Len())
}
