package protect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/kit/clock"
)

// Bounds of a permission: what the bare flag means, and what is refused as endless.
const (
	defaultPermission = 24 * time.Hour
	maxPermission     = 366 * 24 * time.Hour
)

// Permission is how long listeners beyond this machine may be unencrypted: for a time from the start of the process, or until a date. The zero
// value permits nothing. It is a pflag.Value.
type Permission struct {
	For   time.Duration
	Until time.Time
}

// Set reads a duration ("24h"), a date ("2026-12-01", which ends as that day begins in UTC), or a time of RFC 3339; each may follow "until ". "true" is 24
// hours and "false" nothing.
func (p *Permission) Set(s string) error {
	s = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), "until "))
	switch s {
	case "", "false", "no", "off", "0":
		*p = Permission{}
		return nil
	case "true", "yes", "on", "1":
		*p = Permission{For: defaultPermission}
		return nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		if d <= 0 || d > maxPermission {
			return errors.New("the time must be more than 0 and at most 8784h (366 days)")
		}
		*p = Permission{For: d}
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			*p = Permission{Until: t.UTC()}
			return nil
		}
	}
	return errors.New("must be a time such as 24h, a date such as 2026-12-01, or a time of RFC 3339")
}

// String returns the permission as Set reads it.
func (p *Permission) String() string {
	switch {
	case !p.Until.IsZero():
		return p.Until.Format(time.RFC3339)
	case p.For > 0:
		return p.For.String()
	}
	return ""
}

// Type names the kind of value in the usage text.
func (p *Permission) Type() string { return "time" }

// Given reports whether there is a permission at all, also one that has ended.
func (p Permission) Given() bool { return p.For > 0 || !p.Until.IsZero() }

// Plaintext watches over the unencrypted listeners beyond this machine. It is safe for concurrent use.
type Plaintext struct {
	until time.Time
	clock clock.Clock
	log   *slog.Logger

	mu     sync.Mutex // guards the fields below
	open   map[string]listener
	warnAt time.Time
}

type listener struct {
	addr  string
	close func()
}

// NewPlaintext returns the watch over a permission that counts from now. A date too far away is refused: it would never be looked at again.
func NewPlaintext(p Permission, c clock.Clock, log *slog.Logger) (*Plaintext, error) {
	now := c.Now()
	until := p.Until
	if p.For > 0 {
		until = now.Add(p.For)
	}
	if until.Sub(now) > maxPermission {
		return nil, fmt.Errorf("allow-plaintext: %s is more than 366 days away", until.Format(time.DateOnly))
	}
	return &Plaintext{until: until, clock: c, log: log, open: map[string]listener{}, warnAt: now.Add(time.Hour)}, nil
}

// Allowed reports whether an unencrypted listener beyond this machine may be opened now; if not, it says in the log what to do.
func (p *Plaintext) Allowed(name, addr string) bool {
	if p.clock.Now().Before(p.until) {
		return true
	}
	p.refuse(name, addr)
	return false
}

func (p *Plaintext) refuse(name, addr string) {
	p.log.Error("the permission for unencrypted listeners has ended and this one is closed: use the encrypted one (--"+name+"s), or renew --allow-plaintext and start again",
		"listener", name, "addr", addr, "ended", p.until)
}

// Watch takes charge of a listener that is open: shut is called once when the permission ends.
func (p *Plaintext) Watch(name, addr string, shut func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[name] = listener{addr, shut}
	p.warn(name, addr)
}

func (p *Plaintext) warn(name, addr string) {
	p.log.Warn("this listener is not encrypted: anybody on the way can read and change everything, passwords included", "listener", name, "addr", addr, "closes", p.until)
}

// Run warns and closes when it is time, looked at on every tick, until ctx ends.
func (p *Plaintext) Run(ctx context.Context, ticks <-chan time.Time) {
	for {
		p.due()
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}

func (p *Plaintext) due() {
	for _, shut := range p.ended() { // without the lock: closing waits for nobody, but is not ours
		shut()
	}
}

// ended says what is due in the log and returns what is to be closed.
func (p *Plaintext) ended() (shut []func()) {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.until) {
		for name, l := range p.open {
			shut = append(shut, l.close)
			p.refuse(name, l.addr)
		}
		clear(p.open)
		return shut
	}
	if now.Before(p.warnAt) {
		return nil
	}
	p.warnAt = now.Add(time.Hour)
	for name, l := range p.open {
		p.warn(name, l.addr)
	}
	return nil
}
