package sqlkit

import (
	"context"
	"sync"
)

// sequenceBlock ids are taken from the database at once; a restart skips the unused rest.
const sequenceBlock = 64

type sequenceKey struct{ tenant, name string }

type block struct {
	mu        sync.Mutex // guards next and end, and is held while a new block is fetched
	next, end int64
}

// sequences hands out ids from blocks in memory. It holds one block per tenant and name that was ever used.
type sequences struct {
	mu sync.Mutex // guards m
	m  map[sequenceKey]*block
}

// NextID returns the next id of a tenant's named sequence, starting at 1: unique for ever, across nodes, ascending on one node, with gaps.
func (db *DB) NextID(ctx context.Context, tenant, name string) (int64, error) {
	key := sequenceKey{tenant, name}
	db.sequences.mu.Lock()
	b := db.sequences.m[key]
	if b == nil {
		b = &block{}
		db.sequences.m[key] = b
	}
	db.sequences.mu.Unlock()

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next >= b.end {
		var end int64
		err := db.Write(withoutDelivery(ctx), func(tx *Tx) error {
			return tx.QueryRow(ctx, `INSERT INTO sequence (tenant, name, next) VALUES (?, ?, ?)
				ON CONFLICT (tenant, name) DO UPDATE SET next = sequence.next + ? RETURNING next`,
				tenant, name, int64(1+sequenceBlock), int64(sequenceBlock)).Scan(&end)
		})
		if err != nil {
			return 0, err
		}
		b.next, b.end = end-sequenceBlock, end
	}
	b.next++
	return b.next - 1, nil
}
