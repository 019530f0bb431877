// Command bench measures the platform from outside, as its users meet it, and prints every figure beside a floor of the same run: the same
// frames through our broker with storage switched off, or writing and syncing the same bytes. Ratios hold on a noisy machine, figures do not.
//
// The server runs as a process of its own, so that its CPU and memory can be read from /proc; the load comes from this process over TCP.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	var o options
	floor := flag.String("floor", "", "internal: serve as the floor on this address")
	flag.StringVar(&o.bin, "bin", "bin/isobar", "the binary to measure")
	flag.DurationVar(&o.load, "load", 5*time.Second, "time for each load")
	flag.IntVar(&o.conns, "conns", 50, "connections that publish")
	flag.IntVar(&o.idle, "idle", 2000, "idle connections")
	flag.StringVar(&o.only, "only", "", "one part: start, throughput, disk, visible, idle, herd or bytes; empty for all but herd")
	flag.IntVar(&o.herd, "herd", 10_000, "devices that come back at once")
	flag.IntVar(&o.probes, "probes", 200, "probes of publish-to-visible")
	flag.Parse()
	if *floor != "" {
		if err := serveFloor(*floor); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	bin, only                 string
	load                      time.Duration
	conns, idle, probes, herd int
}

func (o options) run() error {
	dir, err := os.MkdirTemp("", "isobar-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%-52s %16s %16s %9s\n", "", "isobar", "floor", "ratio")
	for _, part := range []struct {
		name string
		run  func(string) error
	}{{"start", o.startTime}, {"throughput", o.throughput}, {"disk", o.disk}, {"visible", o.visible}, {"idle", o.idleMemory}, {"bytes", o.bytesPerPoint}, {"herd", o.comeBack}} {
		if o.only != part.name && (o.only != "" || part.name == "herd") {
			continue
		}
		if err := part.run(dir); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// line prints one figure beside its floor; what says what the floor is.
func line(name string, value, floor float64, unit, what string) {
	ratio := "-"
	if floor > 0 {
		ratio = fmt.Sprintf("%.2f", value/floor)
	}
	fmt.Printf("%-52s %16s %16s %9s   %s\n", name, number(value)+" "+unit, number(floor)+" "+unit, ratio, what)
}

func number(f float64) string {
	switch {
	case f >= 1000:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.3f", f)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
