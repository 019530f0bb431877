package access

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// TopicRule says who may or may not use free MQTT topics, those that no dialect uses. The first rule of a tenant that matches decides.
type TopicRule struct {
	// Filter is a topic filter with the usual wildcards. In it %c stands for the id of the client and %u for the name of its user.
	Filter    string `json:"filter"`
	Allow     bool   `json:"allow"`
	Publish   bool   `json:"publish"`
	Subscribe bool   `json:"subscribe"`
	// For lists whom the rule is about: ForEverybody, ForDevices, ForPeople, "user:<name>" or "role:<permission>".
	For []string `json:"for"`
}

// Whom a rule can be about, beside single users and who holds a permission.
const (
	ForEverybody = "everybody"
	ForDevices   = "devices"
	ForPeople    = "people"
	forUser      = "user:"
	forRole      = "role:"
)

// Bounds of the rules of a tenant.
const (
	MaxTopicRules = 200
	maxRuleFilter = 1024
	maxRuleFor    = 100
)

// Check returns a fault of kind Invalid unless the rule can be used.
func (r TopicRule) Check() error {
	const op = fault.Op("access.TopicRule")
	switch {
	case len(r.Filter) > maxRuleFilter || !validRuleFilter(r.Filter):
		return fault.Errorf(op, fault.Invalid, "filter must be a topic filter of at most %d bytes, such as fleet/%%c/#, without $share", maxRuleFilter)
	case !r.Publish && !r.Subscribe:
		return fault.E(op, fault.Invalid, "a rule must be about publishing, subscribing or both")
	case len(r.For) == 0 || len(r.For) > maxRuleFor:
		return fault.Errorf(op, fault.Invalid, "for must list 1 to %d of everybody, devices, people, user:<name> and role:<permission>", maxRuleFor)
	}
	for _, f := range r.For {
		role, isRole := strings.CutPrefix(f, forRole)
		name, isUser := strings.CutPrefix(f, forUser)
		switch {
		case f == ForEverybody, f == ForDevices, f == ForPeople:
		case isUser && name != "" && len(name) <= maxUserName && utf8.ValidString(name):
		case isRole && known(role):
		default:
			return fault.E(op, fault.Invalid, fault.Subject(f), "for must list everybody, devices, people, user:<name> or role:<permission>, with a permission that exists")
		}
	}
	return nil
}

func known(role string) bool {
	_, ok := slices.BinarySearch(Roles(), role)
	return ok
}

func validRuleFilter(s string) bool {
	if s == "" || !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 || strings.HasPrefix(s, "$") {
		return false
	}
	levels := strings.Split(s, "/")
	for i, level := range levels {
		if len(level) > 1 && strings.ContainsAny(level, "+#") || level == "#" && i != len(levels)-1 {
			return false
		}
		for rest := level; ; {
			_, after, found := strings.Cut(rest, "%")
			if !found {
				break
			}
			if after == "" || after[0] != 'c' && after[0] != 'u' { // so that more placeholders can come
				return false
			}
			rest = after[1:]
		}
	}
	return true
}

func (r TopicRule) about(p iot.Principal) bool {
	for _, f := range r.For {
		switch {
		case f == ForEverybody, f == ForDevices && p.User.IsDevice(), f == ForPeople && !p.User.IsDevice():
			return true
		case strings.HasPrefix(f, forUser) && iot.UserName(f[len(forUser):]) == p.User, strings.HasPrefix(f, forRole) && p.Has(f[len(forRole):]):
			return true
		}
	}
	return false
}

// TopicAccess is what the rules mean for one client. It is never changed and safe for concurrent use. The zero value allows nothing.
type TopicAccess struct {
	rules              []clientRule
	publish, subscribe bool   // what holds where no rule matches
	broken             string // a rule that cannot be told for this client: nothing is allowed then
}

type clientRule struct {
	filter                    string
	allow, publish, subscribe bool
}

// NewTopicAccess works out what rules mean for a client. Where none matches, devices may use all free topics; people need
// ROLE_MQTT_SERVICE_READ to subscribe, and ROLE_MQTT_SERVICE_CREATE or _ADMIN to publish. If a rule names the client or the user, and its id
// or name holds + # or /, nothing is allowed: put into a filter it would say something else.
func NewTopicAccess(rules []TopicRule, p iot.Principal, client string) *TopicAccess {
	a := &TopicAccess{publish: p.User.IsDevice() || global(p, Messaging, Create) != "", subscribe: p.User.IsDevice() || global(p, Messaging, Read) != ""}
	for i, r := range rules {
		if !r.about(p) {
			continue
		}
		filter := r.Filter
		for placeholder, value := range map[string]string{"%c": client, "%u": string(p.User)} {
			if !strings.Contains(filter, placeholder) {
				continue
			}
			if value == "" || strings.ContainsAny(value, "+#/%") || len(value) > maxUserName {
				return &TopicAccess{broken: fmt.Sprintf("rule %d names %s, which cannot stand in a topic filter for this client", i+1, placeholder)}
			}
		}
		filter = strings.NewReplacer("%c", client, "%u", string(p.User)).Replace(filter)
		a.rules = append(a.rules, clientRule{filter, r.Allow, r.Publish, r.Subscribe})
	}
	return a
}

// Broken says why nothing is allowed to this client; empty if the rules can be told.
func (a *TopicAccess) Broken() string { return a.broken }

// MayPublish decides about a topic name.
func (a *TopicAccess) MayPublish(topic string) bool {
	for i := range a.rules {
		if r := &a.rules[i]; r.publish && covers(r.filter, topic) {
			return r.allow
		}
	}
	return a.publish && a.broken == ""
}

// MayReceive decides about a message with a topic name.
func (a *TopicAccess) MayReceive(topic string) bool {
	for i := range a.rules {
		if r := &a.rules[i]; r.subscribe && covers(r.filter, topic) {
			return r.allow
		}
	}
	return a.subscribe && a.broken == ""
}

// MaySubscribe decides about a topic filter without $share: false if no message that it matches could be received. Which ones can, MayReceive
// decides for each.
func (a *TopicAccess) MaySubscribe(filter string) bool {
	for i := range a.rules {
		r := &a.rules[i]
		switch {
		case !r.subscribe:
		case covers(r.filter, filter):
			return r.allow
		case r.allow && meets(r.filter, filter):
			return true
		}
	}
	return a.subscribe && a.broken == ""
}

// covers reports whether every topic that b matches is matched by a. b may be a topic name.
func covers(a, b string) bool {
	for {
		x, restA, moreA := strings.Cut(a, "/")
		if x == "#" {
			return true
		}
		y, restB, moreB := strings.Cut(b, "/")
		if y == "#" || x != "+" && x != y {
			return false
		}
		if !moreA || !moreB {
			return moreA == moreB || moreA && restA == "#" // "a/#" matches "a" too
		}
		a, b = restA, restB
	}
}

// meets reports whether there is a topic that both match.
func meets(a, b string) bool {
	for {
		x, restA, moreA := strings.Cut(a, "/")
		y, restB, moreB := strings.Cut(b, "/")
		if x == "#" || y == "#" {
			return true
		}
		if x != y && x != "+" && y != "+" {
			return false
		}
		if !moreA || !moreB {
			return moreA == moreB || moreA && restA == "#" || moreB && restB == "#"
		}
		a, b = restA, restB
	}
}
