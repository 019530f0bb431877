// Package loadgen is a device that measures: many connections that publish over MQTT or POST over HTTP as fast as they are answered, or at a given rate,
// and count nothing but what was acknowledged. `isobar bench` and compat/bench use it; package simulator has devices that look real instead.
//
// It is made to cost little, since it shares the machine with what it measures: frames are built before the clock runs, one thread serves all connections
// (on Linux; elsewhere a goroutine each), acknowledgements that arrive together are answered with one write, and times go into histograms of fixed size.
// Usage tells what it cost all the same: a run in which it needed most of a core measured the generator.
//
// Two more things are measured: what connections cost that do nothing (Idle), and how long a fleet waits that comes back at once (ComeBack).
//
// It speaks MQTT 3.1.1 with QoS 1 only, knows no dialect of payloads, and trusts the server that it measures: it is no client for production.
package loadgen
