package firewall_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/isobar-iot/isobar/edge/services/firewall"
)

// door is a guarded listener on this machine. Each connection that comes in is told its address and then echoed.
type door struct {
	t    *testing.T
	l    *firewall.Listener
	reg  *prometheus.Registry
	addr string
}

func guard(t *testing.T, o firewall.Options, lo firewall.ListenerOptions) (*door, *firewall.Firewall) {
	t.Helper()
	d := &door{t: t, reg: prometheus.NewRegistry()}
	o.Reg = d.reg
	f := open(t, o)
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lo.Name, d.addr = "test", raw.Addr().String()
	d.l = f.Listener(raw, lo)
	t.Cleanup(d.l.Shut)
	go func() {
		for {
			c, err := d.l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "%s\n", c.RemoteAddr())
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return d, f
}

// enter connects from an address of this machine, says something, and returns what the door says: empty if it was closed.
func (d *door) enter(from, say string) (string, net.Conn) {
	d.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := dialer.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	_, _ = io.WriteString(c, say)
	return line(d.t, c), c
}

func line(t *testing.T, c net.Conn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var out []byte
	var b [1]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("neither an answer nor the end")
			}
			return ""
		}
		if b[0] == '\n' {
			return string(out)
		}
		out = append(out, b[0])
	}
}

