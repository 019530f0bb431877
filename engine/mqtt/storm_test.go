package mqtt_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

func dialTCP(t testing.TB, addr string, v packet.Version, id string, change func(*packet.Connect)) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := wrap(t, nc, v)
	if a := c.connect(id, true, change); a.Code != 0 {
		t.Fatalf("%s: %s", id, a.Code)
	}
	return c
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// env reads how much a long run does.
func env(name string, short int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return short
}

// mutant makes streams of packets that begin well and go wrong.
type mutant struct{ *rand.Rand }

func (r mutant) text() string {
	return []string{"a", "a/b", "+", "#", "a/+/c", "$SYS/x", "$share/g/a", "", "a/#", strings.Repeat("x", 300), "é☃", "a//b", "$share//", "/"}[r.IntN(14)]
}

func (r mutant) props() (p packet.Properties) {
	if r.IntN(3) > 0 {
		return p
	}
	p.SessionExpiry, p.ReceiveMaximum, p.TopicAlias, p.TopicAliasMaximum = r.Uint32(), uint16(r.Uint32()), uint16(r.IntN(20)), uint16(r.IntN(20))
	p.MaximumPacketSize, p.MessageExpiry, p.WillDelay, p.ReasonString, p.ContentType, p.ResponseTopic = uint32(r.IntN(200)), uint32(r.IntN(9)), uint32(r.IntN(2)), r.text(), r.text(), r.text()
	for range r.IntN(4) {
		p.Mark(packet.PropertyID(1 + r.IntN(42)))
	}
	if r.IntN(4) == 0 {
		p.SubscriptionIDs = []uint32{uint32(r.IntN(3))}
	}
	if r.IntN(4) == 0 {
		p.User = []packet.UserProperty{{Key: r.text(), Value: r.text()}}
	}
	return p
}

func (r mutant) connect(v packet.Version) *packet.Connect {
	c := &packet.Connect{Version: v, Clean: r.IntN(4) > 0, KeepAlive: uint16(r.IntN(3)) * 60, ClientID: fmt.Sprint("m", r.IntN(50))}
	if r.IntN(4) == 0 {
		c.Props = r.props()
	}
	if r.IntN(4) == 0 {
		c.Will = &packet.Will{Topic: "w" + r.text(), QoS: byte(r.IntN(4)), Retain: r.IntN(2) == 0, Payload: []byte(r.text()), Props: r.props()}
	}
	return c
}

func (r mutant) packet(v packet.Version) packet.Packet {
	id := uint16(r.IntN(5))
	switch r.IntN(14) {
	case 0:
		return r.connect(v)
	case 1, 2, 3, 4, 5:
		return &packet.Publish{PacketID: id + 1, Topic: []byte(r.text()), QoS: byte(r.IntN(3)), Retain: r.IntN(20) == 0, Dup: r.IntN(9) == 0, Payload: make([]byte, r.IntN(400)), Props: r.props()}
	case 6, 7:
		s := &packet.Subscribe{PacketID: id, Props: r.props()}
		for range r.IntN(4) {
			s.Filters = append(s.Filters, packet.Subscription{Filter: r.text(), QoS: byte(r.IntN(3)), NoLocal: r.IntN(4) == 0, RetainHandling: byte(r.IntN(4))})
		}
		return s
	case 8:
		return &packet.Unsubscribe{PacketID: id + 1, Filters: []string{r.text()}, Props: r.props()}
	case 9, 10, 11:
		return &packet.Ack{Type: packet.PUBACK + packet.Type(r.IntN(4)), PacketID: id, Code: packet.Reason(r.IntN(256)), Props: r.props()}
	case 12:
		return []packet.Packet{&packet.Ping{}, &packet.Ping{Response: true}, &packet.Suback{PacketID: id, Codes: []packet.Reason{0}}, &packet.Auth{Code: 0x19}, &packet.Connack{}}[r.IntN(5)]
	}
	if r.IntN(5) > 0 {
		return &packet.Ping{}
	}
	return &packet.Disconnect{Code: packet.Reason(r.IntN(256)), Props: r.props()}
}

