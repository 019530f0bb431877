package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
)

const (
	// socketsOfUser is how many realtime sessions a user may have at once.
	socketsOfUser = 10
	// eventPosts is how many connections send events.
	eventPosts = 64
	// quietFor is how long nothing must come until what is missing is taken for lost.
	quietFor = 3 * time.Second

	userPassword = "Bench-realtime-1"
)

var eventText = []byte(`"text":"`)

// audience is a number of subscribers of the realtime channels of devices, each with a WebSocket of its own.
type audience struct {
	conns    []*websocket.Conn
	work     sync.WaitGroup
	clock    time.Time
	received atomic.Int64
	last     atomic.Int64 // when the newest came, from clock
	mu       sync.Mutex   // guards the following
	delay    loadgen.Histogram
	err      error
}

// realtime posts events at a rate, each to some of the subscribers, and measures from the moment an event was due to be posted until each of them has it.
func realtime(fanout func(o *options) (subscribers int, rate float64)) func(context.Context, *options, *system) (figures, error) {
	return func(ctx context.Context, o *options, s *system) (figures, error) {
		fanout, rate := fanout(o)
		if err := loadgen.RaiseFiles(o.subscribers + eventPosts + spareFiles); err != nil {
			return nil, err
		}
		devices := make([]string, max(o.subscribers/fanout, 1))
		for i := range devices {
			var err error
			if devices[i], err = s.server.Device(fmt.Sprint("realtime-", i)); err != nil {
				return nil, err
			}
		}
		a := &audience{clock: time.Now()}
		defer a.close()
		if err := a.gather(ctx, s, o.subscribers, devices); err != nil {
			return nil, err
		}
		if _, err := a.post(ctx, s, devices, rate, o.warm); err != nil {
			return nil, err
		}
		a.settle(1 << 62)
		a.restart()
		profiled := o.record(s)
		cpu, mine, began := s.cpu(), loadgen.Usage(), time.Now()
		n, err := a.post(ctx, s, devices, rate, o.load)
		if err != nil {
			return nil, err
		}
		took := time.Since(began)
		cores := (loadgen.Usage() - mine).Seconds() / took.Seconds()
		want := int64(n * o.subscribers / len(devices))
		a.settle(want)
		used := s.cpu() - cpu
		profiled()
		a.mu.Lock()
		defer a.mu.Unlock()
		got := a.received.Load()
		return figures{fAcked: float64(n) / took.Seconds(), fReceived: float64(got) / took.Seconds(), fMissing: float64(want - got), fRecvP50: millis(a.delay.Quantile(0.5)),
			fRecvP99: millis(a.delay.Quantile(0.99)), fCPU: float64(used.Microseconds()) / float64(max(got, 1)), fCores: cores}, a.err
	}
}

// gather makes users and connects the subscribers, spread over the devices.
func (a *audience) gather(ctx context.Context, s *system, n int, devices []string) error {
	for i := range n {
		name := fmt.Sprint("realtime-", i/socketsOfUser)
		if i%socketsOfUser == 0 {
			if err := makeListener(s, name); err != nil {
				return err
			}
		}
		conn, err := listen(ctx, s.query, name, "/events/"+devices[i%len(devices)])
		if err != nil {
			return fmt.Errorf("subscriber %d: %w", i, err)
		}
		a.conns = append(a.conns, conn)
		a.work.Go(func() { a.take(ctx, conn) })
	}
	return nil
}

// makeListener makes a user who may read events.
func makeListener(s *system, name string) error {
	if err := create(s, "/user/main/users", map[string]any{"userName": name, "email": name + "@bench.example", "password": userPassword}); err != nil {
		return err
	}
	return create(s, "/user/main/users/"+name+"/roles", map[string]any{"role": map[string]string{"self": "/user/roles/ROLE_EVENT_READ"}})
}

func create(s *system, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	status, answer, err := s.server.Do("POST", path, b)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("POST %s: answered with %d: %.300s", path, status, answer)
	}
	return err
}

