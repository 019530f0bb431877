package compat_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestPowerCutUnderLoad lets the file system forget everything that was not synced, at random moments while devices and users write, again
// and again on one data folder. Whatever was acknowledged before must be there: in the database, among the measurements, and in the queue of
// the device that is away.
func TestPowerCutUnderLoad(t *testing.T) {
	disk := rig.NewExt4(t, 1024)
	options := rig.Options{Data: filepath.Join(disk.Dir, "data")}
	n, s := size(t, "ISOBAR_SOAK_POWER", 6, 2), seed(t)
	t.Logf("ISOBAR_SEED=%d", s)
	random := rand.New(rand.NewPCG(s, 1))
	c := &crash{t: t, all: ledger{acked: map[string]map[string]bool{}}}
	server := rig.Start(t, options)
	c.register(server)
	began, slowest := time.Now(), time.Duration(0)
	for cycle := range n {
		c.load(server, time.Duration(100+random.IntN(700))*time.Millisecond, func() {
			// What counts is what was acknowledged before the cut: the kernel lets a sync succeed that is under way at that very moment, and
			// drops what it synced. Measured with a program that only appends and syncs: in 5 of 150 cuts.
			c.counted = c.cycle.copy()
			disk.Cut(t)
			server.Kill()
		})
		disk.Unmount(t)
		disk.Mount(t)
		verifyAudit(t, options)
		server = rig.Start(t, options)
		slowest = max(slowest, server.Ready)
		if c.cycle.total() == 0 {
			t.Fatal("nothing was acknowledged, so that this cycle shows nothing")
		}
		c.verify(server, fmt.Sprintf("power cut %d", cycle), &c.cycle, c.since)
		if t.Failed() {
			t.Fatalf("seed %d", s)
		}
	}
	c.verify(server, "in the end", &c.all, time.Unix(0, 0))
	for _, kind := range kinds {
		if len(c.all.acked[kind]) < n {
			t.Errorf("only %d %s were acknowledged in %d cycles: the load is too weak to show anything", len(c.all.acked[kind]), kind, n)
		}
		t.Logf("%7d %s", len(c.all.acked[kind]), kind)
	}
	noDefects(t, server)
	server.Kill() // before its file system goes
	t.Logf("%d power cuts, %d acknowledged, none lost; slowest restart %s; %s in all", n, c.all.total(), slowest.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}
