package app

import (
	"bytes"
	"fmt"
	"strconv"
)

// text is the report for people.
func (r *benchReport) text() []byte {
	b := &bytes.Buffer{}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-52s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(b, "Isobar %s on this machine, measured in %.0f s\n\nMachine\n", r.Version, r.Seconds)
	m := r.Machine
	line("processors", "%d (%s, %s)", m.Cores, m.OS, m.Arch)
	if m.MemoryBytes > 0 {
		line("memory", "%s, %s of it available", size(m.MemoryBytes), size(m.AvailableBytes))
	}
	line("disk of "+m.Folder, "%s free", size(m.FreeBytes))
	line("a write of 4 KiB is safe on it after", "%.2f ms (99%%: %.2f ms)", m.SyncP50Ms, m.SyncP99Ms)

	fmt.Fprintf(b, "\nWhat it takes, on disk before it is acknowledged\n")
	for _, l := range []struct {
		name string
		l    benchLoad
	}{
		{"MQTT QoS 1, devices that wait for each answer", r.Devices},
		{"MQTT QoS 1, gateways with 32 messages on the way", r.Gateways},
		{"HTTP, one measurement in a POST", r.Single},
		{"HTTP, 100 measurements in a POST", r.Bulk},
	} {
		line(l.name, "%s/s   answer %.1f ms (99%%: %.1f ms)   %s", thousands(l.l.PerSecond), l.l.P50Ms, l.l.P99Ms, processor(l.l.CPUMicros))
	}
	line("memory of an idle connection with a subscription", "%.1f KiB, beside %s for the process", r.Memory.ConnectionBytes/1024, size(r.Memory.BaseBytes))
	line("disk for a stored value, once sealed", "%.2f bytes", r.Disk.BytesPerPoint)

	fmt.Fprintf(b, "\nWhat that is enough for, with %.0f %% kept in reserve\n", r.Plan.Headroom*100)
	line("devices that send a message every 10 s", "%s", thousands(float64(r.Plan.DevicesEvery10s)))
	line("devices that send a message every minute", "%s", thousands(float64(r.Plan.DevicesEveryMin)))
	if r.Plan.ConnectedByMemory > 0 {
		line("devices that stay connected, by memory", "%s", thousands(float64(r.Plan.ConnectedByMemory)))
	}
	line(fmt.Sprintf("at %s values/s the free disk is full after", thousands(r.Disk.Rate)), "%s", days(r.Disk.DaysUntilFull))

	fmt.Fprintf(b, "\nThe load came from the same machine and took up to %.1f of its processors.\n", max(r.Devices.GeneratorCores, r.Gateways.GeneratorCores, r.Single.GeneratorCores, r.Bulk.GeneratorCores))
	return b.Bytes()
}

func processor(micros float64) string {
	if micros == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f us of processor each", micros)
}

// size writes bytes with a unit.
func size(n int64) string {
	switch {
	case n <= 0:
		return "unknown"
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

// thousands writes a number that is not negative, rounded, with commas.
func thousands(f float64) string {
	s := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func days(n float64) string {
	switch {
	case n <= 0:
		return "unknown"
	case n >= 3653:
		return "more than 10 years"
	case n >= 730:
		return fmt.Sprintf("%.1f years", n/365.25)
	case n >= 2:
		return fmt.Sprintf("%.0f days", n)
	}
	return fmt.Sprintf("%.1f days", n)
}
