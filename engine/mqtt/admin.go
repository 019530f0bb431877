package mqtt

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

// ErrTopic is returned for a message whose topic cannot be published to.
var ErrTopic = errors.New("mqtt: topic name is not valid")

// Publish routes a message into a realm as if a client had published it and the policy had agreed: for messages of the
// platform to free topics, and for those that another node forwarded. It returns when the message is durable in every
// persistent session that matches; when ctx ends first, it may or may not be delivered.
func (s *Server) Publish(ctx context.Context, realm string, m *Message) error {
	if !topic.ValidName(m.Topic) || m.QoS > 2 {
		return ErrTopic
	}
	r, err := s.realm(ctx, realm)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	r.route(nil, m, nil, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SessionInfo is one line of the listing of sessions.
type SessionInfo struct {
	ClientID      string
	Connected     bool
	Persistent    bool
	Subscriptions int
	QueueLen      int   // Messages that are not acknowledged yet, in memory or in the store.
	QueueBytes    int64 // Stored part only.
}

// Sessions lists the sessions of a realm, connected or not, in order of client id.
func (s *Server) Sessions(ctx context.Context, realm string) ([]SessionInfo, error) {
	r, err := s.realm(ctx, realm)
	if err != nil {
		return nil, err
	}
	list := make([]SessionInfo, 0, 16)
	for _, ss := range r.all() {
		list = append(list, ss.info())
	}
	slices.SortFunc(list, func(a, b SessionInfo) int { return cmp.Compare(a.ClientID, b.ClientID) })
	return list, nil
}

// Disconnect closes the connection of a client, if there is one, and tells whether there was. A v5 client gets the
// reason. The session stays as if the connection had broken.
func (s *Server) Disconnect(realm, clientID string, reason Reason) bool {
	s.mu.Lock()
	r := s.realms[realm]
	s.mu.Unlock()
	if r == nil {
		return false
	}
	c := r.owner(clientID)
	if c == nil {
		return false
	}
	c.Close(reason)
	return true
}

// Erase ends all connections of a realm and deletes its sessions and retained messages for good. Wills are
// handed to the policy as the connections end, those with a delay are dropped. New connections are the Gate's to refuse while it runs.
func (s *Server) Erase(ctx context.Context, realm string) error {
	r, err := s.realm(ctx, realm)
	if err != nil {
		return err
	}
	for _, ss := range r.all() {
		c := r.owner(ss.id)
		if c == nil {
			continue
		}
		c.Close(packet.AdministrativeAction)
		select {
		case <-c.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.clear()
	if err := r.submitWait(nil, false); err != nil {
		return err
	}
	return s.cfg.Store.Purge(ctx, realm)
}
