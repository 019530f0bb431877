package mqtt_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// bubble runs a test in fake time, with connections that are pipes.
func bubble(t *testing.T, p *policy, change func(*mqtt.Config), f func(t *testing.T, s *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &fake{start(t, p, change)}
		f(t, s)
		s.stop()
	})
}

type fake struct{ *server }

func (s *fake) open(v packet.Version) *client {
	a, b := net.Pipe()
	go s.ServeConn(context.Background(), b)
	s.t.Cleanup(func() { a.Close() })
	return wrap(s.t, a, v)
}

func (s *fake) dial(id string, v packet.Version, clean bool, change func(*packet.Connect)) (*client, *packet.Connack) {
	s.t.Helper()
	c := s.open(v)
	return c, c.connect(id, clean, change)
}

// endsAfter tells how long the server keeps a silent connection.
func endsAfter(t *testing.T, c *client) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		if _, err := c.next(time.Hour); err != nil {
			return time.Since(begin)
		}
	}
}

func TestKeepAliveEndsAfterOneAndAHalf(t *testing.T) {
	p := &policy{}
	bubble(t, p, nil, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V5, true, func(c *packet.Connect) { c.KeepAlive = 10 })
		time.Sleep(14 * time.Second)
		a.quiet()
		a.send(pub(0, "x", 0, ""))
		if d := endsAfter(t, a); d < 15*time.Second || d > 16*time.Second {
			t.Fatalf("ended after %s", d)
		}
		if why := <-p.last("a").closed; why.Cause != mqtt.BySilence {
			t.Fatalf("closed %+v", why)
		}
	})
}

func TestKeepAliveIsNotFedBySingleBytes(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V311, true, func(c *packet.Connect) { c.KeepAlive = 10 })
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for _, b := range []byte("\x30\x20\x00\x01abcdefghijklmnop") {
				time.Sleep(5 * time.Second)
				if _, err := a.Write([]byte{b}); err != nil {
					return
				}
			}
		})
		if d := endsAfter(t, a); d > 16*time.Second {
			t.Fatalf("ended after %s", d)
		}
	})
}

func TestHalfOpenConnectionsEnd(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		a := s.open(packet.V311)
		if d := endsAfter(t, a); d != 10*time.Second {
			t.Fatalf("ended after %s", d)
		}
		b := s.open(packet.V311)
		b.Write([]byte("\x10\x20\x00\x04MQ"))
		if d := endsAfter(t, b); d != 10*time.Second {
			t.Fatalf("ended after %s", d)
		}
	})
}

func TestNoKeepAliveMeansNoEnd(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V311, true, func(c *packet.Connect) { c.KeepAlive = 0 })
		time.Sleep(48 * time.Hour)
		a.quiet()
	})
}

func TestClientThatTakesNothingIsCutOff(t *testing.T) {
	p := &policy{}
	bubble(t, p, nil, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V311, true, func(c *packet.Connect) { c.KeepAlive = 0 })
		a.sub(1, "x", 0)
		s.inject("x", "p", 0)
		begin := time.Now()
		<-p.last("a").closed
		if d := time.Since(begin); d != 30*time.Second {
			t.Fatalf("cut off after %s", d)
		}
	})
}

func TestSessionExpires(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		expiry := func(c *packet.Connect) { c.Props.SessionExpiry = 100 }
		a, _ := s.dial("a", packet.V5, false, expiry)
		a.sub(1, "x", 1)
		a.Close()
		time.Sleep(99 * time.Second)
		s.inject("x", "1", 1)
		b, ca := s.dial("a", packet.V5, false, expiry)
		if !ca.SessionPresent {
			t.Fatal("expired too early")
		}
		b.send(ack(packet.PUBACK, b.wantPub("x", "1").PacketID))
		b.Close()
		time.Sleep(101 * time.Second)
		if list, _ := s.Sessions(context.Background(), "t1"); len(list) != 0 {
			t.Fatalf("%+v", list)
		}
		c, ca := s.dial("a", packet.V5, false, expiry)
		if ca.SessionPresent {
			t.Fatal("not expired")
		}
		c.quiet()
	})
}

func TestExpiryOfDisconnectCounts(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V5, false, nil)
		d := &packet.Disconnect{}
		d.Props.SessionExpiry = 0
		d.Props.Mark(packet.PropSessionExpiry)
		a.send(d)
		a.ends()
		synctest.Wait()
		if list, _ := s.Sessions(context.Background(), "t1"); len(list) != 0 {
			t.Fatalf("%+v", list)
		}
	})
}

