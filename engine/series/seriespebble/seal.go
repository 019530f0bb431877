package seriespebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// fullEvery is the number of rounds between two looks at all sources. It catches what the queue does not know: rows of before the
// start and of sources that dropped out of the cache.
const fullEvery = 360

// sealForever seals in the background until the context ends.
func (s *Store) sealForever(ctx context.Context) {
	defer close(s.sealDone)
	if s.opts.SealEvery < 0 {
		return
	}
	t := time.NewTicker(s.opts.SealEvery)
	defer t.Stop()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := s.sealRound(ctx, round%fullEvery == 0); err != nil && ctx.Err() == nil {
			s.m.failed("series.Seal", err)
			s.log.Error("rows could not be sealed", "op", "series.Seal", "err", err)
		}
	}
}

func (s *Store) sealRound(ctx context.Context, all bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.E(fault.Op("series.Seal"), fault.Internal, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	cutoff := s.opts.Clock.Now().Add(-s.opts.SealAfter)
	s.appendMu.Lock()
	keys, overflow := s.queue.take(cutoff)
	s.appendMu.Unlock()
	if all || overflow {
		_, err := s.Seal(ctx, "", cutoff)
		return err
	}
	s.upkeepMu.Lock()
	defer s.upkeepMu.Unlock()
	_, err = s.sealAll(ctx, cutoff.UnixMilli(), false, func() (key sourceKey, ok bool, err error) {
		if len(keys) == 0 {
			return key, false, nil
		}
		key, keys = keys[0], keys[1:]
		return key, true, nil
	})
	return wrap("series.Seal", "", err)
}

// Seal turns rows older than a time into chunks and returns how many rows it took: all that fall between or into existing chunks, and of
// the newest of each source those that are enough.
// An empty tenant means all tenants. The background does the same continuously; Seal is for tests, benchmarks and maintenance.
func (s *Store) Seal(ctx context.Context, tenant iot.TenantID, olderThan time.Time) (int64, error) {
	const op = fault.Op("series.Seal")
	if err := s.enter(); err != nil {
		return 0, wrap(op, tenant, err)
	}
	defer s.leave()
	s.upkeepMu.Lock()
	defer s.upkeepMu.Unlock()
	var last sourceKey
	n, err := s.sealAll(ctx, olderThan.UnixMilli(), true, func() (key sourceKey, ok bool, err error) {
		key, ok, err = s.nextSource(tenant, last)
		last = key
		return key, ok, err
	})
	return n, s.finish(op, tenant, err)
}

// maxTries bounds the attempts for a source that receives late rows all the time; its turn comes again.
const maxTries = 3

// sealAll seals the sources that next yields, and tries again those that were disturbed. The caller holds upkeepMu.
func (s *Store) sealAll(ctx context.Context, before int64, eager bool, next func() (sourceKey, bool, error)) (total int64, err error) {
	for try := 0; try < maxTries; try++ {
		var disturbed []sourceKey
		for more := true; more; {
			var n int
			if n, more, err = s.sealSome(ctx, before, eager, next, &disturbed); err != nil {
				return total, err
			}
			total += int64(n)
		}
		next = func() (key sourceKey, ok bool, err error) {
			if len(disturbed) == 0 {
				return key, false, nil
			}
			key, disturbed = disturbed[0], disturbed[1:]
			return key, true, nil
		}
	}
	return total, nil
}

// sealSome seals sources until there is enough for a batch.
func (s *Store) sealSome(ctx context.Context, before int64, eager bool, next func() (sourceKey, bool, error), disturbed *[]sourceKey) (sealed int, more bool, err error) {
	p, err := s.newPress(before, eager)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for more = true; more && p.read < pressRows; {
		key, ok, err := next()
		if err != nil {
			return p.done, false, err
		}
		if more = ok; !ok {
			break
		}
		if err := cmp.Or(ctx.Err(), p.source(ctx, key)); err != nil {
			return p.done, false, err
		}
	}
	err = p.commit()
	*disturbed = append(*disturbed, p.disturbed...)
	return p.done, more, err
}

// nextSource returns the first source with rows after a source; the zero key is before all.
func (s *Store) nextSource(tenant iot.TenantID, last sourceKey) (next sourceKey, ok bool, err error) {
	low := []byte{tagRow}
	if tenant != "" {
		low = appendTenant(nil, tagRow, tenant)
	}
	high := after(low)
	if last.source != 0 {
		low = after(appendSource(nil, tagRow, last.tenant, last.source))
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return next, false, err
	}
	defer it.Close()
	if !it.First() {
		return next, false, it.Error()
	}
	key := it.Key()
	n := 2 + int(key[min(1, len(key)-1)])
	if len(key) != n+sourceBytes+stampBytes {
		return next, false, damaged(key, "row key has a wrong length")
	}
	return sourceKey{iot.TenantID(key[2:n]), iot.ID(binary.BigEndian.Uint64(key[n:]))}, true, nil
}
