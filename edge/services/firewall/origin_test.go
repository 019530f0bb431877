package firewall_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/edge/services/firewall"
)

func open(t testing.TB, o firewall.Options) *firewall.Firewall {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f, err := firewall.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOrigin: what handlers see of a request, by who sent it and what it says of itself.
func TestOrigin(t *testing.T) {
	f := open(t, firewall.Options{Trusted: []string{"127.0.0.0/8", "::1", "10.0.0.0/8"}, Deny: []string{"203.0.113.66"}})
	const xff, xfp, xfh, fwd = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"
	for name, c := range map[string]struct {
		peer   string
		header []string
		want   string // remote host, scheme and host as a link would have them
	}{
		"nobody says anything":             {"192.0.2.1:99", nil, "192.0.2.1 - here"},
		"a stranger is not believed":       {"192.0.2.1:99", []string{xff, "203.0.113.9", xfp, "https", xfh, "evil.example", fwd, "for=203.0.113.9;proto=https"}, "192.0.2.1 - here"},
		"a stranger in the form of IPv6":   {"[::ffff:192.0.2.1]:99", []string{xfp, "https"}, "::ffff:192.0.2.1 - here"},
		"a proxy on this machine":          {"127.0.0.1:99", []string{xff, "203.0.113.9", xfp, "https", xfh, "iot.example"}, "203.0.113.9 https iot.example"},
		"the same in the form of IPv6":     {"[::ffff:127.0.0.1]:99", []string{xff, "203.0.113.9", xfp, "https"}, "203.0.113.9 https here"},
		"a proxy that says nothing":        {"[::1]:99", nil, "::1 - here"},
		"two proxies":                      {"127.0.0.1:99", []string{xff, "203.0.113.9, 10.1.1.1", xfp, "https"}, "203.0.113.9 https here"},
		"an invented hop before them":      {"127.0.0.1:99", []string{xff, "198.51.100.1, 203.0.113.9, 10.1.1.1"}, "203.0.113.9 - here"},
		"an invented hop in its own line":  {"127.0.0.1:99", []string{xff, "198.51.100.1", xff, "203.0.113.9"}, "203.0.113.9 - here"},
		"only proxies":                     {"127.0.0.1:99", []string{xff, "10.2.2.2, 10.1.1.1"}, "10.2.2.2 - here"},
		"a hop that is no address":         {"127.0.0.1:99", []string{xff, "203.0.113.9, unknown, 10.1.1.1"}, "10.1.1.1 - here"},
		"a hop with a port":                {"127.0.0.1:99", []string{xff, "203.0.113.9:4711"}, "203.0.113.9 - here"},
		"IPv6 hops":                        {"127.0.0.1:99", []string{xff, "[2001:db8::9]:4711"}, "2001:db8::9 - here"},
		"IPv6 in brackets without a port":  {"127.0.0.1:99", []string{xff, "[2001:db8::9]"}, "2001:db8::9 - here"},
		"IPv4 in IPv6":                     {"127.0.0.1:99", []string{xff, "::ffff:203.0.113.9"}, "203.0.113.9 - here"},
		"the standard header":              {"127.0.0.1:99", []string{fwd, `for=198.51.100.1, for="[2001:db8::9]:47";proto=https;host=iot.example, For=10.1.1.1;proto=http`}, "2001:db8::9 https iot.example"},
		"the standard header, obfuscated":  {"127.0.0.1:99", []string{fwd, "for=203.0.113.9, for=_hidden;by=x"}, "127.0.0.1 - here"},
		"both headers: the older one wins": {"127.0.0.1:99", []string{xff, "203.0.113.9", fwd, "for=198.51.100.1;proto=https"}, "203.0.113.9 - here"},
		"a scheme that is none":            {"127.0.0.1:99", []string{xfp, "javascript"}, "127.0.0.1 - here"},
		"a scheme in capitals":             {"127.0.0.1:99", []string{xfp, "HTTPS, http"}, "127.0.0.1 https here"},
		"a host that breaks a link":        {"127.0.0.1:99", []string{xfh, `evil.example"><script>`}, "127.0.0.1 - here"},
		"a host with a path":               {"127.0.0.1:99", []string{xfh, "evil.example/x"}, "127.0.0.1 - here"},
		"a host with a user":               {"127.0.0.1:99", []string{xfh, "a@evil.example"}, "127.0.0.1 - here"},
		"a host with a port":               {"127.0.0.1:99", []string{xfh, "iot.example:8443"}, "127.0.0.1 - iot.example:8443"},
		"a client that may not come in":    {"127.0.0.1:99", []string{xff, "203.0.113.66"}, "403"},
		"one that a stranger invents":      {"192.0.2.1:99", []string{xff, "203.0.113.66"}, "192.0.2.1 - here"},
		"an address that is none":          {"@", []string{xfp, "https"}, "@ - here"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Host = c.peer, "here"
			for i := 0; i+1 < len(c.header); i += 2 {
				r.Header.Add(c.header[i], c.header[i+1])
			}
			got := ""
			w := httptest.NewRecorder()
			f.Origin(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				host := r.RemoteAddr
				if i := strings.LastIndexByte(host, ':'); i > 0 {
					host = strings.Trim(host[:i], "[]")
				}
				scheme := "-"
				if v := r.Header.Values(xfp); len(v) > 0 {
					scheme = strings.Join(v, "|")
				}
				got = host + " " + scheme + " " + r.Host
				if h := r.Header.Values(xfh); len(h) > 1 || len(h) == 1 && h[0] != r.Host || r.Header.Get(xff) != "" || r.Header.Get(fwd) != "" {
					t.Errorf("headers that should be gone: %v", r.Header)
				}
			}), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) })).ServeHTTP(w, r)
			if w.Code != 200 {
				got = "403"
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("203.0.113.9, 10.1.1.1", "https", "iot.example", "")
	f.Add("", "", "", `for="[2001:db8::9]:47";proto=https;host=iot.example, For=10.1.1.1`)
	f.Add("[", "HTTPS", "[::1]:1", `;;=,"`)
	wall := open(f, firewall.Options{Trusted: []string{"127.0.0.1", "10.0.0.0/8"}})
	f.Fuzz(func(t *testing.T, xff, proto, host, forwarded string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = "127.0.0.1:1", "here"
		for name, v := range map[string]string{"X-Forwarded-For": xff, "X-Forwarded-Proto": proto, "X-Forwarded-Host": host, "Forwarded": forwarded} {
			if v != "" {
				r.Header.Set(name, v)
			}
		}
		wall.Origin(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if p := r.Header.Get("X-Forwarded-Proto"); p != "" && p != "http" && p != "https" {
				t.Errorf("scheme %q", p)
			}
			if strings.ContainsAny(r.Host, "/\\\"<>@ \r\n?#") || r.Host == "" {
				t.Errorf("host %q", r.Host)
			}
			if strings.ContainsAny(r.RemoteAddr, "\r\n ,;\"") || !strings.Contains(r.RemoteAddr, ":") {
				t.Errorf("address %q", r.RemoteAddr)
			}
		}), http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	})
}
