package seriespebble_test

import (
	"context"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/engine/series/seriestest"
)

// always is later than every measurement.
func always() time.Time { return time.UnixMilli(series.MaxTime + 1) }

func open(t testing.TB, dir string, opts seriespebble.Options) *seriespebble.Store {
	t.Helper()
	opts.SealEvery = -1
	s, err := seriespebble.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// sealing is a store whose rows become chunks when the suite says so.
type sealing struct{ *seriespebble.Store }

func (s sealing) Settle(t *testing.T) {
	if _, err := s.Seal(context.Background(), "", always()); err != nil {
		t.Error(err)
	}
}

func TestStore(t *testing.T) {
	seriestest.TestStore(t, func(t *testing.T) series.Store {
		return sealing{open(t, t.TempDir(), seriespebble.Options{CacheBytes: 4 << 20})}
	})
}
