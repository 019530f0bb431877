package c8yrest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// file sends a request about the file and returns the answer.
func (s *server) file(t *testing.T, method, path string, body []byte, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("main/admin", adminPassword)
	r.Header.Set("Accept", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// TestDownloads asks for a file that lies on the disk in all ways that HTTP knows.
func TestDownloads(t *testing.T) {
	s := start(t)
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	a := s.file(t, "POST", "/inventory/binaries", content, "Content-Type", "text/html", "Content-Disposition", `attachment; filename="../x.html"`)
	var mo struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &mo); err != nil || a.status != http.StatusCreated {
		t.Fatal(a.status, a.body, err)
	}
	path := "/inventory/binaries/" + mo.ID
	a = s.file(t, "GET", path, nil)
	sum := sha256.Sum256(content)
	tag := a.header.Get("ETag")
	if a.body != string(content) || tag != `"`+hex.EncodeToString(sum[:])+`"` || a.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment; filename=x.html") || !strings.HasPrefix(a.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the whole file: %d, %v, %d bytes", a.status, a.header, len(a.body))
	}
	for _, c := range []struct {
		header []string
		status int
		body   string
	}{
		{[]string{"Range", "bytes=499995-"}, 206, "56789"},
		{[]string{"Range", "bytes=-3"}, 206, "789"},
		{[]string{"Range", "bytes=500000-"}, 416, ""},
		{[]string{"Range", "bytes=nonsense"}, 200, string(content)},
		{[]string{"Range", "bytes=0-400000,0-400000"}, 200, string(content)},
		{[]string{"Range", "bytes=1-2", "If-Range", tag}, 206, "12"},
		{[]string{"Range", "bytes=1-2", "If-Range", `"another"`}, 200, string(content)},
		{[]string{"If-None-Match", `"x", ` + tag}, 304, ""},
		{[]string{"If-None-Match", `"x"`}, 200, string(content)},
	} {
		if a := s.file(t, "GET", path, nil, c.header...); a.status != c.status || a.body != c.body {
			t.Errorf("%v: status %d, %d bytes", c.header, a.status, len(a.body))
		}
	}
	if a := s.file(t, "HEAD", path, nil); a.status != 200 || a.body != "" || a.header.Get("Content-Length") != "500000" {
		t.Errorf("HEAD: %d, %v", a.status, a.header)
	}
	a = s.file(t, "GET", path, nil, "Range", "bytes=1-3, 499998-")
	_, p, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || a.status != 206 {
		t.Fatal(a.status, a.header, err)
	}
	parts := multipart.NewReader(strings.NewReader(a.body), p["boundary"])
	for _, want := range []struct{ span, text string }{{"bytes 1-3/500000", "123"}, {"bytes 499998-499999/500000", "89"}} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(part)
		if err != nil || string(b) != want.text || part.Header.Get("Content-Range") != want.span {
			t.Errorf("part %q, %v, %v", b, part.Header, err)
		}
	}
}
