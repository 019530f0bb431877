package c8yrest_test

import (
	"flag"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

var update = flag.Bool("update", false, "rewrite the answers in the golden files")

func TestGolden(t *testing.T) {
	for _, file := range goldenFiles(t) {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".golden")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exchanges := readScript(t, file)
			run(t, start(t), exchanges)
			if *update {
				writeScript(t, file, exchanges)
			}
		})
	}
}

func run(t *testing.T, s *server, exchanges []exchange) {
	v := &view{host: strings.TrimPrefix(s.url, "http://"), captured: map[string]string{}}
	for i := range exchanges {
		e := &exchanges[i]
		a := perform(t, s, e, v.captured)
		conforms(t, e, a)
		for _, c := range e.captures {
			value, ok := c.find(a)
			if !ok {
				t.Fatalf("%s %s: nothing to capture as %s in\n%s", e.method, e.path, c.name, a.body)
			}
			v.captured[c.name] = value
		}
		v.brief = e.brief
		got := v.answer(a, e.show)
		switch {
		case *update:
			e.want = got
		case got != e.want:
			t.Errorf("%s\ngot\n%s\nwant\n%s", e.upper, got, e.want)
		}
	}
}

// perform makes the request of an exchange, again and again if it waits for something.
func perform(t *testing.T, s *server, e *exchange, captured map[string]string) answer {
	header := http.Header{}
	for name, values := range e.header {
		for _, value := range values {
			header.Add(name, fill(value, captured))
		}
	}
	as, path, body := fill(e.as, captured), fill(e.path, captured), fill(e.body, captured)
	deadline := time.Now().Add(20 * time.Second)
	for {
		a := s.send(t, as, e.method, path, header, body)
		if e.until == "" {
			return a
		}
		if _, ok := lookup([]byte(a.body), e.until); ok {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %s: no %s in\n%s", e.method, e.path, e.until, a.body)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (c capture) find(a answer) (string, bool) {
	switch kind, name, _ := strings.Cut(c.from, " "); kind {
	case "cookie":
		value := a.cookie(name)
		return value, value != ""
	case "header":
		value := a.header.Get(name)
		return value[strings.LastIndexByte(value, '/')+1:], value != ""
	}
	return lookup([]byte(a.body), c.from)
}

// lookup finds ".a.b.0.c" in a document.
func lookup(raw []byte, path string) (string, bool) {
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		if list, err := iot.ParseArray(raw, iot.MaxDepth); err == nil && len(name) == 1 && int(name[0]-'0') < len(list) {
			raw = list[name[0]-'0']
			continue
		}
		d, err := iot.ParseDoc(raw, iot.MaxDepth)
		if raw = d.Get(name); err != nil || raw == nil {
			return "", false
		}
	}
	if s, ok := iot.RawText(raw); ok {
		return s, true
	}
	return string(raw), true
}

func TestEveryRouteHasAGoldenExchange(t *testing.T) {
	covered := map[string]bool{}
	for _, file := range goldenFiles(t) {
		for _, e := range readScript(t, file) {
			path, _, _ := strings.Cut(e.path, "?")
			r, err := http.NewRequest(e.method, placeholder.ReplaceAllString(path, "1"), nil)
			if err != nil {
				t.Fatal(err)
			}
			rt := c8yrest.Match(r)
			covered[rt.Method+" "+rt.Path] = true
		}
	}
	for _, rt := range c8yrest.Routes() {
		if !covered[rt.Method+" "+rt.Path] {
			t.Errorf("no golden exchange for %s %s", rt.Method, rt.Path)
		}
	}
}
