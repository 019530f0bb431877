package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
)

// figures are what one round of a case found for one system.
type figures map[string]float64

// names of figures. A rate and a processor time are always there together.
const (
	fAcked   = "acked/s"
	fStored  = "stored/s"
	fCPU     = "us/msg"
	fP50     = "ack p50 ms"
	fP99     = "ack p99 ms"
	fVisP50  = "visible p50 ms"
	fVisP99  = "visible p99 ms"
	fMemory  = "KiB/connection"
	fStart   = "start ms"
	fLost    = "acked, not stored"
	fLate    = "not sent in time"
	fCores   = "generator cores"
	fRestart = "start after kill ms"
	fIdleCPU = "idle cores"
	fRefused = "refused"
	fMedian  = "served p50 s"
	fLast    = "all served s"
	// of the realtime channels
	fReceived = "received/s"
	fRecvP50  = "receive p50 ms"
	fRecvP99  = "receive p99 ms"
	fMissing  = "not received"
)

// figureOrder is the order of columns.
var figureOrder = []string{fAcked, fStored, fCPU, fP50, fP99, fVisP50, fVisP99, fMemory, fIdleCPU, fRefused, fMedian, fLast, fReceived, fRecvP50, fRecvP99, fMissing, fStart, fRestart, fLost, fLate, fCores}

// trial is a case: what is done with which systems.
type trial struct {
	name, what string
	systems    []string
	run        func(ctx context.Context, o *options, s *system) (figures, error)
}

var trials = []trial{
	{"qos1w1", "MQTT QoS 1, a device waits for each acknowledgement", []string{"isobar", "diy", "lean", "mosquitto", "isobar-off", "isobar-raw"}, flood(1)},
	{"qos1w32", "MQTT QoS 1, 32 unacknowledged messages for each connection: gateways", []string{"isobar", "diy", "lean", "isobar-off", "isobar-raw"}, flood(32)},
	{"paced", "MQTT QoS 1 at the rate given with -rate", []string{"isobar", "diy", "lean"}, func(ctx context.Context, o *options, s *system) (figures, error) {
		return measure(ctx, o, s, o.rate, 32, 1)
	}},
	{"three", "three values in a message, 10,000 messages/s", []string{"isobar"}, func(ctx context.Context, o *options, s *system) (figures, error) {
		s.message = threeValues
		return measure(ctx, o, s, 10000, 32, 1)
	}},
	{"half", "half of the highest rate that was found a moment before, with probes from publish to REST", []string{"isobar"}, half},
	{"light", "one message at a time: from publish to what a query returns", []string{"isobar", "diy", "lean"}, light},
	{"fsync1", "as qos1w1, every fsync 2 ms longer", []string{"isobar-2ms"}, flood(1)},
	{"fsync32", "as qos1w32, every fsync 2 ms longer", []string{"isobar-2ms"}, flood(32)},
	{"http1", "HTTP, 32 connections, each POST one measurement", []string{"isobar"}, post(1)},
	{"http100", "HTTP, 32 connections, each POST 100 measurements; rates are of measurements", []string{"isobar"}, post(100)},
	{"idle", "connections with one QoS 1 subscription that do nothing", []string{"isobar", "isobar-raw", "mosquitto"}, idle},
	{"herd", "a server restarts and all its devices connect at the same moment, each with its own password, subscribe and send an event", []string{"isobar"}, herd},
	{"realtime", "1,000 subscribers with a WebSocket each, 1,000 events/s by HTTP (-events), each to ten of them (-fanout)", []string{"isobar"},
		realtime(func(o *options) (int, float64) { return o.fanout, o.events })},
	{"realtimeall", "a tenth of these events, each to all subscribers", []string{"isobar"}, realtime(func(o *options) (int, float64) { return o.subscribers, o.events / 10 })},
	{"start", "from exec to ready: an empty folder, and after kill -9", []string{"isobar"}, startTime},
}

// flood is a load that keeps the window full.
func flood(window int) func(context.Context, *options, *system) (figures, error) {
	return func(ctx context.Context, o *options, s *system) (figures, error) {
		return measure(ctx, o, s, 0, window, 1)
	}
}

