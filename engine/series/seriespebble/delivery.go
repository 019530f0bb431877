package seriespebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// What clients delivered is remembered in two places. Each commit adds one value to the journal, for all clients that it has something of:
// one key instead of one for each client, which would cost as much as the measurements do. What the journal holds is in memory as well. When it
// has grown, it is folded: each client's trail of its latest commits is written anew under a key of its own, and the journal is emptied, in one
// batch. So a client takes a bounded place, no sweep is needed, and a start reads a journal of bounded size.
type journal struct {
	recent map[clientKey]*recent // what the journal holds; guarded by the append lock, as all here
	next   uint64                // number of the next value
	bytes  int                   // of values since the last fold
}

type clientKey struct {
	tenant iot.TenantID
	client uint64
}

// A fold is due when the journal has foldBytes and foldBytesPerClient for each client that is in it, which bounds what is written in total, and
// at maxFoldBytes in any case, which bounds the memory and the time of a start.
const (
	foldBytes          = 4 << 20
	foldBytesPerClient = 1 << 10
	maxFoldBytes       = 32 << 20
)

func (j *journal) due() bool {
	return j.bytes >= min(foldBytes+len(j.recent)*foldBytesPerClient, maxFoldBytes)
}

func (j *journal) add(k clientKey, commit []byte) {
	r := j.recent[k]
	if r == nil {
		r = &recent{}
		j.recent[k] = r
	}
	r.add(commit, 1)
}

func journalKey(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, tagJournal), n)
}

func trailKey(b []byte, k clientKey) []byte {
	return binary.BigEndian.AppendUint64(appendTenant(b, tagTrail, k.tenant), k.client)
}

// A value of the journal is a checksum and, for each client, its tenant with the length in front, its number and what the commit brought of it.
func appendClient(b []byte, k clientKey) []byte {
	b = append(append(b, byte(len(k.tenant))), k.tenant...)
	return binary.LittleEndian.AppendUint64(b, k.client)
}

// eachClient calls fn for the clients in a value of the journal; false says that it is damaged, and nothing was called.
func eachClient(key, v []byte, fn func(k clientKey, commit []byte)) bool {
	if len(v) < crcBytes || binary.LittleEndian.Uint32(v) != checksum(key, v[crcBytes:]) {
		return false
	}
	for v = v[crcBytes:]; len(v) > 0; {
		n := 1 + int(v[0])
		if len(v) < n+8 {
			return false
		}
		k := clientKey{iot.TenantID(v[1:n]), binary.LittleEndian.Uint64(v[n:])}
		commit, rest, ok := cutCommit(v[n+8:])
		if !ok {
			return false
		}
		fn(k, commit)
		v = rest
	}
	return true
}

// commit is what a batch brought of a client.
type commit struct {
	client     clientKey
	begin, end int // of its deliveries in the value of the journal
}

// remember adds the deliveries of the entries to the batch; journaled notes them when the batch has been written. The caller holds the append lock.
func (s *Store) remember(b *pebble.Batch, entries []series.Entry) error {
	c := &s.scratch
	c.commits = c.commits[:0]
	from := c.from[:0]
	for i := range entries {
		if entries[i].From != nil {
			from = append(from, int32(i))
		}
	}
	c.from = from
	if len(from) == 0 {
		return nil
	}
	slices.SortStableFunc(from, func(x, y int32) int {
		a, b := &entries[x], &entries[y]
		if a.From.Client != b.From.Client {
			return cmp.Compare(a.From.Client, b.From.Client)
		}
		return cmp.Compare(a.Tenant, b.Tenant)
	})
	v := append(c.value[:0], 0, 0, 0, 0)
	for len(from) > 0 {
		first := &entries[from[0]]
		k, n := clientKey{first.Tenant, first.From.Client}, 1
		for n < len(from) && entries[from[n]].From.Client == k.client && entries[from[n]].Tenant == k.tenant {
			n++
		}
		v = appendClient(v, k)
		begin := len(v)
		v = appendCommit(v, from[:n], entries)
		c.commits = append(c.commits, commit{k, begin, len(v)})
		from = from[n:]
	}
	c.key = journalKey(c.key[:0], s.journal.next)
	binary.LittleEndian.PutUint32(v, checksum(c.key, v[crcBytes:]))
	c.value = v
	return b.Set(c.key, v, nil)
}

