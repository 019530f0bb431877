package c8yrest

import (
	"encoding/json"
	"net/http"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func topicRoutes() []Route {
	const rules = "/isobar/mqtt/topicRules"
	return []Route{get(rules, getTopicRules), put(rules, putTopicRules)}
}

const (
	ruleAllow     = "ALLOW"
	ruleDeny      = "DENY"
	rulePublish   = "PUBLISH"
	ruleSubscribe = "SUBSCRIBE"
	ruleBoth      = "BOTH"
)

func writeTopicRules(o *object, rules []access.TopicRule) {
	o.open()
	o.list("rules")
	for _, r := range rules {
		decision, action := ruleDeny, ruleBoth
		if r.Allow {
			decision = ruleAllow
		}
		if !r.Publish {
			action = ruleSubscribe
		} else if !r.Subscribe {
			action = rulePublish
		}
		o.open()
		o.text("filter", r.Filter)
		o.text("access", decision)
		o.text("action", action)
		o.list("for")
		for _, f := range r.For {
			o.item(iot.AppendText(nil, f))
		}
		o.endList()
		o.close()
	}
	o.endList()
	o.close()
}

func getTopicRules(c *call) error {
	rules, err := c.s.Topics.Rules(c.ctx, c.p)
	if err != nil {
		return err
	}
	var o object
	writeTopicRules(&o, rules)
	return c.json(http.StatusOK, "", o.b)
}

func putTopicRules(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	docs, err := listOf(d, "rules")
	if err != nil {
		return err
	}
	rules := make([]access.TopicRule, len(docs))
	for i, x := range docs {
		if rules[i], err = topicRule(x); err != nil {
			return err
		}
	}
	if err := c.s.Topics.Replace(c.ctx, c.p, rules); err != nil {
		return err
	}
	return c.stored(http.StatusOK, "", "", func() ([]byte, error) {
		var o object
		writeTopicRules(&o, rules)
		return o.b, nil
	})
}

func topicRule(d iot.Doc) (r access.TopicRule, err error) {
	const op = fault.Op("c8yrest.TopicRule")
	text := map[string]string{}
	for _, name := range []string{"filter", "access", "action"} {
		s, err := textOf(d, name)
		if err != nil {
			return r, err
		}
		if s != nil {
			text[name] = *s
		}
	}
	r.Filter, r.Allow = text["filter"], text["access"] == ruleAllow
	if !r.Allow && text["access"] != ruleDeny {
		return r, fault.E(op, fault.Invalid, "access must be ALLOW or DENY")
	}
	switch text["action"] {
	case ruleBoth:
		r.Publish, r.Subscribe = true, true
	case rulePublish:
		r.Publish = true
	case ruleSubscribe:
		r.Subscribe = true
	default:
		return r, fault.E(op, fault.Invalid, "action must be PUBLISH, SUBSCRIBE or BOTH")
	}
	if raw := d.Get("for"); raw != nil && json.Unmarshal(raw, &r.For) != nil {
		return r, fault.E(op, fault.Invalid, "for must be a list of strings")
	}
	return r, r.Check()
}
