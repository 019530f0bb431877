package limits_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/isobar-iot/isobar/edge/services/limits"
	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
)

type fixture struct {
	*limits.Limits
	clock   *clock.Manual
	reg     *prometheus.Registry
	options map[string]string // tenant/key
	slept   []time.Duration
}

func start(t *testing.T, r limits.Rates) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewManual(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)), reg: prometheus.NewRegistry(), options: map[string]string{}}
	f.Limits = limits.New(limits.Options{Rates: r, Clock: f.clock, Log: slog.New(slog.DiscardHandler), Reg: f.reg,
		Exempt: func(a netip.Addr) bool { return a.IsLoopback() },
		Sleep:  func(d time.Duration, _ <-chan struct{}) { f.slept = append(f.slept, d); f.clock.Advance(d) },
		Option: func(_ context.Context, t iot.TenantID, category, key string) (string, bool) {
			v, ok := f.options[string(t)+"/"+key]
			return v, ok && category == limits.Category
		}})
	t.Cleanup(f.Close)
	return f
}

func (f *fixture) exceeded(t *testing.T, what string, want int) {
	t.Helper()
	text := fmt.Sprintf("# HELP isobar_limits_exceeded_total Requests, connections and publishes beyond a limit, by limit.\n# TYPE isobar_limits_exceeded_total counter\nisobar_limits_exceeded_total{limit=%q} %d\n", what, want)
	if err := testutil.GatherAndCompare(f.reg, strings.NewReader(text), "isobar_limits_exceeded_total"); err != nil {
		t.Error(err)
	}
}

// passes counts how many of n calls succeed.
func passes(n int, call func() error) (ok int, last error) {
	for range n {
		if err := call(); err == nil {
			ok++
		} else {
			last = err
		}
	}
	return ok, last
}

func TestAddresses(t *testing.T) {
	f := start(t, limits.Rates{RequestsPerAddress: 10})
	call := func(addr string) func() error { return func() error { return f.Address(addr) } }
	ok, err := passes(50, call("192.0.2.1:5"))
	if ok != 20 || !fault.Is(err, fault.Exhausted) || fault.RetryAfter(err) != 100*time.Millisecond {
		t.Errorf("%d of 50 pass at once, then %v after %s", ok, err, fault.RetryAfter(err))
	}
	f.exceeded(t, "requests_address", 30)
	for addr, want := range map[string]int{"192.0.2.1:6": 0, "[::ffff:192.0.2.1]:5": 0, "192.0.2.2:5": 20, "127.0.0.1:5": 50, "nowhere": 50} {
		if ok, _ := passes(50, call(addr)); ok != want {
			t.Errorf("%s: %d of 50 pass, want %d", addr, ok, want)
		}
	}
	if ok, _ := passes(15, call("[2001:db8::1]:5")); ok != 15 {
		t.Errorf("%d of 15 pass", ok)
	}
	if ok, _ := passes(15, call("[2001:db8::2%eth0]:5")); ok != 5 { // the same /64
		t.Errorf("%d of 15 pass from the same network", ok)
	}
	f.clock.Advance(time.Second)
	if ok, _ := passes(50, call("192.0.2.1:5")); ok != 10 {
		t.Errorf("%d of 50 pass a second later", ok)
	}
}

func TestUsersAndTenants(t *testing.T) {
	f := start(t, limits.Rates{RequestsPerUser: 10, RequestsPerTenant: 15})
	call := func(tenant, user string) func() error {
		return func() error {
			return f.Request(context.Background(), iot.Principal{Tenant: iot.TenantID(tenant), User: iot.UserName(user)})
		}
	}
	for _, step := range []struct {
		tenant, user string
		want         int
	}{{"ta", "a", 20}, {"ta", "b", 10}, {"ta", "c", 0}, {"tb", "a", 20}, {"tb", "b", 10}} {
		ok, err := passes(40, call(step.tenant, step.user))
		if ok != step.want || !fault.Is(err, fault.Exhausted) || fault.RetryAfter(err) <= 0 {
			t.Errorf("%s/%s: %d of 40 pass, want %d; then %v", step.tenant, step.user, ok, step.want, err)
		}
	}
}

