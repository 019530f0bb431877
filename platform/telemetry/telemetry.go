package telemetry

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// Deps is what Telemetry needs.
type Deps struct {
	Series   series.Store
	Store    Store
	Blobs    *blob.Store
	Registry *registry.Registry
	Policy   *access.Policy
	Audit    access.Auditor
	Bus      *bus.Bus
	Clock    clock.Clock
	Log      *slog.Logger
	Reg      prometheus.Registerer // may be nil
	// Option returns an option of a tenant; nil: there are none.
	Option func(ctx context.Context, t iot.TenantID, category, key string) (string, bool)
	Usage  *usage.Meter // counts what is created and updated; nil: nobody does
}

// Telemetry is the face. It is safe for concurrent use.
type Telemetry struct {
	d       Deps
	batch   *batcher
	books   *books
	clocks  clockRules
	remover *remover
}

// New returns the face and starts its batcher and its remover, which Close ends.
func New(d Deps) (*Telemetry, error) {
	tm := &Telemetry{d: d, books: newBooks(d)}
	if d.Usage != nil {
		d.Usage.Collect(func(t iot.TenantID) { tm.books.tell(func(k accountKey) bool { return t == "" || k.t == t }) })
	}
	tm.batch = newBatcher(d, tm.books)
	var err error
	if tm.remover, err = newRemover(d, tm.books); err != nil {
		tm.batch.close()
		tm.books.close()
		return nil, err
	}
	return tm, nil
}

// Close stores and publishes what was submitted, finishes the removals that are known, and ends the background work. The stores stay open.
func (tm *Telemetry) Close() {
	tm.remover.close()
	tm.batch.close()
	tm.books.close()
}

func (tm *Telemetry) revision(ctx context.Context, p iot.Principal) sqlkit.Revision {
	return sqlkit.NewRevision(ctx, tm.now(), string(p.User))
}

func (tm *Telemetry) now() time.Time { return tm.d.Clock.Now().Truncate(time.Millisecond) }

func (tm *Telemetry) publish(t iot.TenantID, kind iot.Kind, a iot.Action, source iot.ID, mode iot.ProcessingMode, change any) {
	if mode.Stores() {
		tm.d.Usage.Made(t, source, kind, a, tm.now(), 1)
	}
	data, err := json.Marshal(change)
	if err != nil {
		tm.d.Log.Error("encode a change", "tenant", t, "err", err)
		return
	}
	tm.d.Bus.Publish(bus.InMode(bus.Subject(t, string(kind), string(a), source.String()), mode), data)
}

// window makes equal bounds mean that instant. c8y: a range is half-open, but clients ask for one instant with equal bounds.
func window(from, to *time.Time) {
	if !from.IsZero() && from.Equal(*to) {
		*to = to.Add(time.Millisecond)
	}
}

const maxType = 1024

// mandatory returns a fault that lists the members that are missing.
func mandatory(op fault.Op, missing ...string) error {
	var names []string
	for _, n := range missing {
		if n != "" {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fault.E(op, fault.Invalid, "Following mandatory fields should be included: "+strings.Join(names, ", "))
}

// unless returns name if what it names is missing.
func unless(present bool, name string) string {
	if present {
		return ""
	}
	return name
}

// storable refuses texts that one of the stores does not take.
func storable(op fault.Op, d iot.Doc, typ string, texts ...string) error {
	if len(typ) > maxType {
		return fault.Errorf(op, fault.Invalid, "the type must not be longer than %d bytes", maxType)
	}
	for _, s := range append(texts, typ) {
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			return fault.E(op, fault.Invalid, "texts must be valid UTF-8 without the character U+0000")
		}
	}
	for _, m := range d {
		if m.Name == "" || len(m.Name) > maxType {
			return fault.Errorf(op, fault.Invalid, "the name of a fragment must have between 1 and %d bytes", maxType)
		}
	}
	return nil
}
