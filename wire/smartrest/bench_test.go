package smartrest_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/wire/smartrest"
)

var sink smartrest.Line

func bench(b *testing.B, payload []byte, lines int) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		for l := range smartrest.Parse(payload, now, smartrest.Limits{}) {
			sink = l
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
}

// BenchmarkParse measures one publish per kind of payload; 200 is the hot path.
func BenchmarkParse(b *testing.B) {
	for name, line := range map[string]string{
		"200":       "200,c8y_Temperature,T,25.5,C",
		"200-time":  "200,c8y_Temperature,T,25.5,C,2026-01-02T03:04:05.678Z",
		"200-quote": `200,c8y_Temperature,T,25.5,"C"`,
		"201":       "201,weather,,air,T,20,C,air,H,55,%,wind,v,3.2,m/s",
		"400":       "400,door,opened",
	} {
		b.Run(name, func(b *testing.B) { bench(b, []byte(line), 1) })
	}
	b.Run("200x100", func(b *testing.B) {
		bench(b, bytes.Repeat([]byte("200,c8y_Temperature,T,25.5,C\n"), 100), 100)
	})
}
