package mqtt

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

// realm is one isolated name space: its sessions, subscriptions and retained messages.
type realm struct {
	srv   *Server
	name  string
	tree  *topic.Tree[*sess]
	hits  sync.Pool // *topic.Matches[*sess]
	log   commitLog
	kept  *topic.Index[*Message] // Retained topics. Nil value: read it from the store.
	keepM sync.Mutex             // Keeps changes of kept in the order of their commits.

	loadMu sync.Mutex // Guards loaded, and is held while the store is read.
	loaded bool

	mu       sync.Mutex // Guards sessions and, in each of them, owner, timer and will.
	sessions map[string]*sess
	stopped  bool
}

func newRealm(s *Server, name string) *realm {
	r := &realm{srv: s, name: name, kept: topic.NewIndex[*Message](), sessions: map[string]*sess{}}
	r.tree = topic.NewTree(func(s *sess) bool { return s.online.Load() })
	r.hits.New = func() any { return new(topic.Matches[*sess]) }
	r.log.realm = r
	return r
}

// load reads sessions and retained topics once. After an error the next call tries again.
func (r *realm) load(ctx context.Context) error {
	r.loadMu.Lock()
	defer r.loadMu.Unlock()
	if r.loaded {
		return nil
	}
	err := r.srv.cfg.Store.Sessions(ctx, r.name, func(i session.Info) error {
		r.restore(i)
		return nil
	})
	if err != nil {
		return err
	}
	err = r.srv.cfg.Store.RetainedTopics(ctx, r.name, func(t string) error {
		r.kept.Set(t, nil)
		return nil
	})
	if err != nil {
		return err
	}
	r.loaded = true
	r.startTimers()
	return nil
}

// startTimers begins what waits in restored sessions. A will that is due at once has to find the subscriptions of all sessions, not only of those
// that were read before its own.
func (r *realm) startTimers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	for _, s := range r.sessions {
		s.will.start()
		r.startExpiry(s, s.since)
	}
}

func (r *realm) restore(i session.Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[i.ClientID] != nil {
		return
	}
	s := r.newSess(i.ClientID, true, i.Meta.Expiry)
	s.record, s.user = true, i.Meta.User
	s.count, s.bytes = i.QueueLen, i.QueueBytes
	s.lastSeq, s.committed = i.LastSeq, i.LastSeq
	for _, id := range i.Received {
		s.noteReceived(id)
	}
	for _, sub := range i.Subscriptions {
		o := topic.Options{QoS: sub.QoS, NoLocal: sub.NoLocal, RetainAsPublished: sub.RetainAsPublished, ID: sub.ID}
		s.subs[sub.Filter] = o
		r.tree.Add(sub.Filter, s, o)
	}
	r.sessions[i.ClientID] = s
	if i.Meta.DisconnectedAt.IsZero() {
		// It was connected when we crashed: its time runs from now, also if we crash again.
		now := time.Now()
		i.Meta.DisconnectedAt = now
		if i.Meta.Will != nil {
			i.Meta.WillAt = now.Add(time.Duration(i.Meta.WillDelay) * time.Second)
		}
		r.submit(&job{ops: []session.Op{{Kind: session.PutSession, ClientID: s.id, Meta: i.Meta}}})
	}
	s.since = i.Meta.DisconnectedAt
	if i.Meta.Will != nil {
		s.will = r.leftWill(s, i.Meta)
	}
}

func (r *realm) newSess(id string, stored bool, expiry uint32) *sess {
	return &sess{
		realm: r, id: id, stored: stored, expiry: expiry, subs: map[string]topic.Options{},
		// Not always 1: a client that resumes after our restart may still hold low identifiers of the last run.
		nextID: uint16(rand.Uint32()),
	}
}

