package sessionpebble

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// Sessions implements session.Store. Values of queued entries are not read, only their length is taken.
func (s *Store) Sessions(ctx context.Context, realm string, yield func(session.Info) error) error {
	prefix := append(s.realmKey(realm), 's')
	var infos infoReader
	infos.yield = yield
	err := s.scan(ctx, prefix, func(it *pebble.Iterator) error { return infos.visit(it, it.Key()[len(prefix):]) })
	if err != nil {
		return err
	}
	return infos.flush()
}

// infoReader builds one Info from the keys of one client, which follow each other.
type infoReader struct {
	yield func(session.Info) error
	info  session.Info
	has   bool // A meta record was seen: the session exists.
}

func (r *infoReader) visit(it *pebble.Iterator, key []byte) error {
	if len(key) < 5 {
		return session.ErrCorrupt
	}
	n := int(binary.BigEndian.Uint32(key))
	if len(key) < 5+n {
		return session.ErrCorrupt
	}
	id, part, rest := key[4:4+n], key[4+n], key[5+n:]
	if string(id) != r.info.ClientID {
		if err := r.flush(); err != nil {
			return err
		}
		r.info.ClientID = string(id)
	}
	return r.take(it, part, rest)
}

func (r *infoReader) take(it *pebble.Iterator, part byte, rest []byte) error {
	if part == 'q' {
		lazy := it.LazyValue()
		r.info.QueueLen++
		r.info.QueueBytes += int64(lazy.Len())
		r.info.LastSeq = max(r.info.LastSeq, binary.BigEndian.Uint64(rest))
		return nil
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	switch part {
	case 'p':
		// Counted too, so that a mark that outlived its entry in a crash never meets a new entry of that number.
		r.info.LastSeq = max(r.info.LastSeq, binary.BigEndian.Uint64(rest))
	case 'm':
		r.has = true
		r.info.Meta, err = decodeMeta(v)
	case 'f':
		var sub session.Subscription
		sub, err = decodeSub(string(rest), v)
		r.info.Subscriptions = append(r.info.Subscriptions, sub)
	case 'r':
		r.info.Received = append(r.info.Received, binary.BigEndian.Uint16(rest))
	}
	return err
}

func (r *infoReader) flush() error {
	info, has := r.info, r.has
	r.info, r.has = session.Info{}, false
	if !has {
		return nil
	}
	return r.yield(info)
}

// errEnough stops a scan whose limit is reached.
var errEnough = errors.New("enough")

// Queue implements session.Store.
func (s *Store) Queue(ctx context.Context, realm, clientID string, after uint64, limit int) ([]session.Entry, error) {
	var entries []session.Entry
	err := s.scanSeq(ctx, realm, clientID, 'q', after, func(seq uint64, v []byte) error {
		if len(entries) >= limit {
			return errEnough
		}
		e, err := session.DecodeEntry(v)
		e.Seq = seq
		entries = append(entries, e)
		return err
	})
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	// Marks exist for the few entries that were sent: a merge of two ascending lists.
	i := 0
	err = s.scanSeq(ctx, realm, clientID, 'p', after, func(seq uint64, v []byte) error {
		for i < len(entries) && entries[i].Seq < seq {
			i++
		}
		if i == len(entries) {
			return errEnough
		}
		if entries[i].Seq == seq && len(v) == 3 {
			entries[i].PacketID, entries[i].State = binary.BigEndian.Uint16(v), session.State(v[2])
		}
		return nil
	})
	return entries, err
}

func (s *Store) scanSeq(ctx context.Context, realm, clientID string, part byte, from uint64, visit func(uint64, []byte) error) (err error) {
	prefix := s.clientKey(realm, clientID, part)
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: s.seqKey(realm, clientID, part, from+1), UpperBound: after(prefix),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = visit(binary.BigEndian.Uint64(it.Key()[len(prefix):]), v)
		}
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

func appendMeta(b []byte, m session.Meta) []byte {
	b = binary.BigEndian.AppendUint32(append(b, metaVersion), m.Expiry)
	at := uint64(0)
	if !m.DisconnectedAt.IsZero() {
		at = uint64(m.DisconnectedAt.UnixMilli())
	}
	b = appendSized(binary.BigEndian.AppendUint64(b, at), m.User)
	if m.Will == nil {
		return b
	}
	due := uint64(0)
	if !m.WillAt.IsZero() {
		due = uint64(m.WillAt.Add(time.Second - 1).Unix())
	}
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, due), m.WillDelay)
	return session.AppendMessage(appendSized(b, m.WillUser), m.Will)
}

// metaVersion is the first byte of a record. The first version had neither User nor WillDelay.
const metaVersion = 2

func decodeMeta(v []byte) (m session.Meta, err error) {
	if len(v) < 13 || v[0] < 1 || v[0] > metaVersion {
		return m, session.ErrCorrupt
	}
	version, ok := v[0], true
	m.Expiry = binary.BigEndian.Uint32(v[1:])
	if ms := binary.BigEndian.Uint64(v[5:]); ms != 0 {
		m.DisconnectedAt = time.UnixMilli(int64(ms))
	}
	v = v[13:]
	if version > 1 {
		if m.User, v, ok = takeSized(v); !ok {
			return m, session.ErrCorrupt
		}
	}
	if len(v) == 0 {
		return m, nil
	}
	if len(v) < 12 {
		return m, session.ErrCorrupt
	}
	if due := binary.BigEndian.Uint64(v); due != 0 {
		m.WillAt = time.Unix(int64(due), 0)
	}
	v = v[8:]
	if version > 1 {
		m.WillDelay, v = binary.BigEndian.Uint32(v), v[4:]
	}
	if m.WillUser, v, ok = takeSized(v); !ok {
		return m, session.ErrCorrupt
	}
	m.Will, err = session.DecodeMessage(v)
	return m, err
}

// takeSized takes what appendSized wrote.
func takeSized(v []byte) (name string, rest []byte, ok bool) {
	if len(v) < 4 || uint64(len(v)-4) < uint64(binary.BigEndian.Uint32(v)) {
		return "", nil, false
	}
	n := 4 + int(binary.BigEndian.Uint32(v))
	return string(v[4:n]), v[n:], true
}

func appendSub(b []byte, s session.Subscription) []byte {
	flags := s.QoS
	if s.NoLocal {
		flags |= 4
	}
	if s.RetainAsPublished {
		flags |= 8
	}
	return binary.BigEndian.AppendUint32(append(b, 1, flags), s.ID)
}

func decodeSub(filter string, v []byte) (s session.Subscription, err error) {
	if len(v) != 6 || v[0] != 1 {
		return s, session.ErrCorrupt
	}
	return session.Subscription{
		Filter: filter, QoS: v[1] & 3, NoLocal: v[1]&4 != 0, RetainAsPublished: v[1]&8 != 0, ID: binary.BigEndian.Uint32(v[2:]),
	}, nil
}
