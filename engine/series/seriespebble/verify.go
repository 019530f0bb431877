package seriespebble

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// Verify reads everything in the folder of a store that nobody has open, changes nothing, and returns how many measurements it read. What is
// damaged is told to report, source by source; an error means that it could not look at all.
func Verify(ctx context.Context, dir string, report func(tenant iot.TenantID, source iot.ID, err error)) (n int64, err error) {
	opts := Options{SealEvery: -1}.withDefaults()
	opts.readOnly = true
	s, err := Open(dir, opts)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	err = s.eachSource(func(t iot.TenantID, source iot.ID) {
		err := s.Scan(ctx, t, series.Query{Source: source}, func(*iot.Measurement) bool { n++; return true })
		if err != nil {
			report(t, source, err)
		}
	}, func(err error) { report("", 0, err) })
	return n, err
}

// eachSource visits every source that has rows, chunks or a place in the catalog, once or more often. What cannot be read is skipped: a key
// space whose tables are damaged is told to damaged.
func (s *Store) eachSource(visit func(iot.TenantID, iot.ID), damaged func(error)) error {
	type place struct {
		tenant iot.TenantID
		source iot.ID
	}
	seen := map[place]bool{}
	for _, tag := range []byte{tagCatalog, tagRow, tagChunk} {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tag}, UpperBound: []byte{tag + 1}})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			key := it.Key()
			n := 2
			if len(key) > 1 {
				n += int(key[1])
			}
			if len(key) < n+sourceBytes {
				damaged(wrap("series.Verify", "", damagedKey(key)))
				ok = it.Next()
				continue
			}
			p := place{iot.TenantID(key[2:n]), iot.ID(binary.BigEndian.Uint64(key[n:]))}
			seen[p] = true
			ok = it.SeekGE(after(key[:n+sourceBytes]))
		}
		if err := it.Close(); err != nil {
			damaged(wrap("series.Verify", "", err))
		}
	}
	for p := range seen {
		visit(p.tenant, p.source)
	}
	return nil
}

func damagedKey(key []byte) error { return damaged(key, "key has a wrong length") }