// journaled notes what remember added last to a batch that was written.
func (s *Store) journaled() {
	j, c := &s.journal, &s.scratch
	if len(c.commits) == 0 {
		return
	}
	for _, x := range c.commits {
		j.add(x.client, c.value[x.begin:x.end])
	}
	j.next++
	if j.bytes += len(c.value); j.due() {
		select {
		case s.fold <- struct{}{}:
		default:
		}
	}
}

// loadJournal reads what the store before left in its journal. Damaged values are told and passed over: repetitions are not worth a start.
func (s *Store) loadJournal() error {
	j := &s.journal
	j.recent = map[clientKey]*recent{}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagJournal}, UpperBound: []byte{tagJournal + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key, v := it.Key(), it.Value()
		if !eachClient(key, v, j.add) {
			s.forgotten("", damaged(key, "checksum does not match"))
		}
		if len(key) == 1+8 {
			j.next = binary.BigEndian.Uint64(key[1:]) + 1
		}
		j.bytes += len(v)
	}
	return errors.Join(it.Error(), it.Close())
}

func (s *Store) forgotten(tenant iot.TenantID, err error) {
	s.log.Error("what a client delivered is not known any more", "op", "series.Append", "tenant", tenant, "err", err)
}

// foldForever folds the journal whenever that is due, until the store is closed.
func (s *Store) foldForever() {
	defer close(s.foldDone)
	for range s.fold {
		if err := s.foldJournal(); err != nil {
			s.m.failed("series.Fold", err)
			s.log.Error("the journal of deliveries could not be folded", "op", "series.Fold", "err", err)
		}
	}
}

// foldJournal moves what the journal holds into the trails of the clients.
func (s *Store) foldJournal() (err error) {
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	s.appendMu.Lock()
	took, upTo, bytes := s.journal.recent, s.journal.next, s.journal.bytes
	s.journal.recent, s.journal.bytes = map[clientKey]*recent{}, 0
	s.appendMu.Unlock()
	if len(took) == 0 {
		return nil
	}
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	if err = s.foldInto(b, took); err == nil {
		err = b.DeleteRange([]byte{tagJournal}, journalKey(nil, upTo), nil)
	}
	if err == nil {
		err = s.db.Apply(b, pebble.NoSync) // if it is lost, the journal is not
	}
	if err != nil {
		s.unfold(took, bytes)
	}
	return err
}

// foldInto writes the trails of the clients, in the order of their keys.
func (s *Store) foldInto(b *pebble.Batch, took map[clientKey]*recent) error {
	keys := make([]clientKey, 0, len(took))
	for k := range took {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y clientKey) int {
		return cmp.Or(cmp.Compare(x.tenant, y.tenant), cmp.Compare(x.client, y.client))
	})
	var key, v []byte
	for _, k := range keys {
		all := *took[k]
		if all.commits < series.Remembered {
			old, err := s.storedTrail(k)
			if err != nil {
				return err
			}
			n, _ := old.commits()
			all = recent{old, n}
			all.trail = append(all.trail, took[k].trail...)
			all.commits += took[k].commits
		}
		key = trailKey(key[:0], k)
		v = append(append(v[:0], 0, 0, 0, 0), all.trail.latest(all.commits, series.Remembered)...)
		binary.LittleEndian.PutUint32(v, checksum(key, v[crcBytes:]))
		if err := b.Set(key, v, nil); err != nil {
			return err
		}
	}
	return nil
}

