package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// benchFlags say how much is measured.
type benchFlags struct {
	data   string
	time   time.Duration
	conns  int
	idle   int
	points int
	rate   float64
	json   bool
}

// headroom is the share of what was measured that a plan may use: the rest is for peaks, queries, and what else the machine does.
const headroom = 0.5

// httpConns is the number of connections of the HTTP loads.
const httpConns = 32

// bench measures this machine with a platform of its own, in a scratch folder, and prints what it is good for.
func (p *program) bench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{Use: "bench", Short: "Measure this machine and print what it is good for", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return err
		}
		r, err := f.measure(cmd.Context())
		if err != nil {
			return err
		}
		if !f.json {
			_, err = p.stdout.Write(r.text())
			return err
		}
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}}
	cmd.Long = `Measure this machine and print what it is good for.

A platform of its own is started on loopback, with its files in a scratch folder that is removed at the end; nothing that runs is touched. The load comes
from the same machine, so a server alone does better. Put --data on the disk that you mean to use: the disk decides much of the result.`
	cmd.Flags().StringVar(&f.data, "data", "", "folder on the disk to measure, for scratch files; empty: the one for temporary files")
	cmd.Flags().DurationVar(&f.time, "time", 5*time.Second, "time of each load, 50ms to 10m")
	cmd.Flags().IntVar(&f.conns, "connections", 100, "connections that publish, 1 to 5000")
	cmd.Flags().IntVar(&f.idle, "idle", 1000, "idle connections to measure memory with, 1 to 20000")
	cmd.Flags().IntVar(&f.points, "points", 500_000, "values to seal to see what one takes on disk, 1000 to 50000000")
	cmd.Flags().Float64Var(&f.rate, "rate", 1000, "values per second that you expect, to say when the disk is full")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the report as JSON")
	return cmd
}

func (f *benchFlags) check() error {
	var errs []error
	within := func(ok bool, name, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s must be %s", name, what))
		}
	}
	within(f.time >= 50*time.Millisecond && f.time <= 10*time.Minute, "time", "50ms to 10m")
	within(f.conns >= 1 && f.conns <= 5000, "connections", "1 to 5000")
	within(f.idle >= 1 && f.idle <= 20000, "idle", "1 to 20000")
	within(f.points >= 1000 && f.points <= 50_000_000, "points", "1000 to 50000000")
	within(f.rate > 0 && f.rate <= 1e9, "rate", "more than 0 and at most 1e9")
	if err := errors.Join(errs...); err != nil {
		return fault.E(fault.Op("bench"), fault.Invalid, err.Error())
	}
	return nil
}

// benchReport is what was measured. Its JSON is meant for programs: names carry their units.
type benchReport struct {
	Version  string       `json:"version"`
	Seconds  float64      `json:"seconds"`
	Machine  benchMachine `json:"machine"`
	Devices  benchLoad    `json:"mqttWindow1"`  // each waits for its acknowledgement
	Gateways benchLoad    `json:"mqttWindow32"` // each has 32 messages on their way
	Single   benchLoad    `json:"httpSingle"`
	Bulk     benchLoad    `json:"httpBulk100"`
	Memory   benchMemory  `json:"memory"`
	Plan     benchPlan    `json:"plan"`
	Disk     benchDisk    `json:"disk"`
}

type benchMachine struct {
	OS             string  `json:"os"`
	Arch           string  `json:"arch"`
	Cores          int     `json:"cores"`
	MemoryBytes    int64   `json:"memoryBytes"`          // zero: not known
	AvailableBytes int64   `json:"availableMemoryBytes"` // zero: not known
	Folder         string  `json:"folder"`
	FreeBytes      int64   `json:"freeDiskBytes"` // zero: not known
	SyncP50Ms      float64 `json:"syncP50Ms"`     // of a write of 4 KiB with fsync
	SyncP99Ms      float64 `json:"syncP99Ms"`
}