// measure warms up, loads and waits until the store has everything.
func measure(ctx context.Context, o *options, s *system, rate float64, window, burst int) (figures, error) {
	ses, err := loadgen.Open(loadgen.Load{Addr: s.mqtt, Login: s.login, Conns: o.conns, Message: s.message, Window: window, Burst: burst})
	if err != nil {
		return nil, err
	}
	defer ses.Close()
	warm, err := ses.Run(ctx, rate, o.warm)
	if err != nil {
		return nil, err
	}
	if err := s.settle(warm.Acked); err != nil {
		return nil, err
	}
	base, err := s.count()
	if err != nil {
		return nil, err
	}
	profiled := o.record(s)
	cpu, began := s.cpu(), time.Now()
	r, err := ses.Run(ctx, rate, o.load)
	if err != nil {
		return nil, err
	}
	stored := r.Took
	if s.written != nil {
		if err := s.settle(warm.Acked + r.Acked); err != nil {
			return nil, err
		}
		stored = time.Since(began)
	}
	used := s.cpu() - cpu
	profiled()
	f := figures{fAcked: r.PerSecond(), fP50: millis(r.Ack.Quantile(0.5)), fP99: millis(r.Ack.Quantile(0.99)), fCores: r.Cores, fLate: float64(r.Late)}
	n := r.Acked
	if s.stored != nil {
		have, err := s.count()
		if err != nil {
			return nil, err
		}
		n = have - base
		f[fStored], f[fLost] = float64(n)/stored.Seconds(), float64(r.Acked-n)
	}
	f[fCPU] = float64(used.Microseconds()) / float64(max(n, 1))
	return f, nil
}

// settle waits until the store has taken n messages, or takes no more.
func (s *system) settle(n int) error {
	if s.written == nil {
		return nil
	}
	last, since := -1, time.Now()
	for {
		have, err := s.written()
		if err != nil || have >= n {
			return err
		}
		if have != last {
			last, since = have, time.Now()
		}
		if time.Since(since) > 10*time.Second {
			return nil // what is missing is reported as lost
		}
		time.Sleep(5 * time.Millisecond) // a poll
	}
}

func (s *system) count() (int, error) {
	if s.stored == nil {
		return 0, nil
	}
	return s.stored()
}

const probeClient = "bench-probe"

// light measures from the start of a publish until a query returns what was published.
func light(ctx context.Context, o *options, s *system) (figures, error) {
	h, err := s.visible(ctx, o.probes, 0)
	if err != nil {
		return nil, err
	}
	return figures{fVisP50: millis(h.Quantile(0.5)), fVisP99: millis(h.Quantile(0.99))}, nil
}

// visible probes with a pause after each.
func (s *system) visible(ctx context.Context, probes int, pause time.Duration) (*loadgen.Histogram, error) {
	login := s.login
	login.ClientID = probeClient
	c, err := loadgen.Dial(s.mqtt, login)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	topic, payload, _, _ := s.probe(1 << 20) // makes the device
	if err := c.Publish(topic, payload); err != nil {
		return nil, err
	}
	if s.probing != nil {
		if err := s.probing(); err != nil {
			return nil, err
		}
	}
	q, err := loadgen.DialHTTP(s.query)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var h loadgen.Histogram
	for n := range probes {
		topic, payload, request, found := s.probe(n)
		at := time.Now()
		if err := c.Send(topic, payload); err != nil {
			return nil, err
		}
		for {
			status, body, err := q.Do(request)
			if err != nil {
				return nil, err
			}
			if found(status, body) {
				break
			}
			if time.Since(at) > 30*time.Second {
				return nil, fmt.Errorf("probe %d was not found within 30 s; last answer %d: %.200s", n, status, body)
			}
		}
		h.Add(time.Since(at))
		if err := c.Acknowledged(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return &h, nil
		case <-time.After(pause):
		}
	}
	return &h, nil
}

// half finds the highest rate of devices that wait for each acknowledgement, and then offers half of it whether or not it is acknowledged in time.
func half(ctx context.Context, o *options, s *system) (figures, error) {
	ses, err := loadgen.Open(loadgen.Load{Addr: s.mqtt, Login: s.login, Conns: o.conns, Message: s.message, Window: 1})
	if err != nil {
		return nil, err
	}
	if _, err := ses.Run(ctx, 0, o.warm); err != nil {
		return nil, err
	}
	top, err := ses.Run(ctx, 0, o.load/2)
	ses.Close()
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		h   *loadgen.Histogram
		err error
	}
	probed := make(chan answer, 1)
	go func() {
		h, err := s.visible(running, 1<<19, 20*time.Millisecond)
		probed <- answer{h, err}
	}()
	f, err := measure(ctx, o, s, top.PerSecond()/2, 32, 1)
	cancel()
	a := <-probed
	if err != nil || a.err != nil {
		return nil, fmt.Errorf("half: %w", first(err, a.err))
	}
	delete(f, fLost) // the probes are among what is counted
	f[fVisP50], f[fVisP99] = millis(a.h.Quantile(0.5)), millis(a.h.Quantile(0.99))
	return f, nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// post is HTTP load with n measurements in each request, every connection for a device of its own.
