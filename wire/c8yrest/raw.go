package c8yrest

import (
	"encoding/base64"
	"time"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/platform/connectivity/rawlog"
	"github.com/isobar-iot/isobar/security/access"
)

// keep keeps the body of a request that was accepted, if the tenant wants that, before the answer says so.
func (c *call) keep() error {
	if c.s.Raw == nil || !c.s.Raw.Keeps(c.ctx, c.p.Tenant) {
		return nil
	}
	result := make(chan error, 1)
	c.s.Raw.Append(c.p.Tenant, rawlog.Record{Transport: "http", User: c.p.User, Topic: c.r.URL.Path, ContentType: c.r.Header.Get("Content-Type"), Payload: c.sent},
		func(err error) { result <- err })
	return <-result
}

// listRaw shows publications as they came in, oldest first. What a device sends may hold anything, so that it is for who may read all data and
// the options by which it is kept.
func listRaw(c *call) error {
	const op = fault.Op("c8yrest.ListRaw")
	for _, f := range []access.Family{access.Measurement, access.Event, access.Alarm, access.Option} {
		if err := c.s.Policy.Check(c.ctx, c.p, f, access.Read, access.Object{}); err != nil {
			return err
		}
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	from, to, err := c.span("dateFrom", "dateTo")
	if err != nil {
		return err
	}
	if to.IsZero() {
		to = c.s.Clock.Now().Add(time.Minute)
	}
	if c.s.Raw == nil {
		return fault.E(op, fault.Unsupported, "publications are not kept here")
	}
	skip, left := p.offset(), p.size
	client, topic := c.query.Get("client"), c.query.Get("topic")
	return c.collection("", "publications", p, func(o *object) error {
		return c.s.Raw.Scan(c.ctx, c.p.Tenant, from, to, func(r rawlog.Record) bool {
			if client != "" && r.Client != client || topic != "" && r.Topic != topic {
				return true
			}
			if skip > 0 {
				skip--
				return true
			}
			if left--; left < 0 {
				return false
			}
			o.publication(&r)
			return true
		})
	})
}

func (o *object) publication(r *rawlog.Record) {
	var one object
	one.open()
	one.time("time", r.Time)
	one.text("transport", r.Transport)
	one.some("client", r.Client)
	one.text("user", string(r.User))
	one.text("topic", r.Topic)
	one.int("qos", int64(r.QoS))
	one.some("contentType", r.ContentType)
	if utf8.Valid(r.Payload) {
		one.text("payload", string(r.Payload))
	} else {
		one.text("payloadBase64", base64.StdEncoding.EncodeToString(r.Payload))
	}
	one.close()
	o.item(one.b)
}