type benchLoad struct {
	PerSecond      float64 `json:"perSecond"` // messages or measurements that were acknowledged, which is when they are on disk
	P50Ms          float64 `json:"ackP50Ms"`
	P99Ms          float64 `json:"ackP99Ms"`
	CPUMicros      float64 `json:"serverCPUMicros"` // for each message or measurement; zero: not known
	GeneratorCores float64 `json:"generatorCores"`  // what the load itself took from the machine
}

type benchMemory struct {
	BaseBytes       int64   `json:"baseBytes"`       // of the process after its start
	ConnectionBytes float64 `json:"connectionBytes"` // for each idle connection with a subscription; zero: not known
}

type benchPlan struct {
	Headroom          float64 `json:"headroom"` // the share of what was measured that the figures below leave unused
	DevicesEvery10s   int     `json:"devicesEvery10s"`
	DevicesEveryMin   int     `json:"devicesEveryMinute"`
	ConnectedByMemory int     `json:"connectedDevicesByMemory"` // zero: not known
}

type benchDisk struct {
	BytesPerPoint float64 `json:"bytesPerPoint"` // of a value, sealed and compacted
	Rate          float64 `json:"rate"`          // values per second that DaysUntilFull is for
	DaysUntilFull float64 `json:"daysUntilFull"`
}

// measure measures one after the other, so that nothing disturbs another.
func (f *benchFlags) measure(ctx context.Context) (*benchReport, error) {
	began := time.Now()
	dir, err := os.MkdirTemp(f.data, "isobar-bench-")
	if err != nil {
		return nil, fault.E(fault.Op("bench"), fault.Invalid, err, "data: no scratch folder can be made there: "+err.Error())
	}
	defer os.RemoveAll(dir)
	r := &benchReport{Version: Version}
	for _, step := range []func(context.Context, string, *benchReport) error{f.machine, f.disk, f.platform} {
		if err := step(ctx, dir, r); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, fault.E(fault.Op("bench"), fault.Unavailable, err, "ended before all was measured")
		}
	}
	f.plan(r)
	r.Seconds = time.Since(began).Seconds()
	return r, nil
}

// machine looks at what there is, and at how long the disk takes to make a write safe.
func (f *benchFlags) machine(_ context.Context, dir string, r *benchReport) error {
	m := &r.Machine
	m.OS, m.Arch, m.Cores, m.Folder = runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), filepath.Dir(dir)
	m.MemoryBytes, m.AvailableBytes = memory()
	m.FreeBytes, _ = freeBytes(dir)
	file, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return err
	}
	defer file.Close()
	var h loadgen.Histogram
	block := make([]byte, 4096)
	for end := time.Now().Add(min(f.time, time.Second)); time.Now().Before(end); {
		at := time.Now()
		if _, err := file.Write(block); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		h.Add(time.Since(at))
	}
	m.SyncP50Ms, m.SyncP99Ms = inMillis(h.Quantile(0.5)), inMillis(h.Quantile(0.99))
	return nil
}

// memory reads the memory of the machine and how much of it is available; zero where there is no /proc.
func memory() (total, available int64) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "MemTotal:":
			total = kb * 1024
		case "MemAvailable:":
			available = kb * 1024
		}
	}
	return total, available
}

// disk measures what a value takes on disk when it is sealed: random walks with one decimal, every ten minutes with jitter.
func (f *benchFlags) disk(ctx context.Context, dir string, r *benchReport) error {
	s, err := seriespebble.Open(filepath.Join(dir, "series"), seriespebble.Options{SealEvery: -1})
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Join(dir, "series"))
	defer s.Close()
	const steps = 500
	sources := max(f.points/steps, 2)
	rnd := rand.New(rand.NewPCG(1, 2))
	values := make([]int64, sources)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for step := range steps {
		batch := make([]series.Entry, sources)
		for i := range batch {
			values[i] += rnd.Int64N(7) - 3
			at := start.Add(time.Duration(step)*10*time.Minute + time.Duration(rnd.Int64N(50))*time.Millisecond)
			batch[i] = series.Entry{Tenant: iot.DefaultTenant, M: &iot.Measurement{Source: iot.ID(i + 1), Type: "c8y_Temperature", Time: at,
				Samples: []iot.Sample{{Fragment: "c8y_Temperature", Series: "T", Unit: "C", Value: iot.Number{Mant: 200 + values[i], Scale: 1}}}}}
		}
		if err := s.Append(ctx, batch); err != nil {
			return err
		}
	}
	if _, err := s.Seal(ctx, "", time.Now()); err != nil {
		return err
	}
	if err := s.Compact(ctx); err != nil {
		return err
	}
	r.Disk.BytesPerPoint = float64(s.TableBytes()) / float64(sources*steps)
	return nil
}