func post(n int) func(context.Context, *options, *system) (figures, error) {
	return func(ctx context.Context, o *options, s *system) (figures, error) {
		l, err := s.server.Posts(32, n)
		if err != nil {
			return nil, err
		}
		l.Duration = o.warm
		if _, err := loadgen.RunHTTP(ctx, l); err != nil {
			return nil, err
		}
		profiled := o.record(s)
		cpu := s.cpu()
		l.Duration = o.load
		r, err := loadgen.RunHTTP(ctx, l)
		if err != nil {
			return nil, err
		}
		used := s.cpu() - cpu
		profiled()
		return figures{fAcked: r.PerSecond() * float64(n), fCPU: float64(used.Microseconds()) / float64(max(r.Acked*n, 1)),
			fP50: millis(r.Ack.Quantile(0.5)), fP99: millis(r.Ack.Quantile(0.99)), fCores: r.Cores}, nil
	}
}

// idle measures the resident memory of connections that wait, and the processor time that they take.
func idle(_ context.Context, o *options, s *system) (figures, error) {
	if err := loadgen.RaiseFiles(o.idle + spareFiles); err != nil {
		return nil, err
	}
	w, err := loadgen.Idle(s.procs[0], s.mqtt, s.login, o.idle, o.watch)
	return figures{fMemory: w.Memory / 1024, fIdleCPU: w.CPU}, err
}

// spareFiles is how many files a process has open besides its connections, with much to spare.
const spareFiles = 500

// herd registers devices, restarts the server and lets all of them come back at once, as a fleet does after an outage.
func herd(ctx context.Context, o *options, s *system) (figures, error) {
	if err := loadgen.RaiseFiles(o.devices + spareFiles); err != nil {
		return nil, err
	}
	logins, err := s.server.Register(ctx, o.devices)
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	if err := s.restart(o); err != nil {
		return nil, err
	}
	before := s.server.Resident()
	profiled := o.record(s)
	cpu := s.cpu()
	r := loadgen.ComeBack(s.mqtt, logins, o.within)
	used := s.cpu() - cpu
	profiled()
	defer r.Close()
	if r.Refused > 0 {
		fmt.Fprintf(os.Stderr, "herd: %d of %d devices were refused, the first: %v\n", r.Refused, o.devices, r.First)
	}
	n := float64(o.devices)
	return figures{fRefused: float64(r.Refused), fMedian: r.Served.Quantile(0.5).Seconds(), fLast: r.Last.Seconds(),
		fMemory: float64(s.server.Resident()-before) / 1024 / n, fCPU: float64(used.Microseconds()) / n}, nil
}

// restart kills the platform and starts it again on the same folder.
func (s *system) restart(o *options) error {
	s.server.Stop()
	again, err := loadgen.StartServer(loadgen.ServerOptions{Bin: s.server.Cmd.Path, Data: s.data, Args: strings.Fields(o.serverArgs), Login: &s.server.Login})
	if err != nil {
		return err
	}
	s.server, s.procs[0], s.mqtt, s.query = again, again.Process, again.MQTT, again.HTTP
	return nil
}

// startTime is the time that the start took, and that of a second one after a kill.
func startTime(_ context.Context, o *options, s *system) (figures, error) {
	f := figures{fStart: millis(s.server.Ready)}
	if err := s.restart(o); err != nil {
		return nil, err
	}
	f[fRestart] = millis(s.server.Ready)
	return f, nil
}

// record starts a profile of the first process of a system, and returns what ends it.
func (o *options) record(s *system) (end func()) {
	if o.profile == "" {
		return func() {}
	}
	cmd := exec.Command("perf", "record", "-q", "-F", "499", "-g", "-o", o.profile, "-p", strconv.Itoa(s.procs[0].PID))
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no profile:", err)
		return func() {}
	}
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
}
