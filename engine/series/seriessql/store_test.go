package seriessql_test

import (
	"context"
	"crypto/rand"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriessql"
	"github.com/isobar-iot/isobar/engine/series/seriestest"
	"github.com/isobar-iot/isobar/iot"
)

// database makes a schema of its own and returns a configuration whose connections live in it.
func database(t testing.TB) *pgxpool.Config {
	t.Helper()
	dsn := os.Getenv("ISOBAR_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("ISOBAR_TEST_POSTGRES is not set")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	schema := pgx.Identifier{"series_test_" + rand.Text()}.Sanitize()
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(ctx, "DROP SCHEMA "+schema+" CASCADE"); err != nil {
			t.Error(err)
		}
		conn.Close(ctx)
	})
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.MaxConns = 4
	return config
}

func open(t testing.TB, config *pgxpool.Config) *seriessql.Store {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := seriessql.New(context.Background(), pool, seriessql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	seriestest.TestStore(t, func(t *testing.T) series.Store { return open(t, database(t)) })
}

// TestNodesShareADatabase starts several stores at once on an empty schema and lets them write the same source and time.
func TestNodesShareADatabase(t *testing.T) {
	config := database(t)
	const nodes, each = 3, 20
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[iot.MeasurementID]int{}
	for range nodes {
		wg.Go(func() {
			s := open(t, config.Copy())
			for i := range int64(each) {
				m := &iot.Measurement{Source: 1, Time: iot.FromMillis(1_770_000_000_000 + i%2), Type: "t", Samples: []iot.Sample{{Fragment: "f", Series: "s", Value: iot.Number{Mant: i}}}}
				if err := s.Append(context.Background(), []series.Entry{{Tenant: "main", M: m}}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				ids[m.ID()]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(ids) != nodes*each {
		t.Fatalf("%d ids for %d measurements", len(ids), nodes*each)
	}
	if c, err := open(t, config.Copy()).Catalog(context.Background(), "main", 1); err != nil || len(c) != 1 {
		t.Fatal(c, err)
	}
}

func BenchmarkAppend500(b *testing.B) {
	s := open(b, database(b))
	n := int64(0)
	for b.Loop() {
		batch := make([]series.Entry, 500)
		for i := range batch {
			n++
			m := &iot.Measurement{Source: iot.ID(n%1000 + 1), Time: iot.FromMillis(1_770_000_000_000 + n/1000*600_000), Type: "t",
				Samples: []iot.Sample{{Fragment: "f", Series: "s", Unit: "C", Value: iot.Number{Mant: n, Scale: 1}}}}
			batch[i] = series.Entry{Tenant: "main", M: m}
		}
		if err := s.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "points/s")
}
