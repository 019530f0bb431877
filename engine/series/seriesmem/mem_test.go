package seriesmem_test

import (
	"testing"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/engine/series/seriestest"
)

func TestStore(t *testing.T) {
	seriestest.TestStore(t, func(t *testing.T) series.Store {
		s := seriesmem.New()
		t.Cleanup(func() { s.Close() })
		return s
	})
}