// startExpiry runs with r.mu held.
func (r *realm) startExpiry(s *sess, since time.Time) {
	life := r.srv.cfg.MaxSessionExpiry
	if s.expiry != session.NeverExpires {
		life = min(life, time.Duration(s.expiry)*time.Second)
	}
	if r.stopped {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(time.Until(since.Add(life)), func() {
		r.mu.Lock()
		due := s.timer == t && s.owner == nil && !r.stopped
		var w *delayedWill
		if due {
			w = r.end(s)
		}
		r.mu.Unlock()
		w.fireNow()
	})
	s.timer = t
}

var (
	errTakeover = errors.New("the older connection does not end")
	errForeign  = errors.New("the session is another owner's")
)

// attach gives c the session of its client id, after any older connection of it has ended. Other owners' sessions stay as they are.
func (r *realm) attach(ctx context.Context, c *conn) (s *sess, resumed bool, err error) {
	for {
		r.mu.Lock()
		s = r.sessions[c.id]
		mine := s == nil || s.user == c.owner || s.user == ""
		if mine && (s == nil || s.owner == nil) {
			break
		}
		old, user := s.owner, s.user
		r.mu.Unlock()
		if !mine {
			if old != nil || !r.orphaned(ctx, user) {
				return nil, false, errForeign
			}
			r.bury(s)
			continue
		}
		old.kill(ByTakeover, packet.SessionTakenOver, nil)
		select {
		case <-old.gone:
		case <-ctx.Done():
			return nil, false, errTakeover
		}
	}
	var ended *delayedWill
	if s != nil && (c.clean || s.dead || s.getExpiry() == 0) {
		ended = r.end(s)
		s = nil
	}
	if resumed = s != nil; !resumed {
		if c.expiry > 0 && r.srv.cfg.Room() != nil {
			r.mu.Unlock()
			ended.fireNow()
			return nil, false, errNoRoom
		}
		s = r.newSess(c.id, c.expiry > 0, c.expiry)
		s.record = s.stored || c.will != nil && r.srv.cfg.Will != nil
		r.sessions[c.id] = s
	}
	s.owner, s.user = c, c.owner
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	waited := s.will.cancel()
	s.will = nil
	r.mu.Unlock()
	ended.fireNow()
	return s, resumed, r.record(s, c, resumed, waited)
}

func (r *realm) orphaned(ctx context.Context, user string) (yes bool) {
	if f := r.srv.cfg.Orphaned; f != nil {
		r.srv.guard("orphaned", func() { yes = f(ctx, r.name, user) })
	}
	return yes
}

// bury deletes a session whose owner has gone for good, unless a connection has it.
func (r *realm) bury(s *sess) {
	var w *delayedWill
	r.mu.Lock()
	if s.owner == nil && r.sessions[s.id] == s {
		w = r.end(s)
	}
	r.mu.Unlock()
	w.fireNow()
}

// record makes the start of a persistent session, and the will of any, durable before it is announced.
func (r *realm) record(s *sess, c *conn, resumed, hadWill bool) error {
	s.setExpiry(c.expiry)
	if !s.record {
		return nil
	}
	meta := session.Meta{Expiry: c.expiry, User: c.owner}
	c.keptWill(&meta)
	put := session.Op{Kind: session.PutSession, ClientID: s.id, Meta: meta}
	if resumed && (hadWill || meta.Will != nil) { // A crash must not bring back the will of a client that came in time.
		return r.submitWait([]session.Op{put}, true)
	}
	if resumed {
		r.submit(&job{ops: []session.Op{put}})
		return nil
	}
	return r.submitWait([]session.Op{{Kind: session.DeleteSession, ClientID: s.id}, put}, true)
}

// release gives the session back when its connection has ended. w is a will that waits, or nil.
func (r *realm) release(s *sess, c *conn, w *delayedWill) {
	expiry, kept := s.getExpiry(), c.will != nil && s.record // A will in the store: it was published, or must not be.
	if kept && (!s.stored || expiry == 0) {
		if err := r.submitWait([]session.Op{{Kind: session.DeleteSession, ClientID: s.id}}, true); err != nil {
			r.srv.cfg.Log.Error("will not forgotten", "err", err)
		}
	}
	if s.stored && expiry > 0 {
		meta := session.Meta{Expiry: expiry, DisconnectedAt: time.Now(), User: c.owner}
		if w != nil {
			meta.Will, meta.WillAt, meta.WillUser = w.msg, w.at, w.user
		}
		// Waiting is a barrier: marks of what was sent are visible before the next connection reads the queue.
		err := r.submitWait([]session.Op{{Kind: session.PutSession, ClientID: s.id, Meta: meta}}, w != nil || kept)
		if err != nil {
			r.srv.cfg.Log.Error("session not recorded", "err", err)
		}
	}
	r.mu.Lock()
	s.owner = nil
	if !s.stored || expiry == 0 {
		r.end(s)
	} else {
		s.will, s.since = w, time.Now()
		w.start()
		r.startExpiry(s, s.since)
	}
	r.mu.Unlock()
}

// end deletes a session, with r.mu held. It returns a will that was waiting: the session's end makes it due
// (MQTT-3.1.2-8), and the caller fires it without the lock.
func (r *realm) end(s *sess) *delayedWill {
	if r.sessions[s.id] == s {
		delete(r.sessions, s.id)
	}
	w := s.will
	s.will = nil
	if w != nil && !w.cancel() {
		w = nil
	}
	for _, f := range s.kill() {
		r.tree.Remove(f, s)
	}
	if s.stored {
		r.submit(&job{ops: []session.Op{{Kind: session.DeleteSession, ClientID: s.id}}})
	}
	return w
}

func (r *realm) owner(clientID string) *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sessions[clientID]; s != nil {
		return s.owner
	}
	return nil
}

func (r *realm) all() []*sess {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*sess, 0, len(r.sessions))
	for _, s := range r.sessions {
		list = append(list, s)
	}
	return list
}

// stop ends all timers. Wills that wait are in the store for the next run; if that could not publish them, they are published now.
func (r *realm) stop() {
	r.mu.Lock()
	r.stopped = true
	var due []*delayedWill
	for _, s := range r.sessions {
		if s.timer != nil {
			s.timer.Stop()
		}
		if s.will.cancel() && r.srv.cfg.Will == nil {
			due = append(due, s.will)
		}
	}
	r.mu.Unlock()
	for _, w := range due {
		w.fireNow()
	}
}

// clear ends all sessions without a connection and forgets all retained messages.
func (r *realm) clear() {
	r.mu.Lock()
	for _, s := range r.sessions {
		if s.owner == nil {
			r.end(s)
		}
	}
	r.mu.Unlock()
	r.keepM.Lock()
	defer r.keepM.Unlock()
	r.kept.Clear()
}
