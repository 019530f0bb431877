package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed all:dist
var dist embed.FS

// Home is the context path of the application that the root of the server leads to.
const Home = "isobar"

// csp allows scripts and connections, WebSockets included, to our own origin only. Styles may be inline: the component library sets positions that way.
const csp = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self' data:; " +
	"object-src 'none'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"

// permissions are the abilities of browsers that no application of ours uses, and so no script that got in may.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(self), serial=(), usb=()"

// Server serves the embedded applications. It is safe for concurrent use.
type Server struct {
	files map[string]*file // by path below /apps/
	// Find finds files of applications that were uploaded. Set it before the first request; nil: there are none.
	Find Finder
}

type file struct {
	contentType string
	etag        string
	body, gzip  []byte // gzip is nil where it would not be smaller
}

// folders says where the built folders are served.
var folders = map[string]string{"isobar": "isobar", "login": "public/login"}

// New serves the embedded applications.
func New() (*Server, error) {
	files, err := embedded()
	return &Server{files: files}, err
}

// embedded loads and compresses them once in a process, for all its servers; nothing writes the map afterwards.
var embedded = sync.OnceValues(func() (map[string]*file, error) {
	files := map[string]*file{}
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		folder, rest, ok := strings.Cut(strings.TrimPrefix(name, "dist/"), "/")
		if !ok || folders[folder] == "" {
			return nil
		}
		body, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		files[path.Join(folders[folder], rest)] = newFile(name, body)
		return nil
	})
	return files, err
})

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, contentType: mime.TypeByExtension(path.Ext(name))}
	switch path.Ext(name) { // the machine's own table may not know them
	case ".js":
		f.contentType = "text/javascript; charset=utf-8"
	case ".woff2":
		f.contentType = "font/woff2"
		return f
	case ".json":
		f.contentType = "application/json"
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a Buffer does not fail
	_ = w.Close()
	if b.Len() < len(body) {
		f.gzip = b.Bytes()
	}
	return f
}

// Manifest returns the manifest of an application, nil if it has none (or was not built).
func (s *Server) Manifest(contextPath string) []byte {
	if f := s.files[contextPath+"/cumulocity.json"]; f != nil {
		return f.body
	}
	return nil
}

// ServeHTTP implements http.Handler for "/" and everything below "/apps/".
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET is possible here", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	switch {
	case slices.Contains(strings.Split(r.URL.Path, "/"), ".."): // only who hides it gets it here, and it would lead to another application
		http.NotFound(w, r)
		return
	case name == "" || name == "apps":
		http.Redirect(w, r, withQuery("/apps/"+Home+"/", r), http.StatusFound)
		return
	case name == "favicon.ico":
		http.Redirect(w, r, "/apps/"+Home+"/favicon.svg", http.StatusFound)
		return
	}
	s.serveFile(w, r, strings.TrimPrefix(name, "apps/"))
}

// withQuery adds the query of a request to where it is sent on: links in mails carry a token.
func withQuery(target string, r *http.Request) string {
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	return target
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	index := s.files[name+"/index.html"]
	f := s.files[name]
	switch {
	case index != nil && !strings.HasSuffix(r.URL.Path, "/"): // relative links inside need the slash
		http.Redirect(w, r, withQuery("/apps/"+name+"/", r), http.StatusFound)
		return
	case index != nil:
		f = index
	case f == nil && name == Home:
		http.Error(w, "The web front is not part of this binary. Build it with: make ui build", http.StatusNotFound)
		return
	case f == nil:
		s.serveUploaded(w, r, name)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", "no-cache")
	if strings.Contains(name, "/assets/") { // their names hold a hash of the content
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if matches(r.Header.Get("If-None-Match"), f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.body
	h.Set("Vary", "Accept-Encoding")
	if f.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}
