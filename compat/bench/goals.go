package main

import "fmt"

// goal is a bound for a figure or a ratio. Gate must hold, target is wanted.
type goal struct {
	id, what     string
	value        func(r *results) (float64, bool)
	gate, target float64
	atMost       bool
}

// ratio divides a figure of one case and system by that of another.
func ratio(figure, trialA, a, trialB, b string) func(*results) (float64, bool) {
	return func(r *results) (float64, bool) {
		x, ok := r.median(trialA, a, figure)
		y, also := r.median(trialB, b, figure)
		return x / y, ok && also && y != 0
	}
}

func plain(figure, trial string) func(*results) (float64, bool) {
	return func(r *results) (float64, bool) { return r.median(trial, "isobar", figure) }
}

// goals that are not here: bytes for a point and times of queries (go test ./engine/series/... -bench .), no loss when killed (go test ./compat -run Crash).
var goals = []goal{
	{"G1", "window 1, stored/s: times the do-it-yourself stack", ratio(fStored, "qos1w1", "isobar", "qos1w1", "diy"), 1, 1.5, false},
	{"G1", "window 1, stored/s: times the lean stack", ratio(fStored, "qos1w1", "isobar", "qos1w1", "lean"), 1, 1.5, false},
	{"G2", "window 32, stored/s: times the do-it-yourself stack", ratio(fStored, "qos1w32", "isobar", "qos1w32", "diy"), 3, 10, false},
	{"G2", "window 32, stored/s: times the lean stack", ratio(fStored, "qos1w32", "isobar", "qos1w32", "lean"), 3, 10, false},
	{"G3", "paced, CPU of a stored message: times do-it-yourself", ratio(fCPU, "paced", "isobar", "paced", "diy"), 0.75, 0.5, true},
	{"G3", "paced, CPU of a stored message: times the lean stack", ratio(fCPU, "paced", "isobar", "paced", "lean"), 0.75, 0.5, true},
	{"G3", "paced, CPU of a stored message, us", plain(fCPU, "paced"), 14, 14, true},
	{"G4", "publish to queryable p50: times do-it-yourself", ratio(fVisP50, "light", "isobar", "light", "diy"), 0.1, 0.1, true},
	{"G4", "publish to queryable p50: times the lean stack", ratio(fVisP50, "light", "isobar", "light", "lean"), 0.1, 0.1, true},
	{"G4", "publish to queryable p99: times do-it-yourself", ratio(fVisP99, "light", "isobar", "light", "diy"), 0.2, 0.2, true},
	{"G4", "publish to queryable p99: times the lean stack", ratio(fVisP99, "light", "isobar", "light", "lean"), 0.2, 0.2, true},
	{"G5", "window 1, CPU of a message: times Mosquitto without a store", ratio(fCPU, "qos1w1", "isobar", "qos1w1", "mosquitto"), 4, 2.5, true},
	{"G6", "CPU of a message with three values, us", plain(fCPU, "three"), 36, 16, true},
	{"G8", "memory of an idle connection with a subscription, KiB", plain(fMemory, "idle"), 30, 24, true},
	{"G8", "processor time of idle connections, cores", plain(fIdleCPU, "idle"), 0.05, 0.02, true},
	{"herd", "a fleet that comes back at once: devices refused", plain(fRefused, "herd"), 0, 0, true},
	{"herd", "a fleet that comes back at once: until the last is served, s", plain(fLast, "herd"), 30, 10, true},
	{"live", "1,000 subscribers, 1,000 events/s to ten each: publish to receive p99, ms", plain(fRecvP99, "realtime"), 100, 50, true},
	{"live", "the same: events that did not arrive", plain(fMissing, "realtime"), 0, 0, true},
	{"G9", "2 ms more for fsync, window 32: share of the rate", ratio(fStored, "fsync32", "isobar-2ms", "qos1w32", "isobar"), 0.4, 0.5, false},
	{"G9", "2 ms more for fsync, window 1: ack p50, ms", func(r *results) (float64, bool) { return r.median("fsync1", "isobar-2ms", fP50) }, 6, 5.3, true},
	{"G11", "HTTP, POST of one measurement, 1/s", plain(fAcked, "http1"), 5000, 15000, false},
	{"G11", "HTTP, POST of 100 measurements, measurements/s", plain(fAcked, "http100"), 50000, 338000, false},
	{"floor", "window 1: share of the same with storage switched off", ratio(fAcked, "qos1w1", "isobar", "qos1w1", "isobar-off"), 0.6, 0.6, false},
	{"floor", "window 32: share of the same with storage switched off", ratio(fAcked, "qos1w32", "isobar", "qos1w32", "isobar-off"), 0.6, 0.6, false},
	{"half", "half of the highest rate: ack p99, ms", plain(fP99, "half"), 25, 25, true},
	{"half", "half of the highest rate: publish to REST p99, ms", plain(fVisP99, "half"), 50, 50, true},
	{"light", "publish to REST p99, ms", plain(fVisP99, "light"), 50, 40, true},
	{"P2", "window 1: durable acknowledgements/s", plain(fAcked, "qos1w1"), 30000, 60000, false},
	{"P2", "window 1: ack p99, ms", plain(fP99, "qos1w1"), 20, 20, true},
	{"loss", "window 32: acknowledged and not stored", plain(fLost, "qos1w32"), 0, 0, true},
}

// verdict says how a value stands to its bounds.
func (g goal) verdict(v float64) string {
	reached := func(bound float64) bool {
		if g.atMost {
			return v <= bound
		}
		return v >= bound
	}
	switch {
	case reached(g.target):
		return "target"
	case reached(g.gate):
		return "gate"
	}
	return "MISSED"
}

// printGoals prints each goal for which something was measured.
func printGoals(r *results) {
	fmt.Printf("\n%-6s %-62s %9s %9s %9s\n", "goal", "", "gate", "target", "measured")
	for _, g := range goals {
		v, ok := g.value(r)
		if !ok {
			continue
		}
		sign := ">="
		if g.atMost {
			sign = "<="
		}
		fmt.Printf("%-6s %-62s %9s %9s %9s   %s\n", g.id, g.what, sign+number(g.gate, true), sign+number(g.target, true), number(v, true), g.verdict(v))
	}
}
