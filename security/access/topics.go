package access

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"sync"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// TopicStore keeps the topic rules of tenants. Errors are raw. Safe for concurrent use.
type TopicStore interface {
	// TopicRules returns the rules of a tenant in their order; sql.ErrNoRows if none were ever put.
	TopicRules(ctx context.Context, t iot.TenantID) ([]TopicRule, error)
	// PutTopicRules replaces the rules of a tenant, durably, keeps the old ones in history and returns them.
	PutTopicRules(ctx context.Context, t iot.TenantID, rules []TopicRule, rev sqlkit.Revision) (before []TopicRule, err error)
}

// TopicDeps is what Topics needs.
type TopicDeps struct {
	Store  TopicStore
	Policy *Policy
	Audit  Auditor
	Bus    *bus.Bus
	Clock  clock.Clock
}

// Topics is the face of topic rules. It is safe for concurrent use.
type Topics struct {
	d    TopicDeps
	stop func()

	mu      sync.Mutex // guards the fields below
	known   map[iot.TenantID][]TopicRule
	changes uint64
}

// NewTopics returns the face. It follows changes on other nodes until Close.
func NewTopics(d TopicDeps) (*Topics, error) {
	s := &Topics{d: d, known: map[iot.TenantID][]TopicRule{}}
	var err error
	s.stop, err = s.Watch(func(iot.TenantID) {})
	return s, err
}

// Close ends the subscription to changes.
func (s *Topics) Close() { s.stop() }

func (s *Topics) forget(t iot.TenantID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, t)
	s.changes++
}

// Watch calls changed when the rules of a tenant changed, on whichever node, after this one has forgotten the old ones.
func (s *Topics) Watch(changed func(t iot.TenantID)) (stop func(), err error) {
	return s.d.Bus.Subscribe(bus.All("topicrules"), func(t iot.TenantID, _ string, _ []byte) {
		s.forget(t)
		changed(t)
	})
}

// Of returns the rules of a tenant for decisions. The caller must not change them.
func (s *Topics) Of(ctx context.Context, t iot.TenantID) ([]TopicRule, error) {
	s.mu.Lock()
	rules, ok := s.known[t]
	before := s.changes
	s.mu.Unlock()
	if ok {
		return rules, nil
	}
	rules, err := s.d.Store.TopicRules(ctx, t)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, sqlkit.Fault("access.TopicRules", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == before {
		s.known[t] = rules // bounded by the number of tenants
	}
	return rules, nil
}

// Rules shows the rules to who may read them: ROLE_MQTT_SERVICE_READ or _ADMIN.
func (s *Topics) Rules(ctx context.Context, p iot.Principal) ([]TopicRule, error) {
	if s.d.Policy.Check(ctx, p, Messaging, Admin, Object{}) != nil {
		if err := s.d.Policy.Check(ctx, p, Messaging, Read, Object{}); err != nil {
			return nil, err
		}
	}
	return s.Of(ctx, p.Tenant)
}

// Replace replaces all rules of p's tenant. They hold at once, also for who is connected, on all nodes. It needs ROLE_MQTT_SERVICE_ADMIN.
func (s *Topics) Replace(ctx context.Context, p iot.Principal, rules []TopicRule) error {
	const op = fault.Op("access.ReplaceTopicRules")
	if err := s.d.Policy.Check(ctx, p, Messaging, Admin, Object{}); err != nil {
		return err
	}
	if len(rules) > MaxTopicRules {
		return fault.Errorf(op, fault.Invalid, "a tenant can have %d topic rules", MaxTopicRules)
	}
	for i, r := range rules {
		if err := r.Check(); err != nil {
			return fault.Errorf(op, fault.Invalid, "rule %d: %s", i+1, fault.Message(err))
		}
	}
	before, err := s.d.Store.PutTopicRules(ctx, p.Tenant, rules, sqlkit.Revision{At: s.d.Clock.Now(), By: string(p.User), Set: sqlkit.NewSetID()})
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	s.forget(p.Tenant)
	s.d.Bus.Publish(bus.Subject(p.Tenant, "topicrules"), nil)
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "TopicRules", Activity: "Topic rules replaced", Text: "The rules for free MQTT topics were replaced",
		Changes: []iot.AttributeChange{{Attribute: "rules", Type: "Array", Previous: ruleText(before), New: ruleText(rules)}}})
	return nil
}

func ruleText(rules []TopicRule) string {
	b, err := json.Marshal(rules)
	if err != nil { // none of its members can fail
		return ""
	}
	return string(b)
}
