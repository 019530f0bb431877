package firewall

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options of a Firewall. The zero value lets everybody in and trusts no proxy.
type Options struct {
	Allow, Deny []string // networks, in addition to those of File
	File        string   // with rules as Parse reads them; empty: none
	Trusted     []string // networks of proxies that are believed
	Log         *slog.Logger
	Reg         prometheus.Registerer // may be nil
}

// maxFile bounds the file with rules.
const maxFile = 16 << 20

// Firewall holds the rules of all listeners. It is safe for concurrent use.
type Firewall struct {
	o       Options
	trusted networks
	rules   atomic.Pointer[Rules]
	refused *prometheus.CounterVec
	open    *prometheus.GaugeVec
	reloads *prometheus.CounterVec

	at   time.Time // of the file when it was last read; Open and Run only
	size int64

	mu        sync.Mutex // guards listeners
	listeners map[*Listener]struct{}
}

// Open reads the rules, all of which must be good.
func Open(o Options) (*Firewall, error) {
	f := &Firewall{o: o, listeners: map[*Listener]struct{}{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "isobar_firewall_refused_connections_total", Help: "Connections that were closed unanswered."}, []string{"listener", "reason"}),
		open:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "isobar_firewall_open_connections_count", Help: "Open connections."}, []string{"listener"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "isobar_firewall_reloads_total", Help: "Changed files with rules by result: used, refused."}, []string{"result"}),
	}
	if o.Reg != nil {
		o.Reg.MustRegister(f.refused, f.open, f.reloads)
	}
	trusted, err := Networks(o.Trusted)
	if err != nil {
		return nil, fmt.Errorf("trusted-proxies: %w", err)
	}
	for _, p := range trusted {
		f.trusted.add(p)
	}
	if o.File != "" {
		if info, err := os.Stat(o.File); err == nil {
			f.at, f.size = info.ModTime(), info.Size()
		}
	}
	rules, err := f.read()
	if err != nil {
		return nil, err
	}
	f.rules.Store(rules)
	return f, nil
}

// Check reports what is wrong with the options, without any I/O.
func (o Options) Check() error {
	_, err := (&Firewall{o: Options{Allow: o.Allow, Deny: o.Deny}}).read()
	if err != nil {
		return err
	}
	if _, err = Networks(o.Trusted); err != nil {
		return fmt.Errorf("trusted-proxies: %w", err)
	}
	return nil
}

func (f *Firewall) read() (*Rules, error) {
	rules := &Rules{}
	if f.o.File != "" {
		info, err := os.Stat(f.o.File)
		if err == nil && info.Size() > maxFile {
			err = fmt.Errorf("%s is larger than 16 MiB", f.o.File)
		}
		var text []byte
		if err == nil {
			text, err = os.ReadFile(f.o.File)
		}
		if err != nil {
			return nil, fmt.Errorf("firewall: %w", err)
		}
		if rules, err = Parse(string(text)); err != nil {
			return nil, fmt.Errorf("firewall: %s, %w", f.o.File, err)
		}
	}
	for verb, list := range map[string][]string{"allow": f.o.Allow, "deny": f.o.Deny} {
		for _, network := range list {
			if network = strings.TrimSpace(network); network == "" {
				continue
			}
			if err := rules.add(verb, network); err != nil {
				return nil, fmt.Errorf("%s: %w", verb, err)
			}
		}
	}
	return rules, nil
}

// Allows reports whether the rules let an address in.
func (f *Firewall) Allows(a netip.Addr) bool { return f.rules.Load().Allows(a) }

// Trusted reports whether an address is a proxy that is believed.
func (f *Firewall) Trusted(a netip.Addr) bool { return f.trusted.contains(plain(a)) }

// Run reads the file again when it has changed, looked at on every tick, or whenever reload says so, until ctx ends. reload may be nil.
func (f *Firewall) Run(ctx context.Context, ticks <-chan time.Time, reload <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			f.look(false)
		case <-reload:
			f.look(true)
		}
	}
}

// look reads the file if it changed. What cannot be understood is said once per change, and the old rules stay.
func (f *Firewall) look(always bool) {
	if f.o.File == "" {
		return
	}
	info, err := os.Stat(f.o.File)
	if err == nil {
		if !always && info.ModTime().Equal(f.at) && info.Size() == f.size {
			return
		}
		f.at, f.size = info.ModTime(), info.Size()
	} else if f.size == -1 {
		return // said already
	} else {
		f.size = -1
	}
	rules, err := f.read()
	if err != nil {
		f.reloads.WithLabelValues("refused").Inc()
		f.o.Log.Error("the changed firewall rules cannot be used, the old ones stay", "err", err)
		return
	}
	f.rules.Store(rules)
	f.reloads.WithLabelValues("used").Inc()
	f.mu.Lock()
	all := make([]*Listener, 0, len(f.listeners))
	for l := range f.listeners {
		all = append(all, l)
	}
	f.mu.Unlock()
	ended := 0
	for _, l := range all {
		ended += l.end(func(c *conn) bool { return !rules.Allows(c.addr) }, reasonDenied)
	}
	f.o.Log.Info("new firewall rules are in use", "allow", len(rules.allow.set), "deny", len(rules.deny.set), "ended", ended)
}