func TestSessionExpiryIsCappedAndAnnounced(t *testing.T) {
	bubble(t, &policy{}, func(c *mqtt.Config) { c.MaxSessionExpiry = time.Minute }, func(t *testing.T, s *fake) {
		_, ca := s.dial("a", packet.V5, false, nil)
		if !ca.Props.Has(packet.PropSessionExpiry) || ca.Props.SessionExpiry != 60 {
			t.Fatalf("%+v", ca.Props)
		}
	})
}

func TestMessagesExpireInTheQueueAndCarryWhatIsLeft(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V5, false, nil)
		a.sub(1, "x", 1)
		a.Close()
		synctest.Wait()
		for payload, life := range map[string]time.Duration{"short": 10 * time.Second, "long": 100 * time.Second} {
			err := s.Publish(context.Background(), "t1", &mqtt.Message{Topic: "x", Payload: []byte(payload), QoS: 1, Retain: true, ExpiresAt: time.Now().Add(life)})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Second)
		b, _ := s.dial("a", packet.V5, false, nil)
		p := b.wantPub("x", "long")
		if e := p.Props.MessageExpiry; e < 69 || e > 71 {
			t.Fatalf("%d seconds left", e)
		}
		b.send(ack(packet.PUBACK, p.PacketID))
		b.quiet()
	})
}

func TestRetainedMessagesExpire(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		m := &mqtt.Message{Topic: "x", Payload: []byte("r"), QoS: 1, Retain: true, ExpiresAt: time.Now().Add(10 * time.Second)}
		if err := s.Publish(context.Background(), "t1", m); err != nil {
			t.Fatal(err)
		}
		a, _ := s.dial("a", packet.V5, true, nil)
		a.sub(1, "x", 0)
		a.wantPub("x", "r")
		time.Sleep(11 * time.Second)
		a.sub(2, "x", 0)
		a.quiet()
	})
}

func TestWillDelay(t *testing.T) {
	p := &policy{}
	bubble(t, p, nil, func(t *testing.T, s *fake) {
		will := func(c *packet.Connect) {
			c.Will = &packet.Will{Topic: "gone", QoS: 0}
			c.Will.Props.WillDelay = 30
			c.Will.Props.Mark(packet.PropWillDelay)
		}
		wills := func() (n int) {
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, h := range p.handlers {
				n += len(h.got())
			}
			return n
		}
		a, _ := s.dial("a", packet.V5, false, will)
		a.Close()
		time.Sleep(29 * time.Second)
		b, _ := s.dial("a", packet.V5, false, will) // In time: no will.
		time.Sleep(20 * time.Second)
		b.quiet()
		if wills() != 0 {
			t.Fatal("will of a session that was resumed in time")
		}
		b.Close()
		time.Sleep(31 * time.Second)
		if wills() != 1 {
			t.Fatal("will is not published after its delay")
		}
		c, _ := s.dial("a", packet.V5, false, will)
		c.Close()
		synctest.Wait()
		s.dial("a", packet.V5, true, nil) // The session ends: the will is due.
		synctest.Wait()
		if wills() != 2 {
			t.Fatal("will is not published at the end of the session")
		}
		d, _ := s.dial("z", packet.V5, true, will) // No session to wait for.
		d.Close()
		synctest.Wait()
		if wills() != 3 {
			t.Fatal("will waits although its session has ended")
		}
	})
}

func TestTakeoverGivesUpOnAHandlerThatHangs(t *testing.T) {
	hang := make(chan struct{})
	p := &policy{publish: func(*handler, *mqtt.Message, func(mqtt.Verdict)) { <-hang }}
	synctest.Test(t, func(t *testing.T) {
		hang = make(chan struct{})
		s := &fake{start(t, p, func(c *mqtt.Config) { c.ConnectTimeout, c.DrainTimeout = 3*time.Second, time.Second })}
		a, _ := s.dial("a", packet.V5, true, nil)
		a.send(pub(1, "x", 1, ""))
		synctest.Wait()
		_, ca := s.dial("a", packet.V5, true, nil)
		if ca.Code != packet.ServerUnavailable {
			t.Fatalf("code %s", ca.Code)
		}
		close(hang)
		s.stop()
	})
}
