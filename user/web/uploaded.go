package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
)

// Content is a file of an uploaded application.
type Content struct {
	ETag   string
	Length int64  // bytes of what Open returns
	Gzip   bool   // Open returns a gzip stream
	Policy string // the content security policy that the application asks for; empty: none
	Open   func(context.Context) (io.ReadCloser, error)
}

// Finder finds a file of an uploaded application by the request, for its host, and the path below /apps/. ErrFolder: the path needs a slash at its end.
// A fault of kind NotFound: there is none. gzip says that the browser reads that.
type Finder func(r *http.Request, at string, gzip bool) (Content, error)

// ErrFolder is an error of a Finder.
var ErrFolder = errors.New("the path needs a slash at its end")

// contentTypes are those that the table of the machine may not know, or may know otherwise.
var contentTypes = map[string]string{".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".map": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
	".gif": "image/gif", ".webp": "image/webp", ".ico": "image/x-icon", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
	".md": "text/plain; charset=utf-8", ".xml": "application/xml", ".webmanifest": "application/manifest+json"}

func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t := contentTypes[ext]; t != "" {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

// hashed finds what build tools put before the extension: a hash of the content.
var hashed = regexp.MustCompile(`[.-]([0-9A-Za-z_-]{8}|[0-9a-f]{8,64})\.[a-z0-9]{2,11}$`)

// immutable reports whether the name of a file holds a hash of its content. A word is no hash, nor one with a number: there must be capitals among small
// letters, or digits among capitals, or nothing but hexadecimal digits of both kinds.
func immutable(name string) bool {
	m := hashed.FindStringSubmatch(path.Base(name))
	if m == nil {
		return false
	}
	hash, inner := m[1], m[1][1:]
	digit := strings.ContainsAny(hash, "0123456789")
	hex := strings.Trim(hash, "0123456789abcdef") == "" && strings.ContainsAny(hash, "abcdef")
	upper := strings.ToUpper(hash) == hash && strings.ContainsAny(hash, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	return digit && (hex || upper) || strings.ToLower(inner) != inner && strings.ToUpper(inner) != inner
}

// serveUploaded serves a file of an uploaded application. Such applications come from the tenant, who decides what their scripts may do.
func (s *Server) serveUploaded(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Security-Policy", "frame-ancestors 'self'")
	if s.Find == nil {
		http.Error(w, "there is no application or file here", http.StatusNotFound)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/") {
		name += "/"
	}
	f, err := s.Find(r, name, strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"))
	switch {
	case errors.Is(err, ErrFolder):
		target := "/apps/" + strings.TrimPrefix(path.Clean(r.URL.EscapedPath()), "/apps/") + "/"
		http.Redirect(w, r, withQuery(target, r), http.StatusFound)
		return
	case err != nil:
		h.Set("Cache-Control", "no-cache")
		http.Error(w, fault.Message(err), fault.KindOf(err).Row().HTTP)
		return
	}
	if strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	if f.Policy != "" {
		h.Set("Content-Security-Policy", f.Policy)
	}
	h.Set("Content-Type", contentType(name))
	h.Set("ETag", f.ETag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if immutable(name) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if matches(r.Header.Get("If-None-Match"), f.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if f.Gzip {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.FormatInt(f.Length, 10))
	if r.Method == http.MethodHead {
		return
	}
	content, err := f.Open(r.Context())
	if err != nil {
		for _, name := range []string{"Content-Length", "Content-Encoding", "ETag"} {
			h.Del(name)
		}
		h.Set("Cache-Control", "no-cache")
		http.Error(w, fault.Message(err), fault.KindOf(err).Row().HTTP)
		return
	}
	defer func() { _ = content.Close() }()
	_, _ = io.Copy(w, content)
}

// matches reports whether a list of entity tags has one (RFC 9110 section 13.1.2).
func matches(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
