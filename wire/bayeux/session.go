package bayeux

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

const (
	// maxSubscriptions bounds the channels of one session; beyond it a subscribe is refused.
	maxSubscriptions = 2000
	// maxIdle is how long a session lives without a carrier. c8y: two hours; ours is shorter, because its queue is in memory.
	maxIdle = 15 * time.Minute
	// presenceGrace is how long an agent counts as connected between two polls.
	presenceGrace = time.Minute
)

// session is one client after its handshake.
type session struct {
	srv      *Server
	id       string
	endpoint endpoint
	who      iot.Principal
	base     string // of links in its messages
	// verify repeats the login of the handshake.
	verify func(context.Context) (iot.Principal, error)
	// bearer means that the handshake carried the credentials, so that the id of the session, which cannot be guessed, proves the rest.
	bearer bool

	left atomic.Bool   // the client said goodbye
	wake chan struct{} // holds a token while something waits in the queue
	done chan struct{} // closed when the session ends

	mu      sync.Mutex // guards the following
	ended   bool
	subs    map[string]channel
	queue   queue
	batch   batch         // of a client that speaks SmartREST
	carrier chan struct{} // closed when another one takes over; nil: none
	seen    time.Time     // when it last had a carrier
	present bool          // its agents count as connected
}

// same reports whether p may go on with the session: the same user with the same permissions and grants.
func (s *session) same(p iot.Principal) bool {
	return p.Tenant == s.who.Tenant && p.User == s.who.User && slices.Equal(p.Roles, s.who.Roles) && slices.Equal(p.Grants, s.who.Grants)
}

// subscribe adds a channel. It reports false if there are too many or the session has ended.
func (s *session) subscribe(name string, c channel, byObject bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.subs[name]
	if s.ended || (!known && len(s.subs) >= maxSubscriptions) {
		return false
	}
	s.subs[name] = c
	if c.kind == "" {
		return true
	}
	s.srv.index.add(s, c, byObject)
	if c.kind == kindPush && s.present && !known {
		s.srv.presence.count(s.who.Tenant, c.id, 1)
	}
	return true
}

func (s *session) unsubscribe(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.subs[name]
	if !known {
		return
	}
	delete(s.subs, name)
	s.srv.index.remove(s, c)
	if c.kind == kindPush && s.present {
		s.srv.presence.count(s.who.Tenant, c.id, -1)
	}
}

// setPresent must be called with mu held.
func (s *session) setPresent(present bool) {
	if s.present == present {
		return
	}
	s.present = present
	n := -1
	if present {
		n = 1
	}
	for _, c := range s.subs {
		if c.kind == kindPush {
			s.srv.presence.count(s.who.Tenant, c.id, n)
		}
	}
}

// end forgets everything. It may be called more than once.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	s.setPresent(false)
	for _, c := range s.subs {
		s.srv.index.remove(s, c)
	}
	s.srv.backlog.Add(-int64(s.queue.bytes))
	s.subs, s.queue = nil, queue{}
	close(s.done)
}

// push queues a message.
func (s *session) push(i item) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	before := s.queue.bytes
	s.queue.push(i)
	dropped := s.queue.trim(s.srv.backlog.Load() > maxBacklogBytes)
	s.srv.backlog.Add(int64(s.queue.bytes - before))
	s.mu.Unlock()
	s.signal()
	s.srv.queued.Inc()
	if dropped > 0 {
		s.srv.dropped.Add(float64(dropped))
	}
}

func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// attach makes the caller the carrier of the session; the one before learns it by its channel. It reports false if the session has ended.
func (s *session) attach() (carrier chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, false
	}
	if s.carrier != nil {
		close(s.carrier)
	}
	s.carrier = make(chan struct{})
	s.seen = s.srv.d.Clock.Now()
	s.setPresent(true)
	if s.queue.len() > 0 {
		s.signal()
	}
	return s.carrier, true
}

// detach says that a carrier is gone.
func (s *session) detach(carrier chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.carrier == carrier {
		s.carrier = nil
		s.seen = s.srv.d.Clock.Now()
	}
}

// touch counts as activity without a carrier.
func (s *session) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = s.srv.d.Clock.Now()
}

// take gives the carrier what waits, up to limit bytes but at least one message; nothing if another carrier took over.
func (s *session) take(carrier chan struct{}, limit int) []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.carrier != carrier {
		s.signal() // the token was not ours
		return nil
	}
	before := s.queue.bytes
	items := s.queue.take(limit)
	s.srv.backlog.Add(int64(s.queue.bytes - before))
	if s.queue.len() > 0 {
		s.signal()
	}
	return items
}

// expired reports whether the session was without a carrier for too long. It ends the presence of its agents somewhat earlier.
func (s *session) expired(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.carrier != nil {
		return false
	}
	if now.Sub(s.seen) > presenceGrace {
		s.setPresent(false)
	}
	return now.Sub(s.seen) > maxIdle
}
