package simulator

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/kit/clock"
)

// Config says where the server is, how the devices get their credentials and what the fleet looks like. Zero values mean the defaults.
type Config struct {
	// MQTT is the address of the server's MQTT listener: tcp://host:1883, tls://host:8883, or host:port. Empty means the host of
	// URL, at port 1883 for http and 8883 for https.
	MQTT string
	// URL is the base of the server's HTTP interface. It is needed only for the bootstrap flow, or to derive MQTT.
	URL string
	// TLS is used for tls:// and https://; nil trusts the roots of the system.
	TLS *tls.Config

	// Credentials, if set, supplies what a device connects with; it must be safe for concurrent use. The user is without tenant.
	// If nil, the devices use the public bootstrap flow: User and Password are an operator who registers and accepts them (Tenant may be empty
	// if the server knows it from the host name), BootstrapPassword is what every device is built with.
	Credentials       func(ctx context.Context, externalID string) (tenant, user, password string, err error)
	Tenant            string
	User              string
	Password          string
	BootstrapUser     string // default management/devicebootstrap
	BootstrapPassword string

	// StateFile remembers credentials, meter readings and which devices have sent their history, per server; it is written with
	// mode 0600. Empty keeps them in memory only.
	StateFile string

	Prefix   string        // of external ids, so that several fleets fit on one server; default "sim"
	Homes    int           // default 3, negative for none
	Machines int           // default 2, negative for none; never fewer than there are recordings
	Replay   []string      // CSV files, one machine each; the other machines follow a model
	Speed    float64       // how much faster than real the machines live; default 60
	Interval time.Duration // between reports of a home, and of a machine without recording; default 5 s
	History  time.Duration // past that a new device reports at its start; default 24 h, negative for none
	Seed     uint64

	LeakEvery time.Duration // mean time between leaks in a home that nobody ordered; default 6 h, negative for none
	JamRate   float64       // share of valve moves that jam, 0 to 1

	// OnEvent is told what a person would want to see; it is called from many goroutines and must not block. May be nil.
	OnEvent func(Event)
	// Stats, if set, is counted into while the fleet runs.
	Stats *Stats
	// Clock tells the time; nil is the machine's.
	Clock clock.Clock
}

const maxFleet = 10_000

func (c Config) withDefaults() Config {
	c.BootstrapUser = cmp.Or(c.BootstrapUser, "management/devicebootstrap")
	c.Prefix = cmp.Or(c.Prefix, "sim")
	c.Homes = max(0, cmp.Or(c.Homes, 3))
	c.Machines = max(0, cmp.Or(c.Machines, 2), len(c.Replay))
	c.Speed = cmp.Or(c.Speed, 60)
	c.Interval = cmp.Or(c.Interval, 5*time.Second)
	c.History = max(0, cmp.Or(c.History, 24*time.Hour))
	c.LeakEvery = max(0, cmp.Or(c.LeakEvery, 6*time.Hour))
	if c.Stats == nil {
		c.Stats = &Stats{}
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	return c
}

// Check reports the first thing in the configuration that cannot work. It opens nothing.
func (c Config) Check() error {
	const op = fault.Op("simulator.Check")
	if _, err := c.broker(); err != nil {
		return err
	}
	d := c.withDefaults()
	switch {
	case strings.ContainsAny(c.Prefix, ":/+#, \t\r\n\""):
		return fault.E(op, fault.Invalid, fault.Subject(c.Prefix), "the prefix of external ids must not contain separators or blanks")
	case !(d.Speed >= 0.001 && d.Speed <= 1e6): // also refuses NaN
		return fault.E(op, fault.Invalid, "the speed must be between 0.001 and 1,000,000")
	case d.Interval < 100*time.Millisecond:
		return fault.E(op, fault.Invalid, "the interval must be at least 100 ms")
	case !(c.JamRate >= 0 && c.JamRate <= 1):
		return fault.E(op, fault.Invalid, "the share of jams must be between 0 and 1")
	case d.Homes+d.Machines == 0:
		return fault.E(op, fault.Invalid, "a fleet needs at least one home or machine")
	case d.Homes > maxFleet || d.Machines > maxFleet:
		return fault.E(op, fault.Invalid, fmt.Sprintf("a fleet has at most %d homes and %d machines", maxFleet, maxFleet))
	}
	if c.Credentials == nil {
		return c.checkBootstrap()
	}
	return nil
}

func (c Config) checkBootstrap() error {
	const op = fault.Op("simulator.Check")
	switch {
	case c.URL == "":
		return fault.E(op, fault.Invalid, "the URL of the server is needed to register devices")
	case c.User == "" || c.Password == "":
		return fault.E(op, fault.Invalid, "the user and password of an operator are needed to register devices")
	case c.BootstrapPassword == "":
		return fault.E(op, fault.Invalid, "the bootstrap password is needed to register devices")
	}
	_, err := c.baseURL()
	return err
}

func (c Config) baseURL() (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(c.URL, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.E(fault.Op("simulator.Check"), fault.Invalid, fault.Subject(c.URL),
			"the URL of the server must look like http://localhost:8080 or https://iot.example.com", err)
	}
	return u, nil
}

// broker is the address of an MQTT listener.
type broker struct {
	host string // with port
	tls  bool
}

func (b broker) String() string {
	if b.tls {
		return "tls://" + b.host
	}
	return "tcp://" + b.host
}

// broker finds the MQTT address from MQTT or URL.
func (c Config) broker() (broker, error) {
	const op = fault.Op("simulator.Check")
	address := c.MQTT
	if address == "" {
		if c.URL == "" {
			return broker{}, fault.E(op, fault.Invalid, "the address of the server is missing: give its URL or its MQTT address")
		}
		u, err := c.baseURL()
		if err != nil {
			return broker{}, err
		}
		address = map[bool]string{false: "tcp://", true: "tls://"}[u.Scheme == "https"] + bracket(u.Hostname())
	}
	if !strings.Contains(address, "://") {
		address = "tcp://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return broker{}, fault.E(op, fault.Invalid, fault.Subject(c.MQTT), "the MQTT address must look like tcp://localhost:1883 or tls://iot.example.com:8883", err)
	}
	b, port := broker{}, "1883"
	switch u.Scheme {
	case "tcp", "mqtt":
	case "tls", "ssl", "mqtts":
		b.tls, port = true, "8883"
	default:
		return broker{}, fault.E(op, fault.Invalid, fault.Subject(c.MQTT), "the MQTT address must begin with tcp:// or tls://")
	}
	b.host = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	return b, nil
}

// bracket puts an IPv6 address back into the form of a URL.
func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
