package bayeux

import (
	"slices"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

const (
	// maxSessions bounds the sessions of the server; beyond it a handshake is refused until others have expired.
	maxSessions = 20_000
	// maxPerUser bounds the sessions of a user at one endpoint; the oldest is ended. c8y: 10.
	maxPerUser = 10
)

type account struct {
	t        iot.TenantID
	user     iot.UserName
	endpoint endpoint
}

func (s *session) account() account { return account{s.who.Tenant, s.who.User, s.endpoint} }

// table holds the sessions. It is safe for concurrent use.
type table struct {
	mu       sync.Mutex // guards the following
	sessions map[string]*session
	accounts map[account][]*session // oldest first
	closed   bool
}

func newTable() *table {
	return &table{sessions: map[string]*session{}, accounts: map[account][]*session{}}
}

// add admits a session and returns the one that it replaces, nil if none, which the caller ends. It reports false if the table is full.
func (t *table) add(s *session) (oldest *session, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.accounts[s.account()]
	if t.closed || (len(t.sessions) >= maxSessions && len(own) < maxPerUser) {
		return nil, false
	}
	if len(own) >= maxPerUser {
		oldest = own[0]
		t.drop(oldest)
	}
	t.sessions[s.id] = s
	t.accounts[s.account()] = append(t.accounts[s.account()], s)
	return oldest, true
}

// drop must be called with mu held.
func (t *table) drop(s *session) {
	if t.sessions[s.id] != s {
		return
	}
	delete(t.sessions, s.id)
	a := s.account()
	if t.accounts[a] = slices.DeleteFunc(t.accounts[a], func(x *session) bool { return x == s }); len(t.accounts[a]) == 0 {
		delete(t.accounts, a)
	}
}

// remove takes a session out and ends it.
func (t *table) remove(s *session) {
	t.mu.Lock()
	t.drop(s)
	t.mu.Unlock()
	s.end()
}

// get returns the session with an id at an endpoint, nil if there is none or it has expired.
func (t *table) get(id string, e endpoint, now time.Time) *session {
	t.mu.Lock()
	s := t.sessions[id]
	t.mu.Unlock()
	if s == nil || s.endpoint != e {
		return nil
	}
	if s.expired(now) {
		t.remove(s)
		return nil
	}
	return s
}

// all returns the sessions that match.
func (t *table) all(match func(*session) bool) []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*session
	for _, s := range t.sessions {
		if match(s) {
			out = append(out, s)
		}
	}
	return out
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sessions)
}

// close ends all sessions and admits no more.
func (t *table) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, s := range t.all(func(*session) bool { return true }) {
		t.remove(s)
	}
}
