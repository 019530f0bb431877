package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

const (
	markRecords = 1000        // a checkpoint is due after as many records,
	markTime    = time.Minute // or after as long, if there were any
)

// mark is what this process knows of a tenant's chain.
type mark struct {
	head   Head      // as last seen
	marked uint64    // number of the record in the newest checkpoint
	at     time.Time // when that was written; zero: none yet
}

// marks holds one mark per tenant that had a record since the start, or a head at the start.
type marks struct {
	mu sync.Mutex // guards m
	m  map[iot.TenantID]mark
}

func (l *Log) openTrail(ctx context.Context) (tail, error) {
	if l.d.Trail == "" {
		return tail{}, nil
	}
	t, found, err := openTrail(l.d.Trail, l.d.Signer, l.d.Clock.Now(), func(file Hash) (Witness, bool, error) { return l.d.Store.Witness(ctx, file) })
	if err != nil {
		return found, err
	}
	l.trail = t
	if found.cut > 0 {
		l.d.Log.Warn("the last line of the audit checkpoints was not finished and was taken off", "bytes", found.cut)
	}
	if found.bad > 0 {
		l.damaged("", "a line of the audit checkpoints cannot be read", "line", found.bad)
	}
	return found, l.d.Store.PutWitness(ctx, t.Witness())
}

func (l *Log) damaged(t iot.TenantID, what string, args ...any) {
	l.damage.Inc()
	l.d.Log.Error(what+": somebody has changed the audit from outside, run isobar audit verify", append([]any{"tenant", t}, args...)...)
}

// resume compares the heads with the checkpoints from before the start. What does not fit is noted in the checkpoint file before anything is
// appended: otherwise the next signed head would cover it up.
func (l *Log) resume(ctx context.Context, found tail) error {
	heads, err := l.d.Store.Heads(ctx)
	if err != nil {
		return fmt.Errorf("heads of the audit: %w", err)
	}
	now := l.d.Clock.Now()
	var lines []Line
	for _, h := range heads {
		last := found.last[h.Tenant]
		delete(found.last, h.Tenant)
		note, err := l.doubt(ctx, h, last)
		if err != nil {
			return err
		}
		if note != "" {
			l.damaged(h.Tenant, note)
		}
		if note != "" || last.Seq != h.Seq {
			lines = append(lines, Line{Tenant: h.Tenant, Seq: h.Seq, Hash: h.Hash, Time: now, Note: note})
		}
		l.marks.m[h.Tenant] = mark{head: h, marked: h.Seq, at: now}
	}
	for t, last := range found.last {
		if t != "" && last.Seq > 0 {
			note := fmt.Sprintf("the database has no records, and line %d names record %d", last.Number, last.Seq)
			l.damaged(t, note)
			lines = append(lines, Line{Tenant: t, Time: now, Note: note})
		}
	}
	return l.mark(ctx, lines)
}

// doubt says what is wrong with a head that was found at the start, in view of the tenant's newest checkpoint.
func (l *Log) doubt(ctx context.Context, h Head, last Line) (string, error) {
	if err := l.check(h); err != nil {
		return fmt.Sprintf("the head at record %d is not ours: %v", h.Seq, err), nil
	}
	if last.Seq == 0 {
		return "", nil
	}
	if last.Seq > h.Seq {
		return fmt.Sprintf("the database ends at record %d, and line %d names record %d", h.Seq, last.Number, last.Seq), nil
	}
	hash, ok, err := l.d.Store.HashOf(ctx, h.Tenant, last.Seq)
	if err != nil {
		return "", err
	}
	if !ok || hash != last.Hash {
		return fmt.Sprintf("record %d is not the one that line %d names", last.Seq, last.Number), nil
	}
	return "", nil
}

// check verifies a head, except that keys of other nodes need not be known.
func (l *Log) check(h Head) error {
	if h.Seq == 0 && h.Key == "" {
		return nil // nothing was written yet
	}
	err := l.d.Keys.check(h.Key, h.message(), h.Signature)
	if l.d.Shared && errors.Is(err, errUnknownKey) {
		return nil
	}
	return err
}

// observe takes note of a commit, and of what it has found where the chain ended.
func (l *Log) observe(t iot.TenantID, before, after Head) {
	l.marks.mu.Lock()
	m := l.marks.m[t]
	var lines []Line
	now := l.d.Clock.Now()
	switch same := before.Seq == m.head.Seq && before.Hash == m.head.Hash; {
	case before.Seq < m.head.Seq || before.Seq == m.head.Seq && !same:
		note := fmt.Sprintf("the chain ended at record %d, and then at record %d with another hash", m.head.Seq, before.Seq)
		lines = append(lines, Line{Tenant: t, Seq: m.head.Seq, Hash: m.head.Hash, Time: now, Note: note})
		l.damaged(t, note)
	case !same: // another node has written, or it is the first time that we see it
		if err := l.check(before); err != nil {
			note := fmt.Sprintf("the head at record %d is not ours: %v", before.Seq, err)
			lines = append(lines, Line{Tenant: t, Seq: before.Seq, Hash: before.Hash, Time: now, Note: note})
			l.damaged(t, note)
		}
	}
	m.head = after
	if len(lines) > 0 || m.at.IsZero() || after.Seq-m.marked >= markRecords || now.Sub(m.at) >= markTime {
		lines = append(lines, Line{Tenant: t, Seq: after.Seq, Hash: after.Hash, Time: now})
		m.marked, m.at = after.Seq, now
	}
	l.marks.m[t] = m
	l.marks.mu.Unlock()
	if err := l.mark(context.Background(), lines); err != nil {
		l.d.Log.Error("audit checkpoint not written", "tenant", t, "err", err)
	}
}

// Checkpoint notes in the checkpoint file where the chains end that have grown since the last time.
func (l *Log) Checkpoint(ctx context.Context) {
	now := l.d.Clock.Now()
	var lines []Line
	l.marks.mu.Lock()
	for t, m := range l.marks.m {
		if m.head.Seq > m.marked {
			lines = append(lines, Line{Tenant: t, Seq: m.head.Seq, Hash: m.head.Hash, Time: now})
			m.marked, m.at = m.head.Seq, now
			l.marks.m[t] = m
		}
	}
	l.marks.mu.Unlock()
	if err := l.mark(ctx, lines); err != nil {
		l.d.Log.Error("audit checkpoints not written", "err", err)
	}
}

// mark writes lines to the checkpoint file and lets the database witness them.
func (l *Log) mark(ctx context.Context, lines []Line) error {
	if l.trail == nil || len(lines) == 0 {
		return nil
	}
	if err := l.trail.Append(lines...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	return l.d.Store.PutWitness(ctx, l.trail.Witness())
}

// tick sees to it that the last records of a tenant that then rests get their checkpoint too.
func (l *Log) tick() {
	t := time.NewTicker(markTime)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.Checkpoint(context.Background())
		case <-l.stop:
			return
		}
	}
}
