// Command bench measures the whole platform from outside, beside its peers and in the same run: the do-it-yourself stack (Mosquitto, a forwarder,
// InfluxDB), Mosquitto alone, and our own broker with storage switched off. Rates on a shared machine vary by half; ratios of interleaved rounds do not.
//
//	go run ./compat/bench                                        everything: five rounds, and the table of goals
//	go run ./compat/bench -case qos1w1 -rounds 3 -load 3s        one case, all its systems
//	go run ./compat/bench -case qos1w1 -only isobar              one case, one system
//	go run ./compat/bench -bin new -against old -case qos1w1     two binaries, interleaved, with ratios
//	go run ./compat/bench -list                                  what cases and systems there are
//
// While tuning, build it once: go build -o bin/bench ./compat/bench. -profile FILE records the platform with perf during the load of each case.
//
// Every system starts anew for every case and round, with processes of its own on ports of its own and files in a folder that is removed at the end, so
// that processor time and memory can be read from /proc. The order of systems turns around every round. The load comes from this process over TCP; a round in
// which it needed more than 0.9 of a core is void, since it measured the generator. A peer that is not installed is left out, and said to be.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	bin, against   string
	only           string
	rounds         int
	load, warm     time.Duration
	conns          int
	idle, probes   int
	watch          time.Duration
	devices        int
	within         time.Duration
	rate           float64
	subscribers    int
	fanout         int
	events         float64
	void           float64
	profile, json  string
	serverArgs     string
	diy            string
	forwarderBatch int
	forwarderEvery time.Duration
}

func main() {
	var o options
	floor := flag.String("floor", "", "internal: serve as the floor on this address")
	forward := flag.String("forward", "", "internal: forward from MQTT address, to InfluxDB address, counting on HTTP address")
	cases := flag.String("case", "", "cases to run, with commas between them; empty: all")
	list := flag.Bool("list", false, "list cases and systems, and end")
	flag.StringVar(&o.bin, "bin", "bin/isobar", "the binary to measure")
	flag.StringVar(&o.against, "against", "", "another binary, measured in place of all peers")
	flag.StringVar(&o.only, "only", "", "systems to run, with commas between them; empty: all of a case")
	flag.StringVar(&o.serverArgs, "server-args", "", "more arguments of the platform, with blanks between them")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; figures are medians")
	flag.DurationVar(&o.load, "load", 5*time.Second, "time of each load")
	flag.DurationVar(&o.warm, "warm", 500*time.Millisecond, "time of load before that, which does not count")
	flag.IntVar(&o.conns, "conns", 100, "connections that publish")
	flag.IntVar(&o.idle, "idle", 10000, "idle connections")
	flag.DurationVar(&o.watch, "watch", 10*time.Second, "how long idle connections are watched for their processor time")
	flag.IntVar(&o.devices, "devices", 10000, "devices of the case herd")
	flag.DurationVar(&o.within, "within", 90*time.Second, "a device of the case herd that is not served within this time is refused")
	flag.IntVar(&o.probes, "probes", 300, "probes from publish to queryable")
	flag.Float64Var(&o.rate, "rate", 40000, "messages per second of the case paced")
	flag.IntVar(&o.subscribers, "subscribers", 1000, "subscribers of the cases realtime and realtimeall")
	flag.IntVar(&o.fanout, "fanout", 10, "subscribers of each event of the case realtime")
	flag.Float64Var(&o.events, "events", 1000, "events per second of the case realtime")
	flag.Float64Var(&o.void, "void", 0.9, "a round in which the generator needs more cores is void")
	flag.StringVar(&o.profile, "profile", "", "record the platform with perf into this file during the load")
	flag.StringVar(&o.json, "json", "", "file for the medians and all rounds")
	flag.StringVar(&o.diy, "diy", "line", "what devices of the lean stack send: line (InfluxDB line protocol, passed through) or json (decoded)")
	flag.IntVar(&o.forwarderBatch, "forwarder-batch", 5000, "messages per write of the forwarder")
	flag.DurationVar(&o.forwarderEvery, "forwarder-every", 200*time.Millisecond, "longest time before a write of the forwarder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *floor != "":
		err = serveFloor(ctx, *floor)
	case *forward != "":
		a := strings.Split(*forward, ",")
		err = runForwarder(&forwarder{broker: a[0], influx: a[1], counter: a[2], batch: o.forwarderBatch, every: o.forwarderEvery, format: o.diy})
	case *list:
		listCases()
	default:
		err = o.run(ctx, *cases)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