// unfold takes back what could not be folded.
func (s *Store) unfold(took map[clientKey]*recent, bytes int) {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	for k, r := range s.journal.recent {
		if old := took[k]; old != nil {
			old.add(r.trail, r.commits)
		} else {
			took[k] = r
		}
	}
	s.journal.recent = took
	s.journal.bytes += bytes
}

// storedTrail reads the trail of a client as of the last fold, empty if there is none. A damaged one is told and taken as empty.
func (s *Store) storedTrail(k clientKey) (trail, error) {
	key := trailKey(nil, k)
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err = wrap("series.Deliveries", k.tenant, err); fault.Is(err, fault.Corrupt) {
		s.forgotten(k.tenant, err)
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer closer.Close()
	if len(v) >= crcBytes && binary.LittleEndian.Uint32(v) == checksum(key, v[crcBytes:]) {
		t := trail(slices.Clone(v[crcBytes:]))
		if _, ok := t.commits(); ok {
			return t, nil
		}
	}
	s.forgotten(k.tenant, damaged(key, "checksum does not match"))
	return nil, nil
}

// trail returns what is known of the deliveries of a client.
func (s *Store) trail(k clientKey) (trail, error) {
	s.foldMu.RLock()
	defer s.foldMu.RUnlock()
	var late recent
	s.appendMu.Lock()
	if r := s.journal.recent[k]; r != nil {
		late = recent{slices.Clone(r.trail), r.commits}
	}
	s.appendMu.Unlock()
	if late.commits >= series.Remembered { // some between may have been dropped already
		return late.trail, nil
	}
	all, err := s.storedTrail(k)
	return append(all, late.trail...), err
}

// Deliveries implements series.Store.
func (s *Store) Deliveries(ctx context.Context, tenant iot.TenantID, client uint64) (out []series.Delivery, err error) {
	const op = fault.Op("series.Deliveries")
	if err := s.enter(); err != nil {
		return nil, wrap(op, tenant, err)
	}
	defer s.leave()
	err = ctx.Err()
	if err == nil {
		var all trail
		all, err = s.trail(clientKey{tenant, client})
		out = all.deliveries(nil, client)
	}
	return out, s.finish(op, tenant, err)
}

// Connected implements series.Store.
func (s *Store) Connected(ctx context.Context, tenant iot.TenantID, client uint64, conn int64) error {
	const op = fault.Op("series.Connected")
	if err := s.enter(); err != nil {
		return wrap(op, tenant, err)
	}
	defer s.leave()
	b, err := s.connected(ctx, clientKey{tenant, client}, conn)
	if err == nil && b != nil {
		err = errors.Join(b.SyncWait(), b.Close())
	}
	return s.finish(op, tenant, err)
}

// connected returns the batch that waits for the disk, nil if there is none.
func (s *Store) connected(ctx context.Context, k clientKey, conn int64) (*pebble.Batch, error) {
	if err := cmp.Or(ctx.Err(), s.opts.Room()); err != nil {
		return nil, err
	}
	if known, err := s.knows(k); !known || err != nil {
		return nil, err
	}
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	b := s.db.NewBatch()
	err := s.remember(b, []series.Entry{{Tenant: k.tenant, From: &series.Delivery{Client: k.client, Conn: conn}}})
	if err == nil {
		err = s.db.ApplyNoSyncWait(b, pebble.Sync)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	s.journaled()
	return b, nil
}

// knows tells whether a client has delivered anything that is remembered.
func (s *Store) knows(k clientKey) (bool, error) {
	s.appendMu.Lock()
	known := s.journal.recent[k] != nil
	s.appendMu.Unlock()
	if known {
		return true, nil
	}
	all, err := s.trail(k)
	return len(all) > 0, err
}

// dropOldTrails removes what versions before format 3 kept in place of trails.
func (s *Store) dropOldTrails() error {
	if err := s.db.DeleteRange([]byte{tagFrom}, []byte{tagFrom + 1}, pebble.NoSync); err != nil {
		return fmt.Errorf("drop what clients delivered: %w", err)
	}
	return nil
}