// stream returns the bytes of a connection and how many packets they were made of.
func (r mutant) stream() (b []byte, n int) {
	v := packet.Version(3 + r.IntN(3))
	if r.IntN(20) > 0 {
		b = r.connect(v).AppendTo(b, v)
	}
	for n = 1; n < 5+r.IntN(60); n++ {
		start := len(b)
		b = r.packet(v).AppendTo(b, v)
		one := b[start:]
		if r.IntN(12) > 0 {
			continue
		}
		switch r.IntN(5) {
		case 0: // flipped bits
			for range 1 + r.IntN(3) {
				one[r.IntN(len(one))] ^= 1 << r.IntN(8)
			}
		case 1: // cut short
			b = b[:start+r.IntN(len(one))]
		case 2: // a lie about the length
			one[1] = byte(r.Uint32())
		case 3: // a lie inside
			if len(one) > 4 {
				one[2+r.IntN(len(one)-2)] = byte(r.Uint32())
			}
		case 4: // more of it
			b = append(b, make([]byte, r.IntN(5))...)
		}
	}
	return b, n
}

// TestStormOfMutants feeds generated and damaged streams into a live server. ISOBAR_STORM is the number of packets of a long run.
func TestStormOfMutants(t *testing.T) {
	packets, seed := env("ISOBAR_STORM", 150_000), uint64(env("ISOBAR_SEED", 1))
	reg := prometheus.NewRegistry()
	s := start(t, &policy{}, func(c *mqtt.Config) {
		c.MaxRetained, c.OfflineMessages, c.DrainTimeout, c.Metrics = 50, 100, time.Second, reg
	})
	addr := s.listen()
	good := dialTCP(t, addr, packet.V5, "good", nil)
	good.sub(1, "good/+", 1)
	before, goroutines := liveHeap(), runtime.NumGoroutine()
	var wg sync.WaitGroup
	const workers = 4
	for w := range workers {
		wg.Go(func() {
			r := mutant{rand.New(rand.NewPCG(seed, uint64(w)))}
			for sent := 0; sent < packets/workers; {
				b, n := r.stream()
				sent += n
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				read := make(chan struct{})
				go func() { defer close(read); _, _ = io.Copy(io.Discard, nc) }()
				_ = nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
				_, _ = nc.Write(b) // the server may have closed it
				_ = nc.(*net.TCPConn).CloseWrite()
				_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
				<-read
				nc.Close()
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	slowest := time.Duration(0)
	for i := 0; ; i++ { // beside it all, the good client goes on
		begin := time.Now()
		good.send(pub(7, "good/x", 1, fmt.Sprint(i)))
		for acked, echoed := false, false; !acked || !echoed; {
			p, err := good.next(10 * time.Second)
			if err != nil {
				t.Fatalf("the good client: %v", err)
			}
			switch p := p.(type) {
			case *packet.Ack:
				acked = p.PacketID == 7 && p.Code == 0
			case *packet.Publish:
				echoed = string(p.Payload) == fmt.Sprint(i)
				good.send(ack(packet.PUBACK, p.PacketID))
			}
		}
		slowest = max(slowest, time.Since(begin))
		select {
		case <-ended:
		case <-time.After(5 * time.Millisecond):
			continue
		}
		break
	}
	t.Logf("%d packets, slowest answer to the good client %s", packets, slowest)
	s.eventually(func() bool {
		list, err := s.Sessions(context.Background(), "t1")
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			if x.Connected && x.ClientID != "good" {
				return false
			}
		}
		return true
	})
	s.eventually(func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	if list, _ := s.Sessions(context.Background(), "t1"); len(list) > 200 {
		t.Errorf("%d sessions", len(list))
	}
	s.p.mu.Lock() // what the test itself keeps
	s.p.handlers = nil
	s.p.mu.Unlock()
	if after := liveHeap(); after > before+24<<20 {
		t.Errorf("the heap grew from %d to %d KiB", before>>10, after>>10)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "isobar_mqtt_panics_total" && f.GetMetric()[0].GetCounter().GetValue() != 0 {
			t.Error("a panic was recovered")
		}
	}
}

// TestSilentConnectionsEnd: half-open, trickling and mute clients are gone within the connect timeout, and cost little.
func TestSilentConnectionsEnd(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.ConnectTimeout = 500 * time.Millisecond })
	addr := s.listen()
	good := dialTCP(t, addr, packet.V5, "good", nil)
	const n = 300
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		wg.Go(func() {
			switch i % 3 {
			case 1: // CONNECT without an end
				_, _ = nc.Write([]byte("\x10\x20\x00\x04MQTT"))
			case 2: // a byte at a time
				for _, b := range (&packet.Connect{Version: 4, ClientID: strings.Repeat("x", 100), Clean: true}).AppendTo(nil, 4) {
					if _, err := nc.Write([]byte{b}); err != nil {
						break
					}
					<-time.After(20 * time.Millisecond)
				}
			}
			_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := nc.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	good.quiet()
	wg.Wait()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	good.quiet()
}

// TestManyConnects: whoever connects and leaves thousands of times leaves nothing behind.
func TestManyConnects(t *testing.T) {
	s := start(t, &policy{}, nil)
	addr := s.listen()
	good := dialTCP(t, addr, packet.V5, "good", nil)
	before := liveHeap()
	const n, workers = 4000, 8
	begin := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range n / workers {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				c := wrap(t, nc, packet.V311)
				c.send(&packet.Connect{Version: c.v, ClientID: fmt.Sprint(w, "-", i%20), Clean: true}, &packet.Disconnect{})
				if _, err := c.next(10 * time.Second); err != nil {
					t.Errorf("connect: %v", err)
				}
				nc.Close()
			}
		})
	}
	wg.Wait()
	t.Logf("%.0f connects a second", n/time.Since(begin).Seconds())
	good.quiet()
	s.p.mu.Lock()
	s.p.handlers = nil
	s.p.mu.Unlock()
	s.eventually(func() bool { list, err := s.Sessions(context.Background(), "t1"); return err == nil && len(list) == 1 })
	if after := liveHeap(); after > before+4<<20 {
		t.Errorf("the heap grew from %d to %d KiB", before>>10, after>>10)
	}
}

// TestSlowReaderIsBounded: a client that does not read costs its queue and no more, and loses what it would have had.
func TestSlowReaderIsBounded(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.QueueMessages, c.QueueBytes = 100, 1<<20 })
	addr := s.listen()
	slow := dialTCP(t, addr, packet.V5, "slow", nil)
	_ = slow.Conn.(*net.TCPConn).SetReadBuffer(4096)
	slow.sub(1, "#", 0)
	good := dialTCP(t, addr, packet.V5, "good", nil)
	before := liveHeap()
	payload := strings.Repeat("x", 10_000)
	for range 5000 {
		s.inject("t", payload, 0)
	}
	good.quiet()
	if after := liveHeap(); after > before+8<<20 {
		t.Errorf("the heap grew from %d to %d KiB after 50 MB to a client that does not read", before>>10, after>>10)
	}
}