// platform starts a platform and loads it.
func (f *benchFlags) platform(ctx context.Context, dir string, r *benchReport) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := loadgen.StartServer(loadgen.ServerOptions{Bin: exe, Data: filepath.Join(dir, "data")})
	if err != nil {
		return err
	}
	defer s.Stop()
	r.Memory.BaseBytes = s.Resident()
	waiting, err := s.Idle(f.idle, 0) // first: the memory of a load would hide that of connections
	if err != nil {
		return err
	}
	r.Memory.ConnectionBytes = waiting.Memory
	return errors.Join(f.publish(ctx, s, 1, &r.Devices), f.publish(ctx, s, 32, &r.Gateways), f.post(ctx, s, 1, &r.Single), f.post(ctx, s, 100, &r.Bulk))
}

// warm is the time of load that does not count.
func (f *benchFlags) warm() time.Duration { return f.time / 10 }

func (f *benchFlags) publish(ctx context.Context, s *loadgen.Server, window int, into *benchLoad) error {
	ses, err := loadgen.Open(loadgen.Load{Addr: s.MQTT, Login: s.Login, Conns: f.conns, Message: loadgen.SmartREST, Window: window})
	if err != nil {
		return err
	}
	defer ses.Close()
	if _, err := ses.Run(ctx, 0, f.warm()); err != nil {
		return err
	}
	cpu := s.CPU()
	r, err := ses.Run(ctx, 0, f.time)
	if err != nil {
		return err
	}
	into.set(r, 1, s.CPU()-cpu)
	return nil
}

func (f *benchFlags) post(ctx context.Context, s *loadgen.Server, n int, into *benchLoad) error {
	l, err := s.Posts(httpConns, n)
	if err != nil {
		return err
	}
	l.Duration = f.warm()
	if _, err := loadgen.RunHTTP(ctx, l); err != nil {
		return err
	}
	cpu := s.CPU()
	l.Duration = f.time
	r, err := loadgen.RunHTTP(ctx, l)
	if err != nil {
		return err
	}
	into.set(r, n, s.CPU()-cpu)
	return nil
}

// set takes a result in which each acknowledgement stands for n items.
func (b *benchLoad) set(r *loadgen.Result, n int, cpu time.Duration) {
	items := float64(max(r.Acked*n, 1))
	*b = benchLoad{PerSecond: r.PerSecond() * float64(n), P50Ms: inMillis(r.Ack.Quantile(0.5)), P99Ms: inMillis(r.Ack.Quantile(0.99)),
		CPUMicros: float64(cpu.Nanoseconds()) / 1000 / items, GeneratorCores: r.Cores}
}

// plan says what the figures are good for.
func (f *benchFlags) plan(r *benchReport) {
	usable := r.Devices.PerSecond * (1 - headroom)
	r.Plan = benchPlan{Headroom: headroom, DevicesEvery10s: int(usable * 10), DevicesEveryMin: int(usable * 60)}
	if r.Memory.ConnectionBytes > 0 {
		r.Plan.ConnectedByMemory = int(float64(r.Machine.AvailableBytes) * (1 - headroom) / r.Memory.ConnectionBytes)
	}
	r.Disk.Rate = f.rate
	r.Disk.DaysUntilFull = float64(r.Machine.FreeBytes) / (f.rate * r.Disk.BytesPerPoint * 86400)
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
