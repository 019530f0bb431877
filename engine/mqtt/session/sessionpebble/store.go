package sessionpebble

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// Store is a session.Store in a Pebble database. It is safe for concurrent use. It does not own the database.
type Store struct {
	db     *pebble.DB
	prefix []byte
}

var _ session.Store = (*Store)(nil)

// New makes a store of all keys of db that start with prefix.
func New(db *pebble.DB, prefix []byte) *Store {
	return &Store{db: db, prefix: append([]byte(nil), prefix...)}
}

// Commit implements session.Store.
func (s *Store) Commit(_ context.Context, realm string, ops []session.Op, durable bool) error {
	b := s.db.NewBatch()
	defer b.Close()
	for i := range ops {
		if err := s.put(b, realm, &ops[i]); err != nil {
			return err
		}
	}
	if durable && b.Empty() {
		// The caller wants everything before this to be on disk; an empty batch would not be written.
		return s.db.LogData(nil, pebble.Sync)
	}
	how := pebble.NoSync
	if durable {
		how = pebble.Sync
	}
	return b.Commit(how)
}

func (s *Store) put(b *pebble.Batch, realm string, op *session.Op) error {
	switch op.Kind {
	case session.PutSession:
		return b.Set(s.clientKey(realm, op.ClientID, 'm'), appendMeta(nil, op.Meta), nil)
	case session.DeleteSession:
		k := s.clientKey(realm, op.ClientID, 0)
		k = k[:len(k)-1]
		return b.DeleteRange(k, after(k), nil)
	case session.PutSub:
		return b.Set(append(s.clientKey(realm, op.ClientID, 'f'), op.Sub.Filter...), appendSub(nil, op.Sub), nil)
	case session.DeleteSub:
		return b.Delete(append(s.clientKey(realm, op.ClientID, 'f'), op.Filter...), nil)
	case session.Enqueue:
		return b.Set(s.seqKey(realm, op.ClientID, 'q', op.Entry.Seq), session.AppendEntry(nil, op.Entry), nil)
	case session.MarkEntry:
		v := []byte{byte(op.PacketID >> 8), byte(op.PacketID), byte(op.State)}
		return b.Set(s.seqKey(realm, op.ClientID, 'p', op.Seq), v, nil)
	case session.RemoveEntry:
		if err := b.Delete(s.seqKey(realm, op.ClientID, 'p', op.Seq), nil); err != nil {
			return err
		}
		return b.Delete(s.seqKey(realm, op.ClientID, 'q', op.Seq), nil)
	case session.PutReceived:
		return b.Set(binary.BigEndian.AppendUint16(s.clientKey(realm, op.ClientID, 'r'), op.PacketID), nil, nil)
	case session.DeleteReceived:
		return b.Delete(binary.BigEndian.AppendUint16(s.clientKey(realm, op.ClientID, 'r'), op.PacketID), nil)
	case session.PutRetained:
		return b.Set(s.retainedKey(realm, op.Message.Topic), session.AppendMessage(nil, op.Message), nil)
	case session.DeleteRetained:
		return b.Delete(s.retainedKey(realm, op.Filter), nil)
	}
	return errors.New("unknown session operation")
}

// Retained implements session.Store.
func (s *Store) Retained(_ context.Context, realm, topic string) (*session.Message, error) {
	v, closer, err := s.db.Get(s.retainedKey(realm, topic))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return session.DecodeMessage(v)
}

// RetainedTopics implements session.Store.
func (s *Store) RetainedTopics(ctx context.Context, realm string, yield func(string) error) error {
	prefix := s.retainedKey(realm, "")
	return s.scan(ctx, prefix, func(it *pebble.Iterator) error {
		return yield(string(it.Key()[len(prefix):]))
	})
}

// Purge implements session.Store.
func (s *Store) Purge(_ context.Context, realm string) error {
	k := s.realmKey(realm)
	return s.db.DeleteRange(k, after(k), pebble.Sync)
}

// scan calls visit on every key that starts with prefix, in order.
func (s *Store) scan(ctx context.Context, prefix []byte, visit func(*pebble.Iterator) error) (err error) {
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := visit(it); err != nil {
			return err
		}
	}
	return it.Error()
}
