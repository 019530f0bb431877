package bayeux

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// verifyInterval bounds how long a session outlives the permissions of its user.
const verifyInterval = 250 * time.Millisecond

// sweepAll ends what has expired or may not go on, again and again.
func (s *Server) sweepAll() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	quick := time.NewTicker(verifyInterval)
	defer quick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			s.sweep()
		case <-quick.C:
			s.verifySuspects()
		}
	}
}

func (s *Server) sweep() {
	now := s.d.Clock.Now()
	for _, x := range s.table.all(func(x *session) bool { return x.expired(now) }) {
		s.table.remove(x)
	}
	s.verifySuspects()
}

func (s *Server) verifySuspects() {
	s.mu.Lock()
	suspects := s.suspects
	s.suspects = map[iot.TenantID]struct{}{}
	s.mu.Unlock()
	for t := range suspects {
		s.verify(t)
	}
}

// suspect says that users of a tenant changed. Their sessions are verified at the next sweep, so that many changes cost one round.
func (s *Server) suspect(t iot.TenantID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspects[t] = struct{}{}
}

// verify ends the sessions of a tenant whose login would not succeed any more or would give other permissions.
func (s *Server) verify(t iot.TenantID) {
	for _, x := range s.table.all(func(x *session) bool { return x.who.Tenant == t }) {
		ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
		p, err := x.verify(ctx)
		cancel()
		switch {
		case err == nil && x.same(p):
		case err == nil || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Denied):
			s.table.remove(x)
		default: // we do not know: ask again
			s.log.Debug("verify a session", "tenant", t, "err", err)
			s.suspect(t)
		}
	}
}
