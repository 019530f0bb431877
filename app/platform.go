package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/service"
)

// stopTimeout is how long a stop may take; what has not ended by then is named in the log and left.
const stopTimeout = 9 * time.Second

// Platform is a running platform.
type Platform struct {
	p       *parts
	g       *service.Group
	log     *slog.Logger
	started time.Duration
}

// Start starts a platform. When it returns, the platform is ready.
func Start(ctx context.Context, c Config, log *slog.Logger) (*Platform, error) {
	began := time.Now()
	p := &parts{conf: c, log: log, reg: prometheus.NewRegistry(), clock: clock.System{}, fresh: &freshStart{}, addrs: map[string]string{}}
	p.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g := service.NewGroup(log)
	p.fail = g.Fail
	pf := &Platform{p: p, g: g, log: log}
	if err := startModules(ctx, g, p, roleServer); err != nil {
		_ = pf.Stop()
		return nil, err
	}
	pf.started = time.Since(began)
	log.Info("ready", "dur", pf.started.Round(time.Millisecond), "documents", p.db.Dialect.String(), "http", p.addrs["http"], "mqtt", p.addrs["mqtt"])
	return pf, nil
}

// Addr returns the address of a listener: http, https, mqtt or mqtts; empty if there is none.
func (pf *Platform) Addr(name string) string { return pf.p.addrs[name] }

// Stop ends the platform in the reverse order of its start.
func (pf *Platform) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- pf.g.Stop(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop: some parts did not end within %s", stopTimeout)
	}
}

// Wait waits for the end of ctx or the failure of a part, and stops the platform.
func (pf *Platform) Wait(ctx context.Context) error {
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-pf.g.Failed():
		pf.log.Error("a part failed", "err", failed)
	}
	pf.log.Info("stopping")
	if err := pf.Stop(); err != nil {
		pf.log.Error("stop", "err", err)
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// url returns the address of the web front.
func (pf *Platform) url() string { return pf.p.url() }

func (p *parts) url() string {
	if a := p.addrs["https"]; a != "" {
		return "https://" + a
	}
	return "http://" + p.addrs["http"]
}

// announce tells a person where things are, and once the passwords that were made up.
func (pf *Platform) announce(out io.Writer) {
	w := &bytes.Buffer{} // written at once, so that a program that reads it never sees half
	defer func() { _, _ = out.Write(w.Bytes()) }()
	fmt.Fprintf(w, "Isobar is ready after %s\n\n", pf.started.Round(time.Millisecond))
	fmt.Fprintf(w, "  Web    %s\n", pf.url())
	for _, name := range []string{"mqtt", "mqtts", "mtls"} {
		if a := pf.Addr(name); a != "" {
			fmt.Fprintf(w, "  %-6s %s\n", name, a)
		}
	}
	data, err := filepath.Abs(pf.p.conf.Data)
	if err != nil {
		data = pf.p.conf.Data
	}
	fmt.Fprintf(w, "  Data   %s\n", data)
	if f := pf.p.fresh; f.admin != "" {
		fmt.Fprintf(w, "\nFirst start. These passwords are shown once, keep them:\n  management/%s and %s/%s   %s\n", adminUser, iot.DefaultTenant, adminUser, f.admin)
		if f.bootstrap != "" {
			fmt.Fprintf(w, "  management/%s (devices that ask for credentials)   %s\n", bootstrapUser, f.bootstrap)
		}
	}
	fmt.Fprintln(w)
}

// pebbleLog passes on what Pebble has to say: only what is wrong.
type pebbleLog struct {
	log *slog.Logger
	die func(string)
}

func (l pebbleLog) Infof(string, ...any) {}
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("pebble", "err", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger and does not return: what cannot be written must not be acknowledged.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.die("session store cannot go on: " + fmt.Sprintf(format, args...))
}
