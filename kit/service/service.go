// Package service runs the long-lived parts of a process: it starts them in order, stops them in reverse, names the one that
// failed, and turns a panic of any of their goroutines into an error instead of a crash.
//
// A part is a Service: Start does the I/O that may fail and returns when the part is ready; Stop ends it within the context's deadline.
// A part that dies later reports through the function given to Start.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Service is one part with a life. Nil functions do nothing.
type Service struct {
	Name  string
	Start func(ctx context.Context) error
	Stop  func(ctx context.Context) error
}

// Group is an ordered set of running services. It is safe for concurrent use.
type Group struct {
	log *slog.Logger

	mu      sync.Mutex // guards running
	running []Service

	failed chan error
}

// NewGroup returns an empty group.
func NewGroup(log *slog.Logger) *Group {
	return &Group{log: log, failed: make(chan error, 1)}
}

// Start starts a service and adds it to the group. On failure nothing is added and the error names the service.
func (g *Group) Start(ctx context.Context, s Service) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("start %s: panic: %v\n%s", s.Name, r, debug.Stack())
		}
	}()
	began := time.Now()
	if s.Start != nil {
		if err := s.Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", s.Name, err)
		}
	}
	g.mu.Lock()
	g.running = append(g.running, s)
	g.mu.Unlock()
	g.log.Debug("started", "service", s.Name, "dur", time.Since(began))
	return nil
}

// Fail reports that a running service died; the first report is delivered by Failed.
func (g *Group) Fail(name string, err error) {
	select {
	case g.failed <- fmt.Errorf("%s: %w", name, err):
	default:
	}
}

// Failed delivers the first failure of a running service.
func (g *Group) Failed() <-chan error { return g.failed }

// Go runs f in a goroutine that recovers: a panic or an error other than cancellation is reported as a failure of name.
func (g *Group) Go(name string, f func() error) {
	go func() {
		defer func() {
			if r := recover(); r != nil {
				g.log.Error("panic", "service", name, "err", r, "stack", string(debug.Stack()))
				g.Fail(name, fmt.Errorf("panic: %v", r))
			}
		}()
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			g.Fail(name, err)
		}
	}()
}

// Stop stops all services in reverse order of their start. It goes on after an error and returns all of them.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	running := g.running
	g.running = nil
	g.mu.Unlock()
	var errs []error
	for i := len(running) - 1; i >= 0; i-- {
		s := running[i]
		if s.Stop == nil {
			continue
		}
		began := time.Now()
		if err := s.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.Name, err))
		}
		g.log.Debug("stopped", "service", s.Name, "dur", time.Since(began))
	}
	return errors.Join(errs...)
}
