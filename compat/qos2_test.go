package compat_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// steps of a QoS 2 exchange at which a client can lose its connection.
const (
	undisturbed    = iota
	publishSent    // PUBLISH is out, PUBREC was not read
	pubrecReceived // PUBREC is there, PUBREL is not out
	pubrelSent     // PUBREL is out, PUBCOMP was not read
	stepCount
)

// exactly is a device that sends with QoS 2 by hand, keeps its state as the protocol demands, and goes on with it after every break.
type exactly struct {
	d      rig.Device
	addr   *atomic.Pointer[string] // of the server, nil while there is none
	random *rand.Rand
	conn   net.Conn
	in     *bufio.Reader
	pid    uint16
	cuts   map[int]int
	breaks int // that the server caused
}

var errCut = errors.New("cut on purpose")

func mqttString(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func mqttPacket(first byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	b := []byte{first}
	n := len(body)
	for n >= 128 {
		b, n = append(b, byte(n%128|128)), n/128
	}
	return append(append(b, byte(n)), body...)
}

func (x *exactly) connect() error {
	addr := x.addr.Load()
	if addr == nil {
		return errors.New("no server")
	}
	conn, err := net.DialTimeout("tcp", *addr, 2*time.Second)
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	x.conn, x.in = conn, bufio.NewReader(conn)
	if _, err := conn.Write(mqttPacket(0x10, mqttString("MQTT"), []byte{4, 0xC0, 0, 0}, mqttString(x.d.Serial), mqttString(x.d.User), mqttString(x.d.Password))); err != nil {
		return err
	}
	_, err = x.read(0x20)
	return err
}

// read returns the packet identifier of the next packet of a type.
func (x *exactly) read(want byte) (uint16, error) {
	var head [2]byte
	if _, err := io.ReadFull(x.in, head[:]); err != nil {
		return 0, err
	}
	body := make([]byte, head[1]) // all that we get is short
	if _, err := io.ReadFull(x.in, body); err != nil {
		return 0, err
	}
	if head[0] != want || len(body) < 2 {
		return 0, fmt.Errorf("packet %#x %x, want %#x", head[0], body, want)
	}
	return uint16(body[0])<<8 | uint16(body[1]), nil
}

func (x *exactly) send(first byte, payload string) error {
	id := []byte{byte(x.pid >> 8), byte(x.pid)}
	var p []byte
	if first&0xf0 == 0x30 {
		p = mqttPacket(first, mqttString("s/us"), id, []byte(payload))
	} else {
		p = mqttPacket(first, id)
	}
	_, err := x.conn.Write(p)
	return err
}

// exchange delivers one payload exactly once, whatever happens on the way; false if the time is over.
func (x *exactly) exchange(payload string, over func() bool) bool {
	x.pid = x.pid%60_000 + 1
	cut := x.random.IntN(stepCount)
	received := false // PUBREC was seen: from here on only PUBREL may be sent
	for try := 0; ; try++ {
		err := x.try(payload, cut, try > 0, &received)
		if err == nil {
			return true
		}
		if x.conn != nil {
			_ = x.conn.Close()
			x.conn = nil
		}
		if errors.Is(err, errCut) {
			x.cuts[cut]++
			cut = undisturbed
			continue
		}
		x.breaks++
		if over() {
			return false
		}
		time.Sleep(2 * time.Millisecond) // until the server is there again
	}
}

func (x *exactly) try(payload string, cut int, again bool, received *bool) error {
	if x.conn == nil {
		if err := x.connect(); err != nil {
			return err
		}
	}
	if !*received {
		first := byte(0x34)
		if again {
			first |= 8
		}
		if err := x.send(first, payload); err != nil {
			return err
		}
		if cut == publishSent {
			return errCut
		}
		if id, err := x.read(0x50); err != nil || id != x.pid {
			return errors.Join(err, fmt.Errorf("PUBREC of %d, want %d", id, x.pid))
		}
		*received = true
		if cut == pubrecReceived {
			return errCut
		}
	}
	if err := x.send(0x62, ""); err != nil {
		return err
	}
	if cut == pubrelSent {
		return errCut
	}
	id, err := x.read(0x70)
	if err == nil && id != x.pid {
		err = fmt.Errorf("PUBCOMP of %d, want %d", id, x.pid)
	}
	return err
}

// TestExactlyOnce interrupts QoS 2 exchanges at every step: the client's connection breaks, and the server is killed at random moments. What the
// clients finished must be there once, in the order in which it was sent.
func TestExactlyOnce(t *testing.T) {
	options, s := rig.Options{Data: t.TempDir()}, seed(t)
	kills := size(t, "ISOBAR_SOAK_QOS2", 10, 3)
	t.Logf("ISOBAR_SEED=%d", s)
	server := rig.Start(t, options)
	const clients = 8
	var addr atomic.Pointer[string]
	var all []*exactly
	sent := make([]int, clients)
	for i := range clients {
		all = append(all, &exactly{d: server.Register(t, fmt.Sprintf("exactly-%d", i)), addr: &addr, random: rand.New(rand.NewPCG(s, uint64(i))), cuts: map[int]int{}})
	}
	addr.Store(&server.MQTT)
	var stop, hopeless atomic.Bool
	var wg sync.WaitGroup
	for i, x := range all {
		wg.Go(func() {
			for n := 1; !stop.Load(); n++ {
				payload := fmt.Sprintf("200,compat_Once,v,%d", n)
				if i%2 == 1 {
					payload = fmt.Sprintf("400,compat_Once,%d", n)
				}
				if !x.exchange(payload, hopeless.Load) {
					return
				}
				sent[i] = n
			}
		})
	}
	random := rand.New(rand.NewPCG(s, 99))
	for range kills {
		time.Sleep(time.Duration(150+random.IntN(400)) * time.Millisecond) // a load, not a wait
		addr.Store(nil)
		server.Kill()
		server = rig.Start(t, options)
		addr.Store(&server.MQTT)
	}
	time.Sleep(300 * time.Millisecond)
	stop.Store(true)
	late := time.AfterFunc(20*time.Second, func() { hopeless.Store(true) })
	wg.Wait()
	late.Stop()
	if hopeless.Load() {
		t.Error("some clients could not finish their exchange")
	}
	finished, interrupted, lost, twice := 0, 0, 0, 0
	cuts := map[int]int{}
	for i, x := range all {
		finished += sent[i]
		interrupted += x.breaks
		for step, n := range x.cuts {
			cuts[step] += n
			interrupted += n
		}
		seen := map[int]int{}
		count := func(text string) {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Errorf("%s has %q", x.d.Serial, text)
			}
			seen[n]++
		}
		if i%2 == 0 {
			last := 0
			server.Admin().Each(t, "/measurement/measurements?source="+x.d.ID, "measurements", func(raw json.RawMessage) {
				var m struct {
					Once struct{ V struct{ Value json.Number } } `json:"compat_Once"`
				}
				if err := json.Unmarshal(raw, &m); err != nil {
					t.Fatal(err)
				}
				count(m.Once.V.Value.String())
				if n, _ := strconv.Atoi(m.Once.V.Value.String()); n < last {
					t.Errorf("%s: %d came after %d", x.d.Serial, n, last)
				} else {
					last = n
				}
			})
		} else {
			server.Admin().Each(t, "/event/events?type=compat_Once&source="+x.d.ID, "events", func(raw json.RawMessage) { count(text(t, raw)) })
		}
		for n := 1; n <= sent[i]; n++ {
			switch {
			case seen[n] == 0:
				lost++
				t.Errorf("%s: %d of %d is lost", x.d.Serial, n, sent[i])
			case seen[n] > 1:
				twice++
				t.Logf("%s: %d is there %d times", x.d.Serial, n, seen[n])
			}
		}
	}
	for step := publishSent; step < stepCount; step++ {
		if cuts[step] < 10 {
			t.Errorf("only %d interruptions at step %d: the load is too weak to show anything", cuts[step], step)
		}
	}
	t.Logf("%d exchanges finished, %d interruptions (%v by the client at each step), %d kills: %d lost, %d twice", finished, interrupted, cuts, kills, lost, twice)
	if twice > 0 {
		t.Errorf("%d of %d took effect twice", twice, finished)
	}
}