// TestWildcardStorm: a thousand filters of one client that all match cost one delivery, and many subscribers do not hold up the rest.
func TestWildcardStorm(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	r := rand.New(rand.NewPCG(3, 3))
	p := &packet.Subscribe{PacketID: 1}
	seen := map[string]bool{"#": true}
	for len(p.Filters) < 400 {
		levels := strings.Split("a/b/c/d/e/f/g/h/i/j", "/")
		for i := range levels {
			if r.IntN(2) == 0 {
				levels[i] = "+"
			}
		}
		if f := strings.Join(levels, "/"); !seen[f] {
			seen[f] = true
			p.Filters = append(p.Filters, packet.Subscription{Filter: f})
		}
	}
	a.send(p)
	if got := want[*packet.Suback](a); len(got.Codes) != 400 {
		t.Fatalf("%d codes", len(got.Codes))
	}
	begin := time.Now()
	for i := range 300 {
		s.inject("a/b/c/d/e/f/g/h/i/j", fmt.Sprint(i), 0)
		a.wantPub("a/b/c/d/e/f/g/h/i/j", fmt.Sprint(i))
	}
	a.quiet()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("300 messages took %s", took)
	}
}

// TestRetainedAreBounded: whoever retains without end meets the bound, and the rest goes on.
func TestRetainedAreBounded(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.MaxRetained = 5000 })
	before := liveHeap()
	refused := 0
	for i := range 20_000 {
		if err := s.Publish(context.Background(), "t1", &mqtt.Message{Topic: fmt.Sprint("r/", i), Payload: []byte("x"), Retain: true, QoS: 1}); err != nil {
			refused++
		}
	}
	if refused != 15_000 {
		t.Errorf("%d refused", refused)
	}
	if after := liveHeap(); after > before+16<<20 {
		t.Errorf("the heap grew from %d to %d KiB", before>>10, after>>10)
	}
}