// listen opens a realtime session with one subscription, whose connect is held.
func listen(ctx context.Context, addr, user, channel string) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+"/notification/realtime", nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	call := func(message map[string]any) (answer struct {
		ClientID   string `json:"clientId"`
		Successful bool   `json:"successful"`
	}, err error) {
		b, err := json.Marshal([]any{message})
		if err != nil {
			return answer, err
		}
		if err := conn.Write(ctx, websocket.MessageText, b); err != nil {
			return answer, err
		}
		if _, b, err = conn.Read(ctx); err != nil {
			return answer, err
		}
		all := []any{&answer}
		if err := json.Unmarshal(b, &all); err != nil || !answer.Successful {
			return answer, fmt.Errorf("%v: answered with %.300s", message["channel"], b)
		}
		return answer, nil
	}
	token := base64.StdEncoding.EncodeToString([]byte("main/" + user + ":" + userPassword))
	hands, err := call(map[string]any{"id": "1", "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"websocket"},
		"ext": map[string]any{"com.cumulocity.authn": map[string]string{"token": token}}})
	if err == nil {
		_, err = call(map[string]any{"id": "2", "channel": "/meta/subscribe", "clientId": hands.ClientID, "subscription": channel})
	}
	if err == nil {
		err = conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `[{"id":"3","channel":"/meta/connect","clientId":%q,"connectionType":"websocket"}]`, hands.ClientID))
	}
	if err != nil {
		_ = conn.CloseNow()
	}
	return conn, err
}

// take counts the events that come. Their text says when they were due.
func (a *audience) take(ctx context.Context, conn *websocket.Conn) {
	var delay loadgen.Histogram
	var buf bytes.Buffer
	for {
		_, r, err := conn.Reader(ctx)
		if err == nil {
			buf.Reset()
			_, err = buf.ReadFrom(r)
		}
		if err != nil { // by close
			return
		}
		now, n := time.Since(a.clock), 0
		for rest := buf.Bytes(); ; {
			_, after, ok := bytes.Cut(rest, eventText)
			if !ok {
				break
			}
			digits, _, _ := bytes.Cut(after, []byte{'"'})
			due, err := strconv.ParseInt(string(digits), 10, 64)
			if err != nil {
				a.fail(fmt.Errorf("not the time of an event: %.40q", digits))
				return
			}
			delay.Add(now - time.Duration(due))
			n++
			rest = after
		}
		if n > 0 {
			a.mu.Lock()
			a.delay.Merge(&delay)
			a.mu.Unlock()
			delay = loadgen.Histogram{}
			a.last.Store(int64(now))
			a.received.Add(int64(n))
		}
	}
}

func (a *audience) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
}

// post sends events at a rate, whether or not those before were answered, for all devices in turn, and returns how many were acknowledged.
func (a *audience) post(ctx context.Context, s *system, devices []string, rate float64, d time.Duration) (n int, err error) {
	due := make(chan time.Duration, int(rate*d.Seconds())+1)
	var next, acked atomic.Int64
	var work sync.WaitGroup
	for range eventPosts {
		c, err := loadgen.DialHTTP(s.query)
		if err != nil {
			close(due)
			work.Wait()
			return 0, err
		}
		work.Go(func() {
			defer c.Close()
			for at := range due {
				body := fmt.Appendf(nil, `{"source":{"id":"%s"},"type":"bench","text":"%d","time":"2026-01-01T00:00:00Z"}`, devices[next.Add(1)%int64(len(devices))], at)
				status, answer, err := c.Do(s.server.Request("POST", "/event/events", body, "application/json"))
				if err == nil && status != http.StatusCreated {
					err = fmt.Errorf("an event was answered with %d: %.300s", status, answer)
				}
				if err != nil {
					a.fail(err)
					return
				}
				acked.Add(1)
			}
		})
	}
	began := time.Since(a.clock)
	for i := range int(rate * d.Seconds()) {
		at := began + time.Duration(float64(i)/rate*float64(time.Second))
		time.Sleep(at - time.Since(a.clock)) // the pace of the load
		if ctx.Err() != nil {
			break
		}
		due <- at
	}
	close(due)
	work.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return int(acked.Load()), a.err
}

// settle waits until n events have come, or no more come.
func (a *audience) settle(n int64) {
	began := time.Since(a.clock)
	for a.received.Load() < n && time.Since(a.clock)-max(time.Duration(a.last.Load()), began) < quietFor {
		time.Sleep(5 * time.Millisecond) // a poll
	}
}

// restart forgets what has come.
func (a *audience) restart() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delay = loadgen.Histogram{}
	a.received.Store(0)
}

func (a *audience) close() {
	for _, c := range a.conns {
		_ = c.CloseNow()
	}
	a.work.Wait()
}
