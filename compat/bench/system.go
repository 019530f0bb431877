package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
)

// errAbsent says that a system is not installed here.
var errAbsent = errors.New("is not installed: run tools/prerequisites.sh bench")

// system is something that devices can publish to. Parts that a system does not have are nil.
type system struct {
	procs   []*loadgen.Process
	mqtt    string
	server  *loadgen.Server // the platform; nil for others
	data    string          // folder of the platform
	login   loadgen.Login
	message loadgen.Message
	// written returns how many messages the store has taken since the start; it is cheap. Nil: all that were acknowledged.
	written func() (int, error)
	// stored counts with a query what the store has. Nil: there is no store.
	stored func() (int, error)
	// probe prepares the nth message of one series and a request that says whether it can be queried.
	probe func(n int) (topic, payload string, request []byte, found func(status int, body []byte) bool)
	query string // address for requests of probe
	// probing is called once when the first probe is acknowledged. May be nil.
	probing func() error
}

func (s *system) stop() {
	for _, p := range slices.Backward(s.procs) {
		p.Stop()
	}
}

func (s *system) cpu() time.Duration {
	var d time.Duration
	for _, p := range s.procs {
		d += p.CPU()
	}
	return d
}

// add takes in a process, or stops the system if it did not start.
func (s *system) add(cmd *exec.Cmd, ready func() bool) error {
	p, err := loadgen.Start(cmd, ready)
	if err != nil {
		s.stop()
		return err
	}
	s.procs = append(s.procs, p)
	return nil
}

// makers start systems with files in an empty folder.
var makers = map[string]func(o *options, dir string) (*system, error){
	"isobar":     func(o *options, dir string) (*system, error) { return startIsobar(o, o.bin, dir, 0) },
	"against":    func(o *options, dir string) (*system, error) { return startIsobar(o, o.against, dir, 0) },
	"isobar-2ms": func(o *options, dir string) (*system, error) { return startIsobar(o, o.bin, dir, 2*time.Millisecond) },
	"against-2ms": func(o *options, dir string) (*system, error) {
		return startIsobar(o, o.against, dir, 2*time.Millisecond)
	},
	"isobar-off": startTransient,
	"isobar-raw": func(o *options, dir string) (*system, error) { return startFloor(o) },
	"mosquitto":  func(o *options, dir string) (*system, error) { return startMosquitto(dir) },
	"diy":        startDIY,
	"lean":       startLean,
}

// what the systems are, for people.
var systemNames = []struct{ name, what string }{
	{"isobar", "the binary given with -bin: everything on, acknowledged when it is on disk"},
	{"isobar-2ms", "the same with 2 ms added to every fsync, through strace"},
	{"isobar-off", "the binary given with -bin with storage switched off: the same messages in transient mode, which takes all of the way but the store"},
	{"isobar-raw", "our broker with a policy that acknowledges at once and stores nothing"},
	{"mosquitto", "Mosquitto alone, tuned, acknowledging from memory"},
	{"diy", "Mosquitto, Telegraf and InfluxDB, tuned: the do-it-yourself stack"},
	{"lean", "the same with a forwarder of ours in the place of Telegraf, which passes bytes on unread: the strongest form of that stack"},
	{"against", "the binary given with -against (with -2ms likewise)"},
}

func installed(name string) (string, error) {
	for _, dir := range []string{"", "bin/peers/", "/usr/sbin/", "/usr/bin/", "/usr/local/bin/", "/usr/local/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s %w", name, errAbsent)
}

// startFloor starts this program as a broker that acknowledges without storing.
func startFloor(o *options) (*system, error) {
	s := &system{mqtt: freePort(), login: loadgen.Login{ClientID: "bench-", User: "main/admin", Password: "any"}, message: loadgen.SmartREST}
	return s, s.add(exec.Command(os.Args[0], "-floor", s.mqtt), func() bool { return listening(s.mqtt) })
}

func writeFile(name, text string) error {
	return os.WriteFile(name, []byte(strings.TrimLeft(text, "\n")), 0o600)
}
