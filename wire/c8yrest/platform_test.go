package c8yrest_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/app"
)

const (
	adminPassword     = "Admin-12345"
	bootstrapPassword = "Bootstrap-12345"
)

// server is a whole platform in this process.
type server struct {
	url    string
	client *http.Client
}

// start runs a platform for one test.
func start(t testing.TB) *server {
	t.Helper()
	config := app.Config{Data: t.TempDir(), HTTP: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: adminPassword, BootstrapPassword: bootstrapPassword,
		Edge: app.EdgeConfig{TrustedProxies: []string{"127.0.0.1"}}}
	pf, err := app.Start(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: "http://" + pf.Addr("http"), client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := pf.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   string
}

// cookie returns the value of a cookie that the answer sets.
func (a answer) cookie(name string) string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// send makes a request as a user ("name:password" with an optional "tenant/" before it, or one of the names below).
func (s *server) send(t testing.TB, as, method, target string, header http.Header, body string) answer {
	t.Helper()
	r, err := http.NewRequest(method, s.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if h := r.Header.Get("Host"); h != "" {
		r.Host = h
	}
	switch as {
	case "anonymous":
	case "admin":
		r.SetBasicAuth("admin", adminPassword)
	case "management":
		r.SetBasicAuth("management/admin", adminPassword)
	case "bootstrap":
		r.SetBasicAuth("management/devicebootstrap", bootstrapPassword)
	default:
		user, password, _ := strings.Cut(as, ":")
		r.SetBasicAuth(user, password)
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
	return answer{res.StatusCode, res.Header, string(b)}
}
