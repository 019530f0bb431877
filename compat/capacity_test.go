package compat_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// capacityReport is the part of `isobar bench --json` that people write programs against.
type capacityReport struct {
	Machine struct {
		Cores                      int
		MemoryBytes, FreeDiskBytes int64
		SyncP50Ms, SyncP99Ms       float64
		AvailableMemoryBytes       int64
		OS, Arch, Folder           string
	}
	MQTTWindow1, MQTTWindow32, HTTPSingle, HTTPBulk100 struct {
		PerSecond, AckP50Ms, AckP99Ms, ServerCPUMicros, GeneratorCores float64
	}
	Memory struct{ BaseBytes, ConnectionBytes float64 }
	Plan   struct {
		Headroom                                                      float64
		DevicesEvery10s, DevicesEveryMinute, ConnectedDevicesByMemory int
	}
	Disk struct{ BytesPerPoint, Rate, DaysUntilFull float64 }
}

// TestACapacityReportIsSane measures with tiny numbers: not the figures, but that each is there and fits the others.
func TestACapacityReportIsSane(t *testing.T) {
	scratch := t.TempDir()
	// a setting for a server must not reach the platform that is measured
	p := rig.Run(t, []string{"ISOBAR_HTTP=256.0.0.1:x", "ISOBAR_DATA=/nowhere"}, "bench", "--json", "--data", scratch, "--time", "200ms", "--connections", "10", "--idle", "200",
		"--points", "20000", "--rate", "250")
	if code := p.Exit(t, time.Minute); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Err.String())
	}
	var r capacityReport
	d := json.NewDecoder(strings.NewReader(p.Out.String()))
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v: %s", err, p.Out.String())
	}
	between := func(name string, v, low, high float64) {
		t.Helper()
		if v < low || v > high {
			t.Errorf("%s is %v, not %v to %v\n%s", name, v, low, high, p.Out.String())
		}
	}
	between("cores", float64(r.Machine.Cores), 1, 4096)
	between("available memory", float64(r.Machine.AvailableMemoryBytes), 1<<20, float64(r.Machine.MemoryBytes))
	between("free disk", float64(r.Machine.FreeDiskBytes), 1<<20, 1<<60)
	between("sync p50", r.Machine.SyncP50Ms, 0.0001, r.Machine.SyncP99Ms)
	cpu := 0.0
	for name, l := range map[string]struct{ PerSecond, AckP50Ms, AckP99Ms, ServerCPUMicros, GeneratorCores float64 }{
		"window 1": r.MQTTWindow1, "window 32": r.MQTTWindow32, "POST of one": r.HTTPSingle, "POST of 100": r.HTTPBulk100} {
		between(name+" per second", l.PerSecond, 20, 1e8)
		between(name+" p50", l.AckP50Ms, 0.001, l.AckP99Ms)
		between(name+" p99", l.AckP99Ms, 0.001, 30_000)
		between(name+" CPU", l.ServerCPUMicros, 0, 1e6) // it is counted in ticks of 10 ms, of which a busy machine may give none
		cpu += l.ServerCPUMicros
		between(name+" generator", l.GeneratorCores, 0.0001, float64(r.Machine.Cores))
	}
	between("CPU of all", cpu, 0.01, 1e6)
	between("connection", r.Memory.ConnectionBytes, 1000, 1<<20)
	between("process", r.Memory.BaseBytes, 5<<20, 1<<30)
	between("bytes for a value", r.Disk.BytesPerPoint, 1, 16)
	between("headroom", r.Plan.Headroom, 0.01, 0.99)
	usable := r.MQTTWindow1.PerSecond * (1 - r.Plan.Headroom)
	between("devices every 10 s", float64(r.Plan.DevicesEvery10s), usable*10-1, usable*10)
	between("devices every minute", float64(r.Plan.DevicesEveryMinute), usable*60-1, usable*60)
	between("days until full", r.Disk.DaysUntilFull*250*86400*r.Disk.BytesPerPoint/float64(r.Machine.FreeDiskBytes), 0.999, 1.001)
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("%s was left behind", left[0].Name())
	}
}

func TestACapacityReportForPeople(t *testing.T) {
	p := rig.Run(t, nil, "bench", "--time", "50ms", "--connections", "2", "--idle", "10", "--points", "1000")
	if code := p.Exit(t, time.Minute); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Err.String())
	}
	for _, want := range []string{"processors", "devices that send a message every 10 s", "the free disk is full after", "us of processor each"} {
		if !strings.Contains(p.Out.String(), want) {
			t.Errorf("no %q in\n%s", want, p.Out.String())
		}
	}
	for _, bad := range [][]string{{"--time", "1ms"}, {"--connections", "0"}, {"--rate", "0"}, {"--data", "/does/not/exist"}} {
		p := rig.Run(t, nil, append([]string{"bench"}, bad...)...)
		if code := p.Exit(t, time.Minute); code == 0 || !strings.Contains(p.Err.String(), bad[0][2:]) {
			t.Errorf("%v: exit code %d, %q", bad, code, p.Err.String())
		}
	}
}
