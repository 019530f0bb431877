package seriespebble_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

func plainPoint(source iot.ID, ms, value int64) series.Entry {
	return series.Entry{Tenant: "main", M: &iot.Measurement{Source: source, Time: iot.FromMillis(ms), Type: "t",
		Samples: []iot.Sample{{Fragment: "f", Series: "v", Value: iot.Number{Mant: value, Scale: 1}}}}}
}

// TestLateRowsAreSealed puts rows between those of sealed chunks: none may stay a row.
func TestLateRowsAreSealed(t *testing.T) {
	for _, late := range []int64{1, 7, 200, 5000} {
		s, ctx := open(t, t.TempDir(), seriespebble.Options{}), context.Background()
		var batch []series.Entry
		for i := range int64(5001) {
			batch = append(batch, plainPoint(1, 1_770_000_000_000+i*1000, i%70))
		}
		must(t, s.Append(ctx, batch))
		_, err := s.Seal(ctx, "", always())
		must(t, err)
		batch = batch[:0]
		for i := range late {
			batch = append(batch, plainPoint(1, 1_770_000_000_000+i*(5000/late)*1000+500, i%70))
		}
		must(t, s.Append(ctx, batch))
		n, err := s.Seal(ctx, "", always())
		must(t, err)
		rows, _ := values(t, s, 'r')
		if n != late || len(rows) != 0 {
			t.Errorf("of %d late rows %d were sealed, %d rows are left", late, n, len(rows))
		}
		_, chunks := values(t, s, 'c')
		if most := 2 + 2*(5000+int(late))/1024; len(chunks) > most {
			t.Errorf("%d late rows: %d chunks", late, len(chunks))
		}
		got := 0
		must(t, s.Scan(ctx, "main", series.Query{Source: 1}, func(*iot.Measurement) bool { got++; return true }))
		if got != 5001+int(late) {
			t.Errorf("%d measurements", got)
		}
	}
}

// TestChunksGrow seals a source little by little, as time goes on: its chunks must not stay as small as its portions.
func TestChunksGrow(t *testing.T) {
	s, ctx := open(t, t.TempDir(), seriespebble.Options{}), context.Background()
	for i := range int64(80) {
		var batch []series.Entry
		for k := range int64(128) {
			batch = append(batch, plainPoint(1, 1_770_000_000_000+(i*128+k)*1000, k))
		}
		must(t, s.Append(ctx, batch))
		_, err := s.Seal(ctx, "", always())
		must(t, err)
	}
	if _, chunks := values(t, s, 'c'); len(chunks) != 10 {
		t.Errorf("10240 rows make %d chunks", len(chunks))
	}
}

// TestRetentionLooksNowhereTwice counts what a retention that finds nothing does, and that one which finds something leaves no chunk behind.
func TestRetentionLooksNowhereTwice(t *testing.T) {
	reg := prometheus.NewRegistry()
	s, ctx := open(t, t.TempDir(), seriespebble.Options{Registerer: reg}), context.Background()
	const sources = 50
	for source := iot.ID(1); source <= sources; source++ {
		var batch []series.Entry
		for i := range int64(3000) {
			e := plainPoint(source, 1_770_000_000_000+i*1000, i)
			if i%3 == 0 {
				e.M.Samples = nil // a measurement without series
			}
			batch = append(batch, e)
		}
		must(t, s.Append(ctx, batch))
	}
	_, err := s.Seal(ctx, "", always())
	must(t, err)
	n, err := s.Delete(ctx, "main", series.Query{To: 1_770_000_000_000})
	must(t, err)
	if looked, _ := metric(t, reg, "isobar_series_retention_sources_total"); n != 0 || looked != sources {
		t.Errorf("%d measurements went, %v sources were looked at", n, looked)
	}
	n, err = s.Delete(ctx, "main", series.Query{To: 1_770_000_000_000 + 2500*1000})
	must(t, err)
	left := 0
	must(t, s.Scan(ctx, "main", series.Query{}, func(*iot.Measurement) bool { left++; return true }))
	if n != 2500*sources || left != 500*sources {
		t.Errorf("%d measurements went, %d are left", n, left)
	}
	n, err = s.Delete(ctx, "main", series.Query{To: 1_770_000_000_000 + 9000*1000})
	must(t, err)
	if chunks, _ := values(t, s, 'c'); n != 500*sources || len(chunks) != 0 {
		t.Errorf("%d measurements went, %d chunks are left", n, len(chunks))
	}
}

// BenchmarkBackfill puts a million points between the million that a source has, sealed, in order or not.
func BenchmarkBackfill(b *testing.B) {
	const n = 1_000_000
	for name, place := range map[string]func(i int64) int64{"inorder": func(i int64) int64 { return i }, "backwards": func(i int64) int64 { return n - 1 - i },
		"scattered": func(i int64) int64 { return i * 700_001 % n }} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s, ctx := open(b, b.TempDir(), seriespebble.Options{}), context.Background()
				fill := func(offset int64, place func(i int64) int64) {
					for i := int64(0); i < n; {
						var batch []series.Entry
						for range 1000 {
							batch = append(batch, plainPoint(1, 1_770_000_000_000+place(i)*1000+offset, place(i)%70))
							i++
						}
						must(b, s.Append(ctx, batch))
					}
				}
				fill(0, func(i int64) int64 { return i })
				_, err := s.Seal(ctx, "", always())
				must(b, err)
				b.StartTimer()
				fill(500, place)
				appended := b.Elapsed()
				sealed, err := s.Seal(ctx, "", always())
				must(b, err)
				b.StopTimer()
				if sealed < n-1 { // the last one follows all chunks, alone
					b.Fatal(fmt.Sprint(sealed, " rows were sealed"))
				}
				must(b, s.Compact(ctx))
				b.ReportMetric(n/appended.Seconds(), "points/s")
				b.ReportMetric(n/(b.Elapsed()-appended).Seconds(), "sealed/s")
				b.ReportMetric(float64(s.TableBytes())/(2*n), "bytes/point")
				b.StartTimer()
			}
		})
	}
}
