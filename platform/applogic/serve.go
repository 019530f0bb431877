package applogic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

type archiveKey struct {
	owner       iot.TenantID
	app, binary iot.ID
}

// File is a file of a web application.
type File struct {
	Name   string // below the application
	ETag   string
	Length int64 // of the content; with Gzip, of the stream
	Gzip   bool  // the content is a gzip stream
	// Policy is the content security policy that the application asks for; empty: none.
	Policy string
	// Open returns the content. The caller closes it.
	Open func(context.Context) (io.ReadCloser, error)
}

// ErrFolder says that a path means an application itself, without the slash at its end.
var ErrFolder = errors.New("the path needs a slash at its end")

// File finds a file of a web application by its path below /apps/: "<context path>[@<version or tag>]/<file>", with an optional "public/" before it.
// c8y: a tenant's own application comes before others with the same context path. gzip says that the caller can read that. It asks for no permission:
// what a web application consists of is public, its data is not.
func (s *Apps) File(ctx context.Context, t iot.TenantID, at string, gzip bool) (File, error) {
	none := fault.E(fault.Op("applogic.File"), fault.NotFound, "there is no application or file here")
	at = strings.TrimPrefix(at, "public/")
	first, name, slash := strings.Cut(at, "/")
	place, version, versioned := strings.Cut(first, "@")
	apps, err := s.of(ctx, t)
	if fault.Is(err, fault.NotFound) {
		return File{}, none
	}
	if err != nil {
		return File{}, err
	}
	a, ok := pick(t, apps, func(a App) bool { return a.Type == Hosted && a.ContextPath == place && a.ID != s.d.Home.ID })
	if !ok {
		return File{}, none
	}
	binary := a.Active
	if versioned {
		v, ok := a.Find(version)
		if !ok {
			return File{}, none
		}
		binary = v.Binary
	}
	if binary == 0 {
		return File{}, none
	}
	if !slash {
		return File{}, ErrFolder
	}
	if name == "" || strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	return s.file(ctx, a, binary, name, gzip)
}

func (s *Apps) file(ctx context.Context, a App, binary iot.ID, name string, gzip bool) (File, error) {
	dir, err := s.archive(ctx, a, binary)
	if err != nil {
		return File{}, err
	}
	e, ok := dir.files[name]
	if !ok {
		return File{}, fault.E(fault.Op("applogic.File"), fault.NotFound, "there is no application or file here")
	}
	gzip = gzip && e.deflated && e.packed+gzipOverhead < e.size
	f := File{Name: name, Length: e.size, Gzip: gzip, ETag: `"` + binary.String() + "-" + strconv.FormatUint(uint64(e.crc), 16) + `"`}
	if gzip {
		f.Length = e.packed + gzipOverhead
	}
	if p, ok := a.Manifest.Text("contentSecurityPolicy"); ok && !strings.ContainsAny(p, "\r\n\x00") {
		f.Policy = p
	}
	f.Open = func(ctx context.Context) (io.ReadCloser, error) {
		r, _, err := s.d.Blobs.Open(ctx, a.Owner, blobKey(a.ID, binary), e.offset)
		if err != nil {
			return nil, err
		}
		content := e.plain(r)
		if gzip {
			content = e.gzip(r)
		}
		return readCloser{content, r}, nil
	}
	return f, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// archive returns the directory of an archive, which is read once and then remembered.
func (s *Apps) archive(ctx context.Context, a App, binary iot.ID) (*archive, error) {
	key := archiveKey{a.Owner, a.ID, binary}
	if dir, ok := s.archives.GetIfPresent(key); ok {
		return dir, nil
	}
	b, ok := a.binary(binary)
	if !ok {
		return nil, noBinary(binary)
	}
	r := &blobAt{ctx: ctx, s: s, t: a.Owner, key: blobKey(a.ID, binary), size: b.Size}
	dir, _, err := directory(r, b.Size)
	if r.err != nil { // the store, not the archive
		return nil, r.err
	}
	if err != nil {
		return nil, fault.E(fault.Op("applogic.Archive"), fault.Corrupt, err)
	}
	s.archives.Set(key, dir)
	return dir, nil
}

// window is how much of a blob blobAt reads at a time: the directory lies in one piece at the end, heads lie all over.
const window = 256 << 10

// blobAt reads a blob at any place, a window at a time. It is for one goroutine.
type blobAt struct {
	ctx  context.Context
	s    *Apps
	t    iot.TenantID
	key  string
	size int64
	from int64
	have []byte
	err  error
}

// ReadAt implements io.ReaderAt.
func (b *blobAt) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at < 0 || at >= b.size {
			return n, io.EOF
		}
		if at < b.from || at >= b.from+int64(len(b.have)) {
			if err := b.fetch(at / window * window); err != nil {
				b.err = err
				return n, err
			}
		}
		n += copy(p[n:], b.have[at-b.from:])
	}
	return n, nil
}

