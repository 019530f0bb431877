package diskguard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
)

// Space is what a file system has, in bytes.
type Space struct{ Total, Free uint64 }

// Options of a guard.
type Options struct {
	Low   uint64                      // the low-water mark in bytes; zero: a twentieth of the disk, at least 12 MiB and at most 1 GiB
	Log   *slog.Logger                // nil: no log
	Reg   prometheus.Registerer       // nil: metrics are not exported
	Stat  func(string) (Space, error) // nil: asks the file system
	Every time.Duration               // how old an answer of Stat may be; zero: 5 ms
}

const (
	minLow     = 12 << 20
	maxLow     = 1 << 30
	maxBallast = 64 << 20
	freshFor   = 5 * time.Millisecond
	retryAfter = 5 * time.Second // told to clients
	// ballastName is the file that is given up when the space is nearly gone.
	ballastName = "ballast"
)

// Interval is how often Run should look.
const Interval = 250 * time.Millisecond

// Guard watches one folder. It is safe for concurrent use. A nil guard always has room.
type Guard struct {
	dir  string
	o    Options
	low  uint64
	born time.Time

	next atomic.Int64  // when the space is to be looked at again, since born
	free atomic.Uint64 // as last seen
	full atomic.Bool

	mu sync.Mutex // serializes what is done about the ballast

	refused prometheus.Counter
}

// Open looks at the file system of a folder that exists. If the space is nearly gone already, the ballast of the last run is given up, so that
// the stores can be opened.
func Open(dir string, o Options) (*Guard, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stat == nil {
		o.Stat = statfs
	}
	if o.Every == 0 {
		o.Every = freshFor
	}
	s, err := o.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("free space of %s: %w", dir, err)
	}
	g := &Guard{dir: dir, o: o, low: o.Low, born: time.Now(),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_disk_refused_total", Help: "Writes that were refused because the disk is nearly full."})}
	if g.low == 0 {
		g.low = min(max(s.Total/20, minLow), maxLow)
	}
	if o.Reg != nil {
		o.Reg.MustRegister(g.refused,
			gauge("isobar_disk_free_bytes", "Free space of the data folder.", func() float64 { g.look(); return float64(g.free.Load()) }),
			gauge("isobar_disk_low_bytes", "The low-water mark: below it new data is refused.", func() float64 { return float64(g.low) }),
			gauge("isobar_disk_full", "1 while new data is refused because the disk is nearly full.", func() float64 {
				if g.Full() {
					return 1
				}
				return 0
			}))
	}
	g.note(s)
	return g, nil
}

func gauge(name, help string, f func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
}

func statfs(dir string) (Space, error) {
	u, err := vfs.Default.GetDiskUsage(dir)
	return Space{Total: u.TotalBytes, Free: u.AvailBytes}, err
}

// Room returns nil if new data may be taken in, else a fault of kind Full. It costs an atomic read, and a look at the file system when the
// last one is older than Options.Every.
func (g *Guard) Room() error {
	if !g.Full() {
		return nil
	}
	g.refused.Inc()
	return fault.E(fault.Op("disk.Room"), fault.Full, retryAfter, "the disk of the server is nearly full: new data is refused until there is space again")
}

// Full reports whether new data is refused.
func (g *Guard) Full() bool {
	if g == nil {
		return false
	}
	g.look()
	return g.full.Load()
}

// Space returns the free space as last seen and the low-water mark, in bytes.
func (g *Guard) Space() (free, low uint64) {
	if g == nil {
		return 0, 0
	}
	return g.free.Load(), g.low
}

// critical is the space below which the ballast is given up and compactions stop.
func (g *Guard) critical() uint64 { return g.low / 4 }

// look asks the file system, unless somebody did so a moment ago.
func (g *Guard) look() {
	now, next := int64(time.Since(g.born)), g.next.Load()
	if now < next || !g.next.CompareAndSwap(next, now+int64(g.o.Every)) {
		return
	}
	s, err := g.o.Stat(g.dir)
	if err != nil {
		g.o.Log.Error("the free space of the data folder is not known", "err", err)
		return
	}
	g.note(s)
}

// note draws the conclusions. The state changes back a little above the mark, so that it does not flicker.
func (g *Guard) note(s Space) {
	g.free.Store(s.Free)
	switch {
	case s.Free < g.low && g.full.CompareAndSwap(false, true):
		g.o.Log.Error("the disk is nearly full: new data is refused", "free", s.Free, "low", g.low)
	case s.Free >= g.low+g.low/8 && g.full.CompareAndSwap(true, false):
		g.o.Log.Warn("the disk has space again: new data is accepted", "free", s.Free)
	}
	if s.Free < g.critical() {
		g.release()
	}
}

// release gives the ballast up.
func (g *Guard) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := os.Remove(g.ballast()); err == nil {
		g.o.Log.Warn("the ballast file was given up")
	} else if !errors.Is(err, fs.ErrNotExist) {
		g.o.Log.Error("the ballast file cannot be removed", "err", err)
	}
}

func (g *Guard) ballast() string { return filepath.Join(g.dir, ballastName) }

// load makes the ballast if it is missing and there is plenty of space.
func (g *Guard) load() {
	size := min(g.low/2, maxBallast)
	if g.free.Load() < 2*g.low+size {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := os.Lstat(g.ballast()); err == nil {
		return
	}
	f, err := vfs.Default.Create(g.ballast(), vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, int64(size)), f.Close())
	}
	if err != nil { // the file system may have no such call: the mark alone must do
		g.o.Log.Debug("there is no ballast file", "err", err)
	}
}

// Run looks at every tick, whoever else looks, keeps the ballast, and calls told with the state at first and whenever it has changed.
// It ends with ctx. told may be slow.
func (g *Guard) Run(ctx context.Context, ticks <-chan time.Time, told func(full bool)) {
	was := g.Full()
	told(was)
	for {
		g.load()
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		if now := g.Full(); now != was {
			was = now
			told(now)
		}
	}
}
