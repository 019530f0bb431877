package c8yrest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// seeds are representations of all kinds: what is a member of one is a free member of the others.
var seeds = []string{
	`{}`, `{"source":{"id":"1"},"time":"2024-02-03T04:05:06.007+01:00","type":"t","text":"x","c8y_T":{"T":{"value":16.0,"unit":"C"},"bad":{"value":"x"}},"a":null}`,
	`{"source":{"id":1},"severity":"MAJOR","status":"ACTIVE","count":7,"history":{}}`, `{"deviceId":"5","description":"d","status":"x","c8y_Restart":{}}`,
	`{"source":null,"time":1}`, `{"measurements":[]}`, `{"c8y_T":{"T":{"value":1e400},"U":{"value":-0.0}},"c8y_T":{"T":{"value":2}}}`, `{"a\u0000":{"b\ud800":{"value":1}}}`,
	`{"":{"":{"value":1}},"type":"\ud800"}`,
}

// fuzz decodes documents; what can be decoded must encode to a document that decodes to the same again.
func fuzz(f *testing.F, again func(t *testing.T, d iot.Doc) (encoded []byte, ok bool)) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := iot.ParseDoc(b, iot.MaxDepth)
		if err != nil {
			return
		}
		once, ok := again(t, d)
		if !ok {
			return
		}
		if d, err = iot.ParseDoc(once, iot.MaxDepth); err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, ok := again(t, d); !ok || string(once) != string(twice) {
			t.Fatalf("\n%s\n%s", once, twice)
		}
	})
}

const fuzzBase = "http://h"

func FuzzMeasurement(f *testing.F) {
	fuzz(f, func(_ *testing.T, d iot.Doc) ([]byte, bool) {
		m, err := c8yrest.DecodeMeasurement(d)
		if err != nil || m.Source == 0 || m.Time.IsZero() {
			return nil, false
		}
		return c8yrest.AppendMeasurement(nil, fuzzBase, &m), true
	})
}

func FuzzEvent(f *testing.F) {
	fuzz(f, func(_ *testing.T, d iot.Doc) ([]byte, bool) {
		e, err := c8yrest.DecodeEvent(d)
		return c8yrest.AppendEvent(nil, fuzzBase, &e, "name"), err == nil && e.Source != 0 && !e.Time.IsZero()
	})
}

func FuzzAlarm(f *testing.F) {
	fuzz(f, func(_ *testing.T, d iot.Doc) ([]byte, bool) {
		a, err := c8yrest.DecodeAlarm(d)
		a.Count = 1
		return c8yrest.AppendAlarm(nil, fuzzBase, &a, "name"), err == nil && a.Source != 0 && !a.Time.IsZero()
	})
}

func FuzzOperation(f *testing.F) {
	fuzz(f, func(_ *testing.T, d iot.Doc) ([]byte, bool) {
		op, err := c8yrest.DecodeOperation(d)
		return c8yrest.AppendOperation(nil, fuzzBase, &op, "name", ""), err == nil
	})
}

// FuzzRouter finds a route for whatever path there is. Every value that it takes from a path must be in the path.
func FuzzRouter(f *testing.F) {
	for _, rt := range c8yrest.Routes() {
		f.Add(rt.Method, rt.Path)
	}
	f.Add("GET", "//inventory//managedObjects/%2F%2e%2e/")
	f.Add("GET", "/user/%zz/users")
	f.Fuzz(func(t *testing.T, method, path string) {
		r := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}}
		if plain, err := url.PathUnescape(path); err == nil {
			r.URL.Path, r.URL.RawPath = plain, path
		}
		rt := c8yrest.Match(r)
		if rt.Path == "" {
			return
		}
		if rt.Method != method && !(method == http.MethodHead && rt.Method == http.MethodGet) {
			t.Errorf("%s %q leads to %s %s", method, path, rt.Method, rt.Path)
		}
		for _, m := range placeholder.FindAllStringSubmatch(rt.Path, -1) {
			if r.PathValue(m[1]) == "" {
				t.Errorf("%s %q leads to %s without a value of %s", method, path, rt.Path, m[1])
			}
		}
	})
}