func (b *blobAt) fetch(from int64) error {
	r, _, err := b.s.d.Blobs.Open(b.ctx, b.t, b.key, from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, io.LimitReader(r, window)); err != nil {
		return err
	}
	if buf.Len() == 0 {
		return io.ErrUnexpectedEOF
	}
	b.from, b.have = from, buf.Bytes()
	return nil
}

// Service is where a microservice of p's tenant is reached.
type Service struct {
	URL *url.URL
	// PublicOnly says that its owner must not make us connect to addresses that are not public.
	PublicOnly bool
}

// Service finds the microservice with a context path that p's tenant is subscribed to. It asks for no permission: the service decides by the caller's
// own credentials, which are passed on.
func (s *Apps) Service(ctx context.Context, p iot.Principal, place string) (Service, error) {
	const op = fault.Op("applogic.Service")
	none := fault.E(op, fault.NotFound, "there is no microservice at this path, or the tenant is not subscribed to it")
	if p.Tenant == "" || p.User == "" {
		return Service{}, fault.E(op, fault.Unauthenticated)
	}
	apps, err := s.of(ctx, p.Tenant)
	if err != nil {
		return Service{}, err
	}
	subscribed, err := s.subscribedTo(ctx, p.Tenant)
	if err != nil {
		return Service{}, err
	}
	a, ok := pick(p.Tenant, apps, func(a App) bool { return a.Type == Microservice && a.ContextPath == place && subscribed[a.ID] })
	switch {
	case !ok:
		return Service{}, none
	case a.ExternalURL != "":
		u, err := url.Parse(a.ExternalURL)
		if err != nil {
			return Service{}, fault.E(op, fault.Corrupt, err)
		}
		return Service{URL: u, PublicOnly: a.Owner != iot.Management && !s.d.PrivateAddresses}, nil
	}
	port, err := s.runner.port(a)
	if err != nil {
		return Service{}, err
	}
	return Service{URL: &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}}, nil
}

func (s *Apps) subscribedTo(ctx context.Context, t iot.TenantID) (map[iot.ID]bool, error) {
	all, err := s.d.Store.Subscriptions(ctx, t)
	if err != nil {
		return nil, fault.E(fault.Op("applogic.Subscribed"), err)
	}
	out := make(map[iot.ID]bool, len(all))
	for _, x := range all {
		out[x.App] = true
	}
	return out, nil
}

// PublicOnly refuses to connect to what is not in the public Internet; it is the Control of a net.Dialer. It sees the address after names were resolved, so
// that no name leads around it.
func PublicOnly(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	if err != nil || ip == nil || !public(ip) {
		return fault.E(fault.Op("applogic.Dial"), fault.Denied, "the service is registered at an address that is not public: the management can do this, or the server must be started with --microservice-private-addresses")
	}
	return nil
}

// notPublic are ranges that net.IP has no name for: shared address space, protocol assignments, benchmarks, reserved ones, and the translations of IPv4.
var notPublic = func() (out []*net.IPNet) {
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"} {
		if _, n, err := net.ParseCIDR(s); err == nil {
			out = append(out, n)
		}
	}
	return out
}()

func public(ip net.IP) bool {
	for _, n := range notPublic {
		if n.Contains(ip) {
			return false
		}
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}

// Status is how a microservice that runs here is.
type Status struct {
	Instance string
	Running  bool
	Restarts int
	Log      []byte // the end of what it wrote
}

// Status returns the state and the log of a microservice. It needs ROLE_APPLICATION_MANAGEMENT_READ in the tenant that owns it.
func (s *Apps) Status(ctx context.Context, p iot.Principal, key string) (App, Status, error) {
	a, err := s.own(ctx, p, key, access.Read)
	if err != nil {
		return App{}, Status{}, err
	}
	return a, s.runner.status(a), nil
}
