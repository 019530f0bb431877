package telemetry

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// removeQueue bounds the deleted objects whose data is still to be removed. When it is full, the bus keeps further ones, up to its own bound.
const removeQueue = 1024

type orphan struct {
	tenant iot.TenantID
	source iot.ID
}

// remover removes the data of objects that were deleted, one after the other. Every node does it; removing twice is harmless.
type remover struct {
	d     Deps
	books *books
	queue chan orphan
	stop  func()
	quit  chan struct{} // closed: take no more
	wg    sync.WaitGroup
	once  sync.Once
}

func newRemover(d Deps, books *books) (*remover, error) {
	r := &remover{d: d, books: books, queue: make(chan orphan, removeQueue), quit: make(chan struct{})}
	var err error
	r.stop, err = d.Bus.Subscribe(bus.All("inventory", string(iot.Deleted), ">"), func(t iot.TenantID, _ string, data []byte) {
		var c registry.Change
		if err := json.Unmarshal(data, &c); err != nil || c.Object.ID == 0 {
			return
		}
		select {
		case r.queue <- orphan{t, c.Object.ID}:
		case <-r.quit:
		}
	})
	if err != nil {
		return nil, err
	}
	r.wg.Add(1)
	go r.run()
	return r, nil
}

// close finishes what is queued.
func (r *remover) close() {
	r.once.Do(func() {
		r.stop()
		close(r.quit)
	})
	r.wg.Wait()
}

func (r *remover) run() {
	defer r.wg.Done()
	for {
		select {
		case o := <-r.queue:
			r.remove(o)
		case <-r.quit:
			for len(r.queue) > 0 {
				r.remove(<-r.queue)
			}
			return
		}
	}
}

func (r *remover) remove(o orphan) {
	ctx, all, sources := context.Background(), access.Scope{All: true}, []iot.ID{o.source}
	rev := sqlkit.Revision{At: r.d.Clock.Now(), By: "system", Set: "inventory/" + o.source.String()}
	_, err := r.d.Series.Delete(ctx, o.tenant, series.Query{Source: o.source})
	for err == nil {
		var gone []iot.Event
		if gone, err = r.d.Store.DeleteEvents(ctx, o.tenant, all, EventQuery{Sources: sources}, rev); len(gone) < DeleteBatch {
			detach(ctx, r.d, o.tenant, gone)
			break
		}
		detach(ctx, r.d, o.tenant, gone)
	}
	for err == nil {
		var gone []iot.Alarm
		if gone, err = r.d.Store.DeleteAlarms(ctx, o.tenant, all, AlarmQuery{Sources: sources}, rev); len(gone) < DeleteBatch {
			break
		}
	}
	if err == nil {
		err = r.books.drop(ctx, o.tenant, o.source)
	}
	if err != nil {
		r.d.Log.Error("remove the data of a deleted object", "tenant", o.tenant, "device", o.source, "err", err)
	}
}
