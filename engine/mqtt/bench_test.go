package mqtt_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionpebble"
)

// plain is a handler without bookkeeping: it acknowledges at once, and routes if told to.
type plain struct{ verdict mqtt.Verdict }

func (p plain) Connect(context.Context, *mqtt.ConnectRequest) (mqtt.Handler, error) { return p, nil }
func (plain) Realm() string                                                         { return "t1" }
func (p plain) Publish(_ *mqtt.Message, done func(mqtt.Verdict))                    { done(p.verdict) }
func (plain) Subscribe(_ string, q byte) mqtt.Reason                                { return mqtt.Reason(q) }
func (plain) Subscribed(string, byte)                                               {}
func (plain) Owner() string                                                         { return "" }
func (plain) User() string                                                          { return "" }
func (plain) MayReceive(string) bool                                                { return true }
func (plain) Unsubscribed(string)                                                   {}
func (plain) Closed(mqtt.CloseReason)                                               {}

func benchServer(b *testing.B, g mqtt.Gate, change func(*mqtt.Config)) *server {
	s := start(b, &policy{}, func(c *mqtt.Config) {
		c.Gate = g
		if change != nil {
			change(c)
		}
	})
	return s
}

// publishing sends b.N publishes of QoS 1 over conns connections, with window of them on the way on each.
func publishing(b *testing.B, s *server, conns, window int, topic string) {
	var cs []*client
	for i := range conns {
		c, _ := s.dial(fmt.Sprint("bench", i), packet.V311, true, nil)
		cs = append(cs, c)
	}
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan error, conns)
	for i, c := range cs {
		n := b.N / conns
		if i == 0 {
			n += b.N % conns
		}
		go func() { done <- pump(c.Conn, n, window, topic) }()
	}
	for range cs {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func pump(nc net.Conn, n, window int, topic string) error {
	var frames []byte
	for i := range window {
		frames = pub(uint16(i+1), topic, 1, "200,c8y_TemperatureMeasurement,T,25.3,C").AppendTo(frames, packet.V311)
	}
	size := len(frames) / window
	answers := make([]byte, 4*window)
	for n > 0 {
		k := min(n, window)
		if _, err := nc.Write(frames[:k*size]); err != nil {
			return err
		}
		for got := 0; got < 4*k; {
			m, err := nc.Read(answers[:4*k-got])
			if err != nil {
				return err
			}
			got += m
		}
		n -= k
	}
	return nil
}

// BenchmarkFloor is the broker with storage switched off: decode, policy, acknowledge.
func BenchmarkFloor(b *testing.B) {
	for _, c := range []struct{ conns, window int }{{1, 1}, {1, 100}, {16, 100}, {100, 10}} {
		b.Run(fmt.Sprintf("conns=%d/window=%d", c.conns, c.window), func(b *testing.B) {
			publishing(b, benchServer(b, plain{}, nil), c.conns, c.window, "s/us")
		})
	}
}

// BenchmarkRoute adds matching and one QoS 0 subscriber that reads everything.
func BenchmarkRoute(b *testing.B) {
	s := benchServer(b, plain{mqtt.Verdict{Route: true}}, nil)
	sub, _ := s.dial("sub", packet.V311, true, nil)
	sub.sub(1, "free/#", 0)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			if _, err := sub.Read(buf); err != nil {
				return
			}
		}
	}()
	publishing(b, s, 16, 100, "free/a/b")
}

// BenchmarkDurable routes to one persistent session that is away: every acknowledgement waits for an fsync.
func BenchmarkDurable(b *testing.B) {
	for _, c := range []struct{ conns, window int }{{1, 1}, {16, 100}} {
		b.Run(fmt.Sprintf("conns=%d/window=%d", c.conns, c.window), func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{Logger: mute{}})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			s := benchServer(b, plain{mqtt.Verdict{Route: true}}, func(c *mqtt.Config) {
				c.Store = sessionpebble.New(db, []byte("m"))
				c.OfflineMessages, c.OfflineBytes = 1<<30, 1<<40
			})
			sub, _ := s.dial("sub", packet.V311, false, nil)
			sub.sub(1, "free/#", 1)
			sub.Close()
			publishing(b, s, c.conns, c.window, "free/a/b")
			b.StopTimer()
			s.stop()
		})
	}
}

type mute struct{}

func (mute) Infof(string, ...any)      {}
func (mute) Errorf(string, ...any)     {}
func (mute) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// BenchmarkIdleConnection reports the memory that a silent connection with a subscription costs in the whole process,
// the client's side of the pipe included. Only the first round counts: run it with -benchtime 1x.
func BenchmarkIdleConnection(b *testing.B) {
	s := benchServer(b, plain{}, nil)
	const n = 2000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var peers []net.Conn
		for i := range n {
			a, p := net.Pipe()
			go s.ServeConn(context.Background(), p)
			a.Write((&packet.Connect{Version: packet.V311, ClientID: fmt.Sprint("idle", i), Clean: true}).AppendTo(nil, packet.V311))
			a.Read(make([]byte, 4))
			a.Write((&packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "s/ds", QoS: 1}}}).AppendTo(nil, packet.V311))
			a.Read(make([]byte, 5))
			peers = append(peers, a)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/n, "heap-B/conn")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/conn")
		for _, a := range peers {
			a.Close()
		}
	}
}