func (d *door) refused(reason string) int {
	all, err := d.reg.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.Metric {
			if f.GetName() == "isobar_firewall_refused_connections_total" && m.Label[1].GetValue() == reason {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

func host(addr string) string {
	h, _, _ := net.SplitHostPort(addr)
	return h
}

func TestListenerDenies(t *testing.T) {
	d, _ := guard(t, firewall.Options{Deny: []string{"127.0.0.2"}}, firewall.ListenerOptions{})
	if got, _ := d.enter("127.0.0.1", ""); host(got) != "127.0.0.1" {
		t.Errorf("let in as %q", got)
	}
	for range 3 {
		if got, _ := d.enter("127.0.0.2", ""); got != "" {
			t.Errorf("let in as %q", got)
		}
	}
	if n := d.refused("denied"); n != 3 {
		t.Errorf("%d refused", n)
	}
}

func TestListenerCounts(t *testing.T) {
	d, _ := guard(t, firewall.Options{}, firewall.ListenerOptions{MaxConnections: 3, MaxPerAddress: 2})
	one, first := d.enter("127.0.0.1", "")
	two, _ := d.enter("127.0.0.1", "")
	if three, _ := d.enter("127.0.0.1", ""); one == "" || two == "" || three != "" || d.refused("address_limit") != 1 {
		t.Errorf("%q %q %q, %d refused", one, two, three, d.refused("address_limit"))
	}
	if other, _ := d.enter("127.0.0.2", ""); other == "" {
		t.Error("another address does not come in")
	}
	if more, _ := d.enter("127.0.0.3", ""); more != "" || d.refused("total_limit") != 1 {
		t.Errorf("%q, %d refused", more, d.refused("total_limit"))
	}
	first.Close()
	for end := time.Now().Add(10 * time.Second); ; { // the place is free when the server has seen the end
		if got, _ := d.enter("127.0.0.1", ""); got != "" {
			break
		} else if time.Now().After(end) {
			t.Fatal("a place that was given back is not free")
		}
	}
}

// header is a PROXY header.
func header(version byte, command proxyproto.ProtocolVersionAndCommand, source string) string {
	h := &proxyproto.Header{Version: version, Command: command, TransportProtocol: proxyproto.TCPv4,
		SourceAddr: &net.TCPAddr{IP: net.ParseIP(source), Port: 4711}, DestinationAddr: &net.TCPAddr{IP: net.ParseIP("198.51.100.1"), Port: 443}}
	if strings.Contains(source, ":") {
		h.TransportProtocol, h.DestinationAddr = proxyproto.TCPv6, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443}
	}
	var b bytes.Buffer
	if _, err := h.WriteTo(&b); err != nil {
		panic(err)
	}
	return b.String()
}

func TestPROXY(t *testing.T) {
	d, _ := guard(t, firewall.Options{Trusted: []string{"127.0.0.1"}, Deny: []string{"203.0.113.66", "2001:db8:66::/48"}}, firewall.ListenerOptions{ProxyProtocol: true})
	for name, c := range map[string]struct{ from, say, want string }{
		"version 1":                            {"127.0.0.1", header(1, proxyproto.PROXY, "203.0.113.9"), "203.0.113.9:4711"},
		"version 2":                            {"127.0.0.1", header(2, proxyproto.PROXY, "203.0.113.9"), "203.0.113.9:4711"},
		"version 2, IPv6":                      {"127.0.0.1", header(2, proxyproto.PROXY, "2001:db8::9"), "[2001:db8::9]:4711"},
		"a health check speaks for itself":     {"127.0.0.1", header(2, proxyproto.LOCAL, "203.0.113.9"), "127.0.0.1"},
		"no header, from a trusted proxy":      {"127.0.0.1", "\x10\x10hello", "127.0.0.1"},
		"a header from somebody else is data":  {"127.0.0.2", header(2, proxyproto.PROXY, "203.0.113.9"), "127.0.0.2"},
		"a denied client":                      {"127.0.0.1", header(2, proxyproto.PROXY, "203.0.113.66"), ""},
		"a denied client, IPv6":                {"127.0.0.1", header(1, proxyproto.PROXY, "2001:db8:66::1"), ""},
		"a broken header":                      {"127.0.0.1", "PROXY TCP4 nonsense\r\n", ""},
		"a header without an end":              {"127.0.0.1", "PROXY " + strings.Repeat("x", 500), ""},
		"a denied client, IPv4 in a v6 header": {"127.0.0.1", "PROXY TCP6 ::ffff:203.0.113.66 ::ffff:198.51.100.1 4711 443\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := d.enter(c.from, c.say)
			if got != c.want && host(got) != c.want {
				t.Errorf("comes in as %q, want %q", got, c.want)
			}
		})
	}
	if d.refused("denied") != 3 || d.refused("proxy_header") != 2 {
		t.Errorf("denied %d, headers refused %d", d.refused("denied"), d.refused("proxy_header"))
	}
}

// TestASilentProxyKeepsNobodyOut: the header of one connection is awaited aside.
func TestASilentProxyKeepsNobodyOut(t *testing.T) {
	d, _ := guard(t, firewall.Options{Trusted: []string{"127.0.0.1"}}, firewall.ListenerOptions{ProxyProtocol: true})
	for range 20 {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if got, _ := d.enter("127.0.0.1", header(2, proxyproto.PROXY, "203.0.113.9")); got != "203.0.113.9:4711" {
		t.Errorf("comes in as %q", got)
	}
}

func TestRulesAreReadAgain(t *testing.T) {
	file, version := filepath.Join(t.TempDir(), "rules"), time.Now()
	write := func(text string) {
		t.Helper()
		version = version.Add(time.Second)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, version, version); err != nil {
			t.Fatal(err)
		}
	}
	write("deny 127.0.0.3\n")
	d, f := guard(t, firewall.Options{File: file, Deny: []string{"127.0.0.4"}}, firewall.ListenerOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	ticks, reload, done := make(chan time.Time), make(chan struct{}), make(chan struct{})
	go func() { defer close(done); f.Run(ctx, ticks, reload) }()
	defer func() { cancel(); <-done }()
	tick := func() { ticks <- version; ticks <- version }
	in := func(addr string) bool {
		got, c := d.enter(addr, "")
		c.Close()
		return got != ""
	}
	if !in("127.0.0.2") || in("127.0.0.3") || in("127.0.0.4") {
		t.Fatal("the first rules do not hold")
	}
	_, open := d.enter("127.0.0.2", "")
	_, other := d.enter("127.0.0.1", "")
	before := d.refused("denied")

	write("deny 127.0.0.2")
	tick()
	if in("127.0.0.2") || !in("127.0.0.3") || in("127.0.0.4") {
		t.Error("the new rules do not hold")
	}
	if line(t, open) != "" || d.refused("denied") != before+3 {
		t.Errorf("the open connection of who is denied now did not end, or was not counted: %d, before %d", d.refused("denied"), before)
	}
	_, _ = io.WriteString(other, "still\n")
	if line(t, other) != "still" {
		t.Error("the connection of somebody else ended")
	}

	write("deny nonsense")
	tick()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	tick()
	tick()
	if in("127.0.0.2") || !in("127.0.0.3") {
		t.Error("a file that cannot be used changed the rules")
	}
	write("")
	reload <- struct{}{}
	tick()
	if !in("127.0.0.2") || in("127.0.0.4") {
		t.Error("without lines in the file only the flags should hold")
	}
	want := "# HELP isobar_firewall_reloads_total Changed files with rules by result: used, refused.\n# TYPE isobar_firewall_reloads_total counter\n" +
		"isobar_firewall_reloads_total{result=\"refused\"} 2\nisobar_firewall_reloads_total{result=\"used\"} 2\n"
	if err := testutil.GatherAndCompare(d.reg, strings.NewReader(want), "isobar_firewall_reloads_total"); err != nil {
		t.Error(err)
	}
}

func TestShutEndsEverything(t *testing.T) {
	d, _ := guard(t, firewall.Options{}, firewall.ListenerOptions{})
	_, c := d.enter("127.0.0.1", "")
	d.l.Shut()
	if line(t, c) != "" {
		t.Error("the connection goes on")
	}
	if _, err := net.Dial("tcp", d.addr); err == nil {
		t.Error("it still listens")
	}
	if _, err := d.l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
}

// TestStall: a client that takes nothing does not hold a writer for ever.
func TestStall(t *testing.T) {
	f := open(t, firewall.Options{})
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := f.Listener(raw, firewall.ListenerOptions{Name: "test", Stall: 50 * time.Millisecond})
	defer l.Shut()
	c, err := net.Dial("tcp", raw.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for range 100_000 {
		if _, err = in.Write(make([]byte, 500)); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write ended with %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, o := range map[string]firewall.Options{
		"allow":   {Allow: []string{"10.0.0.0/8", "x"}},
		"deny":    {Deny: []string{"10.0.0.0/99"}},
		"trusted": {Trusted: []string{"localhost"}},
		"file":    {File: filepath.Join(t.TempDir(), "none")},
	} {
		if _, err := firewall.Open(o); err == nil || !strings.Contains(err.Error(), name) && name != "file" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