func TestTenantsHaveTheirOwnLimits(t *testing.T) {
	f := start(t, limits.Rates{RequestsPerUser: 10})
	call := func() error {
		return f.Request(context.Background(), iot.Principal{Tenant: "ta", User: "a"})
	}
	for _, step := range []struct {
		value string
		want  int
	}{{"", 20}, {"50", 50}, {"0", 200}, {"5", 5}, {"nonsense", 10}, {"-1", 10}, {"NaN", 10}, {"0.5", 10}, {"1e400", 10}} {
		delete(f.options, "ta/"+limits.KeyRequestsPerUser)
		if step.value != "" {
			f.options["ta/"+limits.KeyRequestsPerUser] = step.value
		}
		f.clock.Advance(11 * time.Second) // the option counts from here, and the bucket of the old rate is full
		first, _ := passes(200, call)
		f.clock.Advance(time.Second)
		if got, _ := passes(200, call); got != step.want && !(step.value == "" && first == 20 && got == 10) {
			t.Errorf("%q: %d pass in a second, want %d", step.value, got, step.want)
		}
	}
}

// peer is a client's connection as a policy sees it.
type peer struct {
	mqtt.Conn
	closed []packet.Reason
}

func (p *peer) Close(r packet.Reason) { p.closed = append(p.closed, r) }

// policy lets everybody in who has a name; the user is the realm.
type policy struct{ published, closed int }

func (p *policy) Connect(_ context.Context, r *mqtt.ConnectRequest) (mqtt.Handler, error) {
	if r.User == "" {
		return nil, &mqtt.Refusal{Reason: packet.BadUserOrPassword}
	}
	return &inner{p: p, realm: r.User}, nil
}

type inner struct {
	mqtt.Handler
	p     *policy
	realm string
}

func (h *inner) Realm() string           { return h.realm }
func (h *inner) Closed(mqtt.CloseReason) { h.p.closed++ }
func (h *inner) Publish(_ *mqtt.Message, done func(mqtt.Verdict)) {
	h.p.published++
	done(mqtt.Verdict{})
}

func connect(g mqtt.Gate, addr, user string) (mqtt.Handler, *peer, packet.Reason) {
	p := &peer{}
	h, err := g.Connect(context.Background(), &mqtt.ConnectRequest{User: user, RemoteAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)), Conn: p})
	var r *mqtt.Refusal
	if errors.As(err, &r) {
		return nil, p, r.Reason
	}
	return h, p, 0
}

func TestConnections(t *testing.T) {
	f := start(t, limits.Rates{ConnectionsPerAddress: 2})
	f.options["ta/"+limits.KeyConnections] = "3"
	p := &policy{}
	g := f.Gate(p)
	a, _, _ := connect(g, "192.0.2.1:1", "ta")
	for range 5 { // who is refused takes no place
		if _, _, r := connect(g, "192.0.2.1:2", ""); r != packet.BadUserOrPassword {
			t.Fatalf("reason %s", r)
		}
	}
	b, _, _ := connect(g, "192.0.2.1:3", "tb")
	if a == nil || b == nil {
		t.Fatal("not let in")
	}
	if _, _, r := connect(g, "192.0.2.1:4", "ta"); r != packet.QuotaExceeded {
		t.Errorf("a third connection of an address: %s", r)
	}
	f.exceeded(t, "connections_address", 1)
	b.Closed(mqtt.CloseReason{})
	for i, addr := range []string{"192.0.2.1:4", "192.0.2.2:1"} {
		if _, _, r := connect(g, addr, "ta"); r != 0 {
			t.Errorf("connection %d of the tenant: %s", i+2, r)
		}
	}
	before := p.closed
	if _, _, r := connect(g, "192.0.2.3:1", "ta"); r != packet.QuotaExceeded || r.Return() != 3 || p.closed != before+1 {
		t.Errorf("a fourth connection of the tenant: %s; its handler was closed %d times", r, p.closed-before)
	}
	for range 10 {
		if _, _, r := connect(g, "127.0.0.1:1", "tc"); r != 0 {
			t.Errorf("an exempt address: %s", r)
		}
	}
	a.Closed(mqtt.CloseReason{})
	if _, _, r := connect(g, "192.0.2.3:1", "ta"); r != 0 {
		t.Errorf("a place that was given back: %s", r)
	}
}

