package c8yrest_test

import (
	"fmt"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

const oneMeasurement = `{"source":{"id":"12345"},"time":"2026-01-02T03:04:05.678Z","type":"c8y_Temperature","c8y_Temperature":{"T":{"value":21.5,"unit":"C"}}}`

func BenchmarkDecodeMeasurement(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		d, err := iot.ParseDoc([]byte(oneMeasurement), iot.MaxDepth)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c8yrest.DecodeMeasurement(d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendMeasurement(b *testing.B) {
	d, err := iot.ParseDoc([]byte(oneMeasurement), iot.MaxDepth)
	if err != nil {
		b.Fatal(err)
	}
	m, err := c8yrest.DecodeMeasurement(d)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = c8yrest.AppendMeasurement(buf[:0], "http://127.0.0.1:8080", &m)
	}
}

// TestSourcesAreReadAlikeHoweverTheyAreWritten holds the quick way of reading a source to the thorough one.
func TestSourcesAreReadAlikeHoweverTheyAreWritten(t *testing.T) {
	for source, want := range map[string]string{
		`{"id":"12"}`: "12", `{"id":12}`: "12", `{ "id" : "12" }`: "12", "{\n\t\"id\": 12\r\n}": "12", `{"name":"x","id":"12"}`: "12", `{"id":"12","self":"x"}`: "12",
		`{"id":"1","id":"12"}`: "12", `{"ID":"12"}`: "12", `{"id":"\u0031"}`: "", `{"id":""}`: "", `{"id":"x"}`: "", `{"id":-1}`: "", `{"id":1.5}`: "", `{"id":"12 "}`: "",
		`{"id":"99999999999999999999"}`: "", `{"id":null}`: "", `{}`: "", `[]`: "", `"12"`: "", `12`: "", `{"id":{}}`: "", `{"id":"0"}`: "",
	} {
		d, err := iot.ParseDoc(fmt.Appendf(nil, `{"source":%s,"type":"a"}`, source), iot.MaxDepth)
		if err != nil {
			t.Fatal(source, err)
		}
		m, err := c8yrest.DecodeMeasurement(d)
		if got := m.Source.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: %s, %v; want %q", source, got, err, want)
		}
	}
}
