package c8yrest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
)

// send sends a request as it is, and returns the answer as it came over the wire.
func send(t *testing.T, s *server, method, path string, body []byte, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("admin:"+adminPassword)))
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, b
}

func zip(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPackedRequests(t *testing.T) {
	s := start(t)
	const mo = "/inventory/managedObjects"
	object := []byte(`{"name":"packed"}`)
	for _, c := range []struct {
		name, coding string
		body         []byte
		status       int
	}{
		{"gzip", "gzip", zip(t, object), 201},
		{"plain under its name", "identity", object, 201},
		{"cut off", "gzip", zip(t, object)[:20], 400},
		{"not gzip", "gzip", object, 400},
		{"not offered", "br", object, 400},
		{"small on the wire, without end in memory", "gzip", zip(t, append(bytes.Repeat([]byte(" "), 16<<20), object...)), 413},
		{"not packed twice", "gzip", zip(t, zip(t, object)), 422},
	} {
		res, b := send(t, s, "POST", mo, c.body, "Content-Encoding", c.coding, "Content-Type", "application/json")
		if res.StatusCode != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, res.StatusCode, c.status, b)
		}
		if c.status == 201 && !strings.Contains(string(b), `"packed"`) {
			t.Errorf("%s: stored %s", c.name, b)
		}
	}
}

func TestPackedAnswers(t *testing.T) {
	s := start(t)
	res, _ := send(t, s, "POST", "/inventory/managedObjects", []byte(`{"name":"`+strings.Repeat("pump ", 1000)+`"}`), "Content-Type", "application/json")
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("created: %d", res.StatusCode)
	}
	at := "/inventory/managedObjects/" + res.Header.Get("Location")[strings.LastIndexByte(res.Header.Get("Location"), '/')+1:]
	_, plain := send(t, s, "GET", at, nil)
	for accept, want := range map[string]bool{"gzip": true, "br, *": true, "GZIP;q=0.5": true, "gzip;q=0, *": false, "identity": false, "*;q=0": false} {
		res, b := send(t, s, "GET", at, nil, "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: packed is %v", accept, got)
			continue
		}
		if !strings.Contains(strings.Join(res.Header.Values("Vary"), ", "), "Accept-Encoding") {
			t.Errorf("Accept-Encoding %q: caches are not told", accept)
		}
		if want {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > len(plain)/4 {
				t.Errorf("%d bytes were packed into %d", len(plain), len(b))
			}
			if b, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(b, plain) {
			t.Errorf("Accept-Encoding %q: %.100s", accept, b)
		}
	}
	if res, _ := send(t, s, "GET", "/inventory/managedObjects/count", nil, "Accept-Encoding", "gzip"); res.Header.Get("Content-Encoding") != "" {
		t.Error("a small answer is packed")
	}
}

func TestRequestIDs(t *testing.T) {
	s := start(t)
	id := func(given string) string {
		res, _ := send(t, s, "GET", "/nowhere", nil, "X-Request-Id", given)
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("status %d", res.StatusCode)
		}
		return res.Header.Get("X-Request-Id")
	}
	if got := id("proxy-1.a_B"); got != "proxy-1.a_B" {
		t.Errorf("the id of the proxy became %q", got)
	}
	seen := map[string]bool{}
	for _, bad := range []string{"", "", "with space", `"quoted"`, strings.Repeat("x", 65)} {
		got := id(bad)
		if len(got) != 16 || seen[got] {
			t.Errorf("for %q: id %q", bad, got)
		}
		seen[got] = true
	}
}