func TestConnectRate(t *testing.T) {
	f := start(t, limits.Rates{ConnectsPerAddress: 5})
	g := f.Gate(&policy{})
	for i := range 12 {
		_, _, r := connect(g, "192.0.2.1:1", "") // wrong ones count: guessing is what this is against
		if want := map[bool]packet.Reason{true: packet.BadUserOrPassword, false: packet.ConnectionRateExceeded}[i < 10]; r != want {
			t.Errorf("connect %d: %s, want %s", i, r, want)
		}
	}
	f.clock.Advance(time.Second)
	if _, _, r := connect(g, "192.0.2.1:1", "ta"); r != 0 {
		t.Errorf("a second later: %s", r)
	}
}

func TestPublishersAreSlowedDown(t *testing.T) {
	f := start(t, limits.Rates{Publishes: 10})
	p := &policy{}
	h, conn, _ := connect(f.Gate(p), "192.0.2.1:1", "ta")
	began := f.clock.Now()
	for i := range 100 {
		acked := false
		h.Publish(&mqtt.Message{}, func(v mqtt.Verdict) { acked = v.Reason == 0 })
		if !acked {
			t.Fatalf("message %d is not acknowledged", i)
		}
	}
	if took := f.clock.Now().Sub(began); p.published != 100 || took < 7900*time.Millisecond || took > 8100*time.Millisecond || len(conn.closed) > 0 {
		t.Errorf("%d of 100 messages in %s, 20 of them at once and 10 a second; closed %v", p.published, took, conn.closed)
	}
	f.exceeded(t, "publishes_slowed", len(f.slept))
}

// TestFarBeyondTheRateIsTheEnd: many connections of one tenant that together are much too fast.
func TestFarBeyondTheRateIsTheEnd(t *testing.T) {
	f := start(t, limits.Rates{})
	f.options["ta/"+limits.KeyPublishesPerTenant] = "10"
	f.Limits = limits.New(limits.Options{Clock: f.clock, Log: slog.New(slog.DiscardHandler), Reg: prometheus.NewRegistry(), Sleep: func(time.Duration, <-chan struct{}) {}, // all wait at the same time
		Option: func(_ context.Context, t iot.TenantID, _, key string) (string, bool) {
			v, ok := f.options[string(t)+"/"+key]
			return v, ok
		}})
	p := &policy{}
	g := f.Gate(p)
	told, refused := 0, 0
	for i := range 100 {
		h, conn, _ := connect(g, fmt.Sprintf("192.0.2.%d:1", i), "ta")
		h.Publish(&mqtt.Message{}, func(v mqtt.Verdict) {
			if v.Reason == packet.MessageRateTooHigh {
				refused++
			}
		})
		if len(conn.closed) == 1 && conn.closed[0] == packet.MessageRateTooHigh {
			told++
		}
		h.Publish(&mqtt.Message{Will: true}, func(mqtt.Verdict) {})
	}
	if p.published != 170 || told != 30 || refused != 30 { // 20 at once, 50 within five seconds, and all wills
		t.Errorf("%d taken, %d disconnected, %d refused", p.published, told, refused)
	}
	h, _, _ := connect(g, "192.0.2.1:1", "tb")
	before := p.published
	for range 1000 {
		h.Publish(&mqtt.Message{}, func(mqtt.Verdict) {})
	}
	if p.published != before+1000 {
		t.Error("a tenant without limits is limited")
	}
}

func TestCloseEndsTheWaiting(t *testing.T) {
	l := limits.New(limits.Options{Rates: limits.Rates{Publishes: 1}, Clock: clock.NewManual(time.Now()), Log: slog.New(slog.DiscardHandler)})
	h, _, _ := connect(l.Gate(&policy{}), "192.0.2.1:1", "ta")
	h.Publish(&mqtt.Message{}, func(mqtt.Verdict) {})
	h.Publish(&mqtt.Message{}, func(mqtt.Verdict) {})
	done := make(chan struct{})
	go func() { defer close(done); h.Publish(&mqtt.Message{}, func(mqtt.Verdict) {}) }()
	began := time.Now()
	l.Close()
	<-done
	if time.Since(began) > 900*time.Millisecond {
		t.Error("it waited for its turn")
	}
}

