package audit

import (
	"context"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const (
	// maxWaiting records may wait for their commit, over all tenants. Beyond it Record blocks: the callers feel it as back pressure.
	maxWaiting = 4096
	// maxBatch records share a commit.
	maxBatch = 256
	// appendTimeout ends a commit that a database out of reach does not answer, so that callers are not held for ever.
	appendTimeout = 30 * time.Second
)

// entry is a record that waits to be durable.
type entry struct {
	draft Draft
	done  chan outcome // of size one
}

type outcome struct {
	id  iot.ID
	err error
}

// lanes collects records per tenant. While a commit of a tenant runs, what arrives forms its next batch; a tenant whose records are all written
// has no lane.
type lanes struct {
	room chan struct{} // holds a value for each record that waits

	mu     sync.Mutex // guards the following
	m      map[iot.TenantID][]*entry
	closed bool
	wg     sync.WaitGroup
}

func (ls *lanes) init() {
	ls.room, ls.m = make(chan struct{}, maxWaiting), map[iot.TenantID][]*entry{}
}

// join adds an entry to the lane of a tenant; first says that the caller must see to it that the lane is emptied.
func (ls *lanes) join(t iot.TenantID, e *entry) (first bool, err error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return false, fault.E(fault.Op("audit.Record"), fault.Unavailable)
	}
	waiting, busy := ls.m[t]
	ls.m[t] = append(waiting, e)
	if !busy {
		ls.wg.Add(1)
	}
	return !busy, nil
}

// take returns what waits in a lane, at most maxBatch, and ends the lane if nothing does.
func (ls *lanes) take(t iot.TenantID) []*entry {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	waiting := ls.m[t]
	if len(waiting) == 0 {
		delete(ls.m, t)
		ls.wg.Done()
		return nil
	}
	n := min(len(waiting), maxBatch)
	ls.m[t] = waiting[n:]
	return waiting[:n]
}

// close refuses further entries and waits for those that were accepted.
func (ls *lanes) close() {
	ls.mu.Lock()
	ls.closed = true
	ls.mu.Unlock()
	ls.wg.Wait()
}

// append returns when the record is durable, with its number.
func (l *Log) append(t iot.TenantID, d Draft) (iot.ID, error) {
	l.lanes.room <- struct{}{}
	defer func() { <-l.lanes.room }()
	e := &entry{draft: d, done: make(chan outcome, 1)}
	first, err := l.lanes.join(t, e)
	if err != nil {
		return 0, err
	}
	if first {
		go l.drain(t)
	}
	o := <-e.done
	return o.id, o.err
}

// drain commits what waits in a lane until nothing does.
func (l *Log) drain(t iot.TenantID) {
	for batch := l.lanes.take(t); batch != nil; batch = l.lanes.take(t) {
		drafts := make([]Draft, len(batch))
		for i, e := range batch {
			drafts[i] = e.draft
		}
		before, after, err := l.commit(t, drafts)
		for i, e := range batch {
			e.done <- outcome{iot.ID(before.Seq + uint64(i) + 1), err}
		}
		if err == nil {
			l.observe(t, before, after)
		}
	}
}

func (l *Log) commit(t iot.TenantID, drafts []Draft) (before, after Head, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
	defer cancel()
	before, after, err = l.d.Store.Append(ctx, t, drafts, l.d.Clock.Now())
	return before, after, sqlkit.Fault("audit.Record", err)
}
