package compat_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// storageFailed is the exit code of a server that ended because it could no longer promise anything.
const storageFailed = 5

// TestFailedSync lets syncs fail under load, from a random one on. The server must end by itself; then the power is cut as well, so that what
// it acknowledged after the failure, if it did, is gone and is missed after the restart.
func TestFailedSync(t *testing.T) {
	disk := rig.NewExt4(t, 1024)
	options := rig.Options{Data: filepath.Join(disk.Dir, "data")}
	n, s := size(t, "ISOBAR_SOAK_FSYNC", 4, 2), seed(t)
	t.Logf("ISOBAR_SEED=%d", s)
	random := rand.New(rand.NewPCG(s, 2))
	c := &crash{t: t, all: ledger{acked: map[string]map[string]bool{}}}
	server := rig.Start(t, options)
	c.register(server)
	for cycle := range n {
		what := fmt.Sprintf("fsync,fdatasync:error=EIO:when=%d+", 1+random.IntN(20))
		c.load(server, time.Duration(100+random.IntN(300))*time.Millisecond, func() {
			stop := rig.Inject(t, server.Process, what)
			if code := server.Exit(t, 20*time.Second); code != storageFailed {
				t.Errorf("%s: exit code %d:\n%s", what, code, server.Err.String())
			}
			stop()
			disk.Cut(t)
		})
		if !strings.Contains(server.Err.String(), "the process ends, so that nothing is acknowledged that is not stored") {
			t.Errorf("%s: the log does not say why the process ended:\n%s", what, server.Err.String())
		}
		disk.Unmount(t)
		disk.Mount(t)
		server = rig.Start(t, options)
		c.verify(server, what, &c.cycle, c.since)
		if t.Failed() {
			t.Fatalf("cycle %d, seed %d", cycle, s)
		}
	}
	c.verify(server, "in the end", &c.all, time.Unix(0, 0))
	server.Kill()
	t.Logf("%d failures, %d acknowledged, none lost", n, c.all.total())
}

// TestSlowSync makes every sync take longer. All must work, only more slowly, and nothing may be lost by a kill.
func TestSlowSync(t *testing.T) {
	options := rig.Options{Data: t.TempDir()}
	c := &crash{t: t, all: ledger{acked: map[string]map[string]bool{}}}
	server := rig.Start(t, options)
	c.register(server)
	probe := server.Register(t, "crash-probe")
	for _, delay := range []int{2_000, 20_000} {
		var took []time.Duration
		c.load(server, 0, func() {
			stop := rig.Inject(t, server.Process, fmt.Sprintf("fsync,fdatasync:delay_exit=%d", delay))
			client := server.Connect5(t, probe)
			for range size(t, "ISOBAR_SOAK_SLOW", 60, 20) {
				began := time.Now()
				if code, err := client.Publish("s/us", 1, "200,compat_Slow,v,1"); err != nil || code != 0 {
					t.Errorf("with %d us per sync: %v %#x", delay, err, code)
					break
				}
				took = append(took, time.Since(began))
			}
			stop()
			server.Kill()
		})
		slices.Sort(took)
		if len(took) > 0 {
			t.Logf("%d us per sync: %d acknowledged under load, one more message takes %s (median), %s (p99)", delay, c.cycle.total(),
				took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond))
		}
		noDefects(t, server)
		server = rig.Start(t, options)
		c.verify(server, "slow syncs", &c.cycle, c.since)
	}
}

// TestReadOnlyDisk takes the right to write away before the start and under way: the first is told plainly, the second ends the process.
func TestReadOnlyDisk(t *testing.T) {
	disk := rig.NewExt4(t, 256)
	options := rig.Options{Data: filepath.Join(disk.Dir, "data")}
	c := &crash{t: t, all: ledger{acked: map[string]map[string]bool{}}}
	server := rig.Start(t, options)
	c.register(server)
	c.load(server, 200*time.Millisecond, func() {
		stop := rig.Inject(t, server.Process, "pwrite64,openat,fallocate,fsync,fdatasync:error=EROFS") // a remount needs that nothing is open for writing
		if code := server.Exit(t, 20*time.Second); code != storageFailed {
			t.Errorf("exit code %d:\n%s", code, server.Err.String())
		}
		stop()
	})
	if err := syscall.Mount("", disk.Dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	p := rig.Run(t, nil, "server", "--data", options.Data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	if code := p.Exit(t, 20*time.Second); code != storageFailed || !strings.Contains(p.Err.String(), "the data folder cannot be written") || !strings.Contains(p.Err.String(), "read-only file system") {
		t.Errorf("start on a read-only file system: %d\n%s", code, p.Err.String())
	}
	if err := syscall.Mount("", disk.Dir, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	server = rig.Start(t, options)
	c.verify(server, "writable again", &c.cycle, c.since)
	server.Kill()
}
