package sessionmem

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// Store is a session.Store in memory. It is safe for concurrent use.
type Store struct {
	mu     sync.RWMutex // Guards realms and all below.
	realms map[string]*realm
}

var _ session.Store = (*Store)(nil)

type realm struct {
	sessions map[string]*record
	retained map[string]*session.Message
}

type record struct {
	meta     session.Meta
	subs     map[string]session.Subscription
	received map[uint16]bool
	queue    []session.Entry // In order of Seq.
	bytes    int64
	lastSeq  uint64
}

// New makes an empty store.
func New() *Store { return &Store{realms: map[string]*realm{}} }

// Commit implements session.Store.
func (s *Store) Commit(_ context.Context, name string, ops []session.Op, _ bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.realms[name]
	if r == nil {
		r = &realm{map[string]*record{}, map[string]*session.Message{}}
		s.realms[name] = r
	}
	for i := range ops {
		r.apply(&ops[i])
	}
	return nil
}

func (r *realm) apply(op *session.Op) {
	switch op.Kind {
	case session.PutRetained:
		r.retained[op.Message.Topic] = op.Message
	case session.DeleteRetained:
		delete(r.retained, op.Filter)
	case session.DeleteSession:
		delete(r.sessions, op.ClientID)
	default:
		rec := r.sessions[op.ClientID]
		if rec == nil {
			if op.Kind != session.PutSession {
				return
			}
			rec = &record{subs: map[string]session.Subscription{}, received: map[uint16]bool{}}
			r.sessions[op.ClientID] = rec
		}
		rec.apply(op)
	}
}

func (r *record) apply(op *session.Op) {
	switch op.Kind {
	case session.PutSession:
		r.meta = op.Meta
	case session.PutSub:
		r.subs[op.Sub.Filter] = op.Sub
	case session.DeleteSub:
		delete(r.subs, op.Filter)
	case session.PutReceived:
		r.received[op.PacketID] = true
	case session.DeleteReceived:
		delete(r.received, op.PacketID)
	case session.Enqueue:
		e := *op.Entry
		e.State, e.PacketID = session.Queued, 0
		r.queue = append(r.queue, e)
		r.bytes += int64(e.Message.Size())
		r.lastSeq = max(r.lastSeq, e.Seq)
	case session.MarkEntry:
		if i, ok := r.find(op.Seq); ok {
			r.queue[i].State, r.queue[i].PacketID = op.State, op.PacketID
		}
	case session.RemoveEntry:
		r.remove(op.Seq)
	}
}

func (r *record) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(r.queue, seq, func(e session.Entry, seq uint64) int {
		switch {
		case e.Seq < seq:
			return -1
		case e.Seq > seq:
			return 1
		}
		return 0
	})
}

func (r *record) remove(seq uint64) {
	i, ok := r.find(seq)
	if !ok {
		return
	}
	r.bytes -= int64(r.queue[i].Message.Size())
	if i == 0 {
		// The usual case: cutting the head keeps acknowledging a long queue linear.
		r.queue[0] = session.Entry{}
		r.queue = r.queue[1:]
		return
	}
	r.queue = slices.Delete(r.queue, i, i+1)
}

// Sessions implements session.Store.
func (s *Store) Sessions(_ context.Context, name string, yield func(session.Info) error) error {
	for _, i := range s.infos(name) {
		if err := yield(i); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) infos(name string) (infos []session.Info) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.realms[name]
	if r == nil {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(r.sessions)) {
		rec := r.sessions[id]
		i := session.Info{ClientID: id, Meta: rec.meta, QueueLen: len(rec.queue), QueueBytes: rec.bytes, LastSeq: rec.lastSeq}
		for _, f := range slices.Sorted(maps.Keys(rec.subs)) {
			i.Subscriptions = append(i.Subscriptions, rec.subs[f])
		}
		i.Received = slices.Sorted(maps.Keys(rec.received))
		infos = append(infos, i)
	}
	return infos
}

// Queue implements session.Store.
func (s *Store) Queue(_ context.Context, name, clientID string, after uint64, limit int) ([]session.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.realms[name]
	if r == nil || r.sessions[clientID] == nil {
		return nil, nil
	}
	rec := r.sessions[clientID]
	i, _ := rec.find(after + 1)
	return slices.Clone(rec.queue[i:min(len(rec.queue), i+limit)]), nil
}

// RetainedTopics implements session.Store.
func (s *Store) RetainedTopics(_ context.Context, name string, yield func(string) error) error {
	s.mu.RLock()
	var topics []string
	if r := s.realms[name]; r != nil {
		topics = slices.Sorted(maps.Keys(r.retained))
	}
	s.mu.RUnlock()
	for _, t := range topics {
		if err := yield(t); err != nil {
			return err
		}
	}
	return nil
}

// Retained implements session.Store.
func (s *Store) Retained(_ context.Context, name, topic string) (*session.Message, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if r := s.realms[name]; r != nil {
		return r.retained[topic], nil
	}
	return nil, nil
}

// Purge implements session.Store.
func (s *Store) Purge(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.realms, name)
	return nil
}