// sending is a connection on which a text was sent.
func sending(t *testing.T, s *httptest.Server, head string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	_, _ = io.WriteString(c, head)
	return c
}

func TestPace(t *testing.T) {
	read := make(chan error, 1)
	h := limits.Pace{Stall: 100 * time.Millisecond, Slowest: 100}.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if _, again := r.Body.Read(make([]byte, 1)); err != nil && !errors.Is(again, err) && again.Error() != err.Error() {
			err = fmt.Errorf("the second read: %w", again)
		}
		read <- err
		if err == nil {
			select { // the client is still there, however long ago its body ended
			case <-r.Context().Done():
				err = r.Context().Err()
			case <-time.After(250 * time.Millisecond):
			}
		}
		fmt.Fprint(w, n, err)
	}))
	s := httptest.NewServer(h)
	t.Cleanup(s.Close) // after the connections, which it would wait for
	dial := func(head string) net.Conn { t.Helper(); return sending(t, s, head) }
	within := func() error {
		t.Helper()
		select {
		case err := <-read:
			return err
		case <-time.After(10 * time.Second):
			t.Fatal("the handler still waits for the body")
			return nil
		}
	}
	dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	if err := within(); err == nil {
		t.Error("a body that never comes was read")
	}
	trickle := dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(20 * time.Millisecond) // 50 bytes per second: never silent, always too slow
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := trickle.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	}()
	if err := within(); err == nil {
		t.Error("a body that trickles was read")
	}
	close(stop)

	steady := dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n")
	for range 3 {
		_, _ = steady.Write(make([]byte, 1000))
	}
	if err := within(); err != nil {
		t.Errorf("a good body: %v", err)
	}
	in := bufio.NewReader(steady)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if string(body) != "3000 <nil>" {
		t.Errorf("answer %q", body)
	}
	_, _ = io.WriteString(steady, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // the connection goes on
	if err := within(); err != nil {
		t.Error(err)
	}
	if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("the next request: %v", err)
	}
}

// TestLeftovers answers early: a client that sends all before it reads must get its answer, and who asks before it sends must not be asked to.
func TestLeftovers(t *testing.T) {
	s := httptest.NewServer(limits.DefaultPace.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/some" {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
		}
		w.WriteHeader(http.StatusTeapot)
	})))
	t.Cleanup(s.Close)
	dial := func(head string) net.Conn { t.Helper(); return sending(t, s, head) }
	answered := func(c net.Conn, what string) {
		t.Helper()
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusTeapot {
			t.Errorf("%s: %v", what, err)
		}
	}
	const size = 48 << 20
	for _, path := range []string{"/none", "/some"} {
		c := dial(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", path, size))
		if n, err := c.Write(make([]byte, size)); err != nil {
			t.Errorf("%s: %d bytes were sent, then %v", path, n, err)
		}
		answered(c, path)
	}
	for _, length := range []int{1000, size} {
		c := dial(fmt.Sprintf("POST /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", length))
		answered(c, fmt.Sprintf("%d bytes that nobody asked for", length)) // ReadResponse would return a 100 first
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%d bytes that nobody asked for: the connection stays open: %v", length, err)
		}
	}

	// Who sends nothing has an answer, and an end.
	silent := dial(fmt.Sprintf("POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
	answered(silent, "none of a body")
	if _, err := io.Copy(io.Discard, silent); err != nil {
		t.Errorf("none of a body: the connection stays open: %v", err)
	}

	// Who never ends is not read for ever.
	c := dial("POST /none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	block := append(append([]byte("100000\r\n"), make([]byte, 1<<20)...), "\r\n"...)
	var err error
	for sent := 0; sent < 200 && err == nil; sent++ {
		_, err = c.Write(block)
	}
	if err == nil {
		t.Error("200 MB were read after the answer")
	}
}

func BenchmarkPublishWithoutLimits(b *testing.B) {
	l := limits.New(limits.Options{Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	h, _, _ := connect(l.Gate(&policy{}), "192.0.2.1:1", "ta")
	m, done := &mqtt.Message{}, func(mqtt.Verdict) {}
	b.ReportAllocs()
	for b.Loop() {
		h.Publish(m, done)
	}
}
