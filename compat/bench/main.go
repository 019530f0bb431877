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
	bin                 string
	load                time.Duration
	conns, idle, probes int
}

func (o options) run() error {
	dir, err := os.MkdirTemp("", "isobar-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%-52s %16s %16s %9s\n", "", "isobar", "floor", "ratio")
	for _, part := range []func(string) error{o.startTime, o.throughput, o.disk, o.visible, o.idleMemory, o.bytesPerPoint} {
		if err := part(dir); err != nil {
			return err
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
