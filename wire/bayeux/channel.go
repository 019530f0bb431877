package bayeux

import (
	"context"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// endpoint is one of the two sets of channels.
type endpoint uint8

const (
	realtime   endpoint = iota + 1 // all channels of documents
	operations                     // /<agentId>: the push connection of an agent
)

// endpointOf finds the endpoint of a path. c8y: some clients append the meta channel to the path.
func endpointOf(path string) (endpoint, bool) {
	for prefix, e := range map[string]endpoint{"/notification/realtime": realtime, "/cep/realtime": realtime, "/notification/operations": operations, "/devicecontrol/notifications": operations} {
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
			return e, true
		}
	}
	return 0, false
}

// kindPush is a new operation, bare, on the channel of its agent.
const kindPush iot.Kind = "push"

// channel is what a client subscribes to.
type channel struct {
	kind iot.Kind // empty: a channel on which nothing is ever said
	id   iot.ID   // zero: of all sources
	tree bool     // and of all below id
}

// parseChannel reads the name of a channel. Names that mean nothing to us are silent channels: clients subscribe to channels of their own.
func parseChannel(e endpoint, name string) channel {
	name, rooted := strings.CutPrefix(name, "/")
	collection, last, ok := strings.Cut(name, "/")
	if !rooted {
		return channel{}
	}
	if e == operations {
		if id, valid := parseID(collection); valid && !ok {
			return channel{kind: kindPush, id: id}
		}
		return channel{}
	}
	c := channel{kind: kindOf(collection)}
	if c.kind == "" {
		collection, c.tree = strings.CutSuffix(collection, "WithChildren")
		if c.kind = kindOf(collection); c.kind != iot.KindAlarm && c.kind != iot.KindEvent {
			return channel{}
		}
	}
	if last == "*" {
		return c
	}
	if c.id, ok = parseID(last); !ok {
		return channel{}
	}
	return c
}

// parseID accepts an id only in the form in which we write it, so that messages come on the very channel that was named.
func parseID(s string) (iot.ID, bool) {
	id, ok := iot.ParseID(s)
	return id, ok && id.String() == s
}

func kindOf(collection string) iot.Kind {
	switch collection {
	case "alarms":
		return iot.KindAlarm
	case "events":
		return iot.KindEvent
	case "measurements":
		return iot.KindMeasurement
	case "managedobjects":
		return iot.KindManagedObject
	case "operations":
		return iot.KindOperation
	}
	return ""
}

// channelName is the name of the channel on which messages about id come.
func channelName(k iot.Kind, tree bool, id iot.ID) string {
	suffix := "/"
	if tree {
		suffix = "WithChildren/"
	}
	switch k {
	case iot.KindAlarm:
		return "/alarms" + suffix + id.String()
	case iot.KindEvent:
		return "/events" + suffix + id.String()
	case iot.KindMeasurement:
		return "/measurements/" + id.String()
	case iot.KindManagedObject:
		return "/managedobjects/" + id.String()
	case iot.KindOperation:
		return "/operations/" + id.String()
	}
	return "/" + id.String()
}

func family(k iot.Kind) access.Family {
	switch k {
	case iot.KindAlarm:
		return access.Alarm
	case iot.KindEvent:
		return access.Event
	case iot.KindMeasurement:
		return access.Measurement
	case iot.KindManagedObject:
		return access.ManagedObject
	}
	return access.Operation
}

// authorize decides about a subscription. byObject means that p was admitted for the sake of the object, not by a permission, so that
// every message must be decided about anew.
func (s *Server) authorize(ctx context.Context, p iot.Principal, c channel) (byObject bool, err error) {
	if c.kind == "" {
		return false, nil
	}
	err = s.d.Policy.Check(ctx, p, family(c.kind), access.Read, access.Object{})
	if err == nil || c.id == 0 {
		return false, err
	}
	return true, s.mayListen(ctx, p, c.kind, c.id)
}

// mayListen decides whether p may hear anything about a source at all; each message is decided about for itself.
func (s *Server) mayListen(ctx context.Context, p iot.Principal, k iot.Kind, id iot.ID) error {
	src, err := s.d.Registry.Check(ctx, p, id, family(k), access.Read)
	if !fault.Is(err, fault.Denied) || len(p.Grants) == 0 {
		return err
	}
	o, lost := s.d.Registry.Subject(ctx, p, src, family(k))
	if lost != nil {
		return lost
	}
	if names, _ := s.d.Policy.Covered(p, family(k), o); len(names) == 0 {
		return err
	}
	return nil
}

// name returns the name of a source, empty if there is none.
func (s *Server) name(t iot.TenantID, id iot.ID) string {
	src, err := s.source(t, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		s.log.Debug("source of a message", "tenant", t, "err", err)
	}
	return src.Name
}

func (s *Server) source(t iot.TenantID, id iot.ID) (registry.Source, error) {
	ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
	defer cancel()
	return s.d.Registry.Source(ctx, t, id)
}
