package c8yrest

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
)

// The option of a tenant that says which pages of other origins a browser lets read our answers. c8y: a comma list with wildcards.
const (
	OriginCategory = "access.control"
	OriginKey      = "allow.origin"
)

// anyOrigin is the value of the option that is not set: every page, but none with the cookies of the browser's user.
const anyOrigin = "*"

const (
	maxOrigins      = 100 // in one option
	corsMethods     = "GET, POST, PUT, DELETE, OPTIONS, HEAD"
	corsHeaders     = "Authorization, Content-Type, Accept, UseXBasic, X-XSRF-TOKEN, X-HTTP-METHOD, X-APPLICATION, X-Cumulocity-Application-Key, X-Cumulocity-Processing-Mode, X-Cumulocity-System-Of-Units, tfatoken, Range, If-Range, If-Match, If-None-Match, X-Request-Id, X-API-Key, X-Isobar-Change-Set, X-Isobar-Reason"
	corsExposed     = "Location, Content-Disposition, Content-Range, ETag, Repr-Digest, passwordresettoken, NoPhoneHeader, tfatoken, Retry-After, Deprecation, Sunset, X-Isobar-Change-Set, X-Request-Id"
	corsAge         = "600" // seconds that a browser remembers what a preflight said
	ownHeaderPrefix = "x-cumulocity-"
)

// CheckOrigins says what is wrong with a value of the option.
func CheckOrigins(value string) error {
	entries := originsOf(value)
	if len(entries) > maxOrigins {
		return fmt.Errorf("the value must not name more than %d origins", maxOrigins)
	}
	for _, x := range entries {
		if _, ok := parseOrigin(x); x != anyOrigin && !ok {
			return errors.New(`the value must be "*", or a list of origins such as https://app.example, https://*.example.com or http://localhost:*`)
		}
	}
	return nil
}

func originsOf(value string) (out []string) {
	for x := range strings.SplitSeq(value, ",") {
		if x = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(x), "/")); x != "" {
			out = append(out, x)
		}
	}
	return out
}

// origin is where a page comes from, or a pattern of that: no scheme is any one, "*" as the port any one, "*." before the host any name below it.
type origin struct{ scheme, host, port string }

func parseOrigin(s string) (o origin, ok bool) {
	if scheme, rest, found := strings.Cut(s, "://"); found {
		if scheme != "http" && scheme != "https" {
			return o, false
		}
		o.scheme, s = scheme, rest
	}
	o.host = s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') { // not inside an IPv6 address
		o.host, o.port = s[:i], s[i+1:]
		if o.port == "" || o.port != "*" && strings.Trim(o.port, "0123456789") != "" {
			return o, false
		}
	}
	name := strings.TrimPrefix(o.host, "*.")
	return o, name != "" && !strings.ContainsAny(name, "*/?#@\\ \"'")
}

// covers reports whether a page's origin fits a pattern.
func (o origin) covers(page origin) bool {
	if o.scheme != "" && o.scheme != page.scheme || o.port != "*" && o.port != page.port {
		return false
	}
	if below, ok := strings.CutPrefix(o.host, "*"); ok {
		return len(page.host) > len(below) && strings.HasSuffix(page.host, below)
	}
	return o.host == page.host
}

// cors says in the header of an answer whether a page of another origin may read it, as the tenant wants that. Only an origin that the tenant names may send
// the cookies of the browser's user along: with "*", which c8y has as its default, any page could read whatever its visitor may. An empty t is the tenant of
// the host, which is looked for only where it matters.
func (s *Server) cors(h http.Header, r *http.Request, t iot.TenantID) {
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"} {
		h.Del(name)
	}
	if !slices.Contains(h.Values("Vary"), "Origin") {
		h.Add("Vary", "Origin")
	}
	from := r.Header.Get("Origin")
	if from == "" || sameOrigin(r) {
		return
	}
	if t == "" {
		t = s.hostOrDefault(r)
	}
	entries := originsOf(s.Tenants.Cached(r.Context(), t, tenancy.OptionKey{Category: OriginCategory, Key: OriginKey}, anyOrigin))
	page, ok := parseOrigin(strings.ToLower(from))
	named := slices.ContainsFunc(entries, func(x string) bool {
		pattern, fine := parseOrigin(x)
		return x != anyOrigin && ok && page.scheme != "" && fine && pattern.covers(page)
	})
	switch {
	case named:
		h.Set("Access-Control-Allow-Origin", from)
		h.Set("Access-Control-Allow-Credentials", "true")
	case slices.Contains(entries, anyOrigin):
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		return
	}
	h.Set("Access-Control-Expose-Headers", corsExposed)
}

// preflight answers OPTIONS, by which a browser asks before a page of another origin may send what an ordinary link or form could not. Nobody has said who they
// are by then, so that the tenant is that of the host.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request, methods string) {
	h := w.Header()
	h.Set(requestHeader, requestID(r))
	h.Set("Allow", methods)
	s.cors(h, r, "")
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", allowedHeaders(r))
		h.Set("Access-Control-Max-Age", corsAge)
		h.Del("Access-Control-Expose-Headers")
	}
	w.WriteHeader(http.StatusNoContent)
}

// allowedHeaders are those that we know, and whatever else of the dialect the page wants to send.
func allowedHeaders(r *http.Request) string {
	const most = 20
	out, n := corsHeaders, 0
	for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if rest, ok := strings.CutPrefix(name, ownHeaderPrefix); ok && n < most && len(rest) <= 64 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
			out += ", " + name
			n++
		}
	}
	return out
}

// CrossOrigin gives a handler that serves beside the dialect the same rules: the answer to OPTIONS, and who may read its answers.
func (s *Server) CrossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			s.preflight(w, r, "GET, POST, OPTIONS")
			return
		}
		s.cors(w.Header(), r, "")
		next.ServeHTTP(w, r)
	})
}

// hostOrDefault is the tenant of the host that a request names, the default one if that is nobody's.
func (s *Server) hostOrDefault(r *http.Request) iot.TenantID {
	if t := s.hostTenant(r); t != "" {
		return t
	}
	return iot.DefaultTenant
}

func sameOrigin(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && u.Scheme+"://"+u.Host == base(r)
}

// allow lists the methods of a path.
func allow(methods map[string]Route) string {
	names := slices.Collect(maps.Keys(methods))
	if _, ok := methods[http.MethodGet]; ok {
		names = append(names, http.MethodHead)
	}
	names = append(names, http.MethodOptions)
	slices.Sort(names)
	return strings.Join(names, ", ")
}
