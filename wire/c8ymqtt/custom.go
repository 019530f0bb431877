package c8ymqtt

import (
	"bytes"
	"strings"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/c8yrest"
	"github.com/isobar-iot/isobar/wire/smartrest"
	"github.com/isobar-iot/isobar/wire/smartrest/custom"
	"github.com/isobar-iot/isobar/wire/smartrest/shelf"
)

// Collections are the collections of templates of SmartREST 2 that the inventory holds.
type Collections = shelf.Shelf[*custom.Collection]

// NewCollections returns them. Close ends listening to changes.
func NewCollections(r *registry.Registry, b *bus.Bus) (*Collections, error) {
	return shelf.New(r, b, shelf.Kind[*custom.Collection]{External: custom.ExternalType, Fragment: custom.Fragment,
		Parse: func(d iot.Doc) *custom.Collection { c, _ := custom.Read(d); return c }})
}

// maxCollectionName bounds the name of a collection, in bytes, so that the topic with it stays short.
const maxCollectionName = 200

// keepTemplates is s/ut/<X>: c8y: an empty payload asks whether a collection exists, lines create it, and one that exists is not changed.
func (h *handler) keepTemplates(x string, payload []byte) error {
	reply := func(line string) { h.conn.Deliver("s/dt", []byte(line), 1, nil) }
	if x == "" || len(x) > maxCollectionName || h.g.Collections == nil {
		reply(smartrest.ReplyNoCollection(x))
		return nil
	}
	id, err := h.g.Collections.Find(h.ctx, h.p.Tenant, x)
	switch {
	case err == nil:
		h.pin(customBoard + x)
		reply(smartrest.ReplyCollection(x, id))
		return nil
	case !fault.Is(err, fault.NotFound):
		h.lineError(smartrest.Failed("", err))
		return err
	case len(bytes.TrimSpace(payload)) == 0:
		reply(smartrest.ReplyNoCollection(x))
		return nil
	}
	c, bad := custom.Parse(payload)
	if bad != nil {
		h.refused(fault.E(fault.Invalid, bad))
		h.lineError(bad)
		return nil
	}
	if err = h.g.Room(); err == nil {
		id, _, err = h.g.Collections.Create(h.ctx, h.p, x, custom.ObjectType, c.Doc(), iot.Doc{}.SetText(custom.NameMember, x))
	}
	if err != nil {
		h.lineError(smartrest.Failed("", err))
		return err
	}
	h.pin(customBoard + x)
	reply(smartrest.ReplyCollection(x, id))
	return nil
}

// publishCustom executes lines of a collection: s/uc/<X>[/<child>], or s/ud[/<child>] for the collection that the client id names.
func (h *handler) publishCustom(mode iot.ProcessingMode, levels []string, m *mqtt.Message, done func(mqtt.Verdict)) {
	x, board, rest := h.template, defaultBoard, levels[2:]
	if levels[1] == "uc" {
		x, rest = "", levels[2:]
		if len(rest) > 0 {
			x, rest = rest[0], rest[1:]
		}
		board = customBoard + x
	}
	var c *custom.Collection
	if h.g.Collections != nil {
		book, err := h.g.Collections.Get(h.ctx, h.p.Tenant, x)
		if err != nil && !fault.Is(err, fault.NotFound) {
			h.lineError(smartrest.Failed("", err))
			done(verdict(err))
			return
		}
		c = book.Collection
	}
	if c == nil {
		h.lineError(&smartrest.LineError{Code: smartrest.CodeUnknown, Text: "there is no collection of templates '" + clip(x) + "'"})
		done(mqtt.Verdict{})
		return
	}
	h.pin(board)
	b, a := &batch{h: h, done: done, left: 1}, h.arrive(m)
	for f, err := range smartrest.Split(m.Payload, smartrest.Limits{Bytes: len(m.Payload) + 1}) {
		if err != nil {
			h.refused(fault.E(fault.Invalid, err))
			h.lineError(err)
			continue
		}
		id, _ := f.Next()
		r := c.Find(id)
		if r == nil {
			h.lineError(&smartrest.LineError{Code: smartrest.CodeUnknown, MessageID: clip(id), Text: "there is no template " + clip(id)})
			continue
		}
		b.add()
		l := line{h: h, arrival: a, mode: mode, child: strings.Join(rest, "/"), board: board, collection: c, settle: func(err error) { b.settle(id, err) }}
		l.run(r, f)
	}
	b.settle("", nil)
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 100)], "") }

// line is one line of a collection on its way.
type line struct {
	h          *handler
	arrival    *arrival
	mode       iot.ProcessingMode
	child      string
	board      string // where answers go
	collection *custom.Collection
	settle     func(error) // called once
}

// forbidden are members that a template cannot give a document.
var forbidden = []string{"id", "self", "source", "externalSource"}

func (l *line) run(r *custom.Request, f smartrest.Fields) {
	c, err := r.Bind(f, l.h.g.Clock.Now())
	if err != nil {
		l.h.refused(err)
		l.settle(err)
		return
	}
	c.Body = c.Body.Without(forbidden...)
	if r.Method != custom.Get && r.API != custom.Measurement {
		err = l.h.g.Room()
	}
	var t target
	if err == nil {
		t, err = l.h.target(l.child)
	}
	if err != nil {
		l.settle(err)
		return
	}
	l.h.g.Connectivity.Heard(l.h.p.Tenant, t.id)
	if r.API == custom.Measurement {
		l.measurement(t, c)
		return
	}
	doc, err := l.execute(t, c)
	if err = once(err); err == nil && r.Response && doc != nil {
		l.h.answer(l.board, l.collection, doc)
	}
	l.settle(err)
}

// measurement stores one; the answer comes when it is stored.
func (l *line) measurement(t target, c custom.Command) {
	m, err := c8yrest.DecodeMeasurement(c.Body)
	if err == nil {
		err = measurable(&m)
	}
	if err == nil {
		_, err = l.h.g.Registry.Check(l.h.ctx, l.h.p, t.id, access.Measurement, access.Admin, access.MeasuredNames(l.h.p, &m)...)
	}
	if err != nil {
		l.h.refused(err)
		l.settle(err)
		return
	}
	m.Source = t.id
	l.h.submit(l.arrival, &m, l.mode, func(err error) {
		if err == nil && c.Request.Response {
			l.h.answer(l.board, l.collection, c8yrest.AppendMeasurement(nil, "", &m))
		}
		l.settle(err)
	})
}

// execute does what a command asks for and returns the document that came of it, nil if there is none.
func (l *line) execute(t target, c custom.Command) ([]byte, error) {
	switch r := c.Request; {
	case r.API == custom.Inventory:
		return l.inventory(t, c)
	case r.API == custom.Event:
		return l.event(t, c)
	case r.API == custom.Operation:
		return l.operation(t, c)
	case r.Method == custom.Post:
		return l.alarm(t, c)
	}
	return l.alarmChange(t, c)
}

func (l *line) event(t target, c custom.Command) ([]byte, error) {
	e, err := c8yrest.DecodeEvent(c.Body)
	if err != nil {
		return nil, err
	}
	e.Source = t.id
	if e, err = l.h.g.Telemetry.CreateEvent(l.arrival.effect(l.h.ctx), l.h.p, l.mode, e); err != nil {
		return nil, err
	}
	return c8yrest.AppendEvent(nil, "", &e, ""), nil
}

func (l *line) alarm(t target, c custom.Command) ([]byte, error) {
	a, err := c8yrest.DecodeAlarm(c.Body)
	if err == nil {
		a, err = l.h.raise(l.arrival, l.mode, t, a)
	}
	return alarmDoc(a, err)
}

// alarmChange is PUT ALARM: c8y: of the active alarm of a type or, if there is none, of the acknowledged one. Without either nothing happens.
func (l *line) alarmChange(t target, c custom.Command) ([]byte, error) {
	patch, err := c8yrest.DecodeAlarmPatch(c.Body)
	if err != nil {
		return nil, err
	}
	return alarmDoc(l.h.changeAlarm(iot.WithMode(l.h.ctx, l.mode), t, c.Type, patch))
}

func alarmDoc(a iot.Alarm, err error) ([]byte, error) {
	if err != nil || a.ID == 0 {
		return nil, err
	}
	return c8yrest.AppendAlarm(nil, "", &a, ""), nil
}

// operation is PUT OPERATION: c8y: of the oldest executing operation with a fragment or, if there is none, of the oldest pending one. What is
// given is merged into the operation, so that a result does not take the place of the request.
func (l *line) operation(t target, c custom.Command) ([]byte, error) {
	h := l.h
	op, err := h.oldest(h.ctx, t, c.Fragment, iot.Executing)
	if fault.Is(err, fault.NotFound) {
		op, err = h.oldest(h.ctx, t, c.Fragment, iot.Pending)
	}
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	patch, err := operationPatch(op, c.Body)
	if err != nil {
		return nil, err
	}
	if op, err = h.g.Operations.Update(iot.WithMode(h.ctx, l.mode.Lasting()), h.p, op.ID, patch); err != nil {
		return nil, err
	}
	return c8yrest.AppendOperation(nil, "", &op, "", t.serial), nil
}

func operationPatch(op iot.Operation, body iot.Doc) (p devicemgmt.Patch, err error) {
	if s, ok := body.Text("status"); ok {
		status := iot.OperationStatus(strings.ToUpper(s))
		if !status.Valid() {
			return p, fault.Errorf("c8ymqtt.Operation", fault.Invalid, "the status %.40q is none of PENDING, EXECUTING, SUCCESSFUL, FAILED", s)
		}
		p.Status = &status
	}
	for name, to := range map[string]**string{"failureReason": &p.FailureReason, "description": &p.Description} {
		if s, ok := body.Text(name); ok {
			*to = &s
		}
	}
	for _, m := range body.Without("status", "failureReason", "description", "deviceId", "agentId", "creationTime", "delivery", "deviceName", "bulkOperationId") {
		one := iot.Doc{m}
		p.Fragments = p.Fragments.Set(m.Name, deepMerge(iot.Doc{{Name: m.Name, Raw: op.Fragments.Get(m.Name)}}, one).Get(m.Name))
	}
	return p, nil
}

// inventory reads, creates or changes an object. What a template names by an id may be another object than the connected device: there the
// permissions of the user decide.
func (l *line) inventory(t target, c custom.Command) ([]byte, error) {
	h, r := l.h, c.Request
	if r.Method == custom.Post {
		return l.create(c)
	}
	id, err := l.named(t, c)
	if err != nil {
		return nil, err
	}
	var o registry.Object
	if r.Method == custom.Get {
		o, err = h.g.Registry.Get(h.ctx, h.p, id)
	} else {
		var draft registry.Draft
		if draft, err = registry.DraftOf(c.Body); err == nil {
			o, err = h.g.Registry.Patch(iot.WithMode(h.ctx, l.mode), h.p, id, draft)
		}
	}
	if err != nil {
		return nil, err
	}
	return c8yrest.AppendManagedObject(nil, "", o), nil
}

// named returns the object that a command is about.
func (l *line) named(t target, c custom.Command) (iot.ID, error) {
	switch {
	case c.Request.ByID:
		id, ok := iot.ParseID(c.ID)
		if !ok {
			return 0, fault.E(fault.Op("c8ymqtt.Inventory"), fault.NotFound, "'"+clip(c.ID)+"' is no id")
		}
		return id, nil
	case c.External.Value == "":
		return t.id, nil
	}
	return l.h.g.Registry.Lookup(l.h.ctx, l.h.p.Tenant, c.External.Type, c.External.Value)
}

func (l *line) create(c custom.Command) ([]byte, error) {
	draft, err := registry.DraftOf(c.Body)
	if err != nil {
		return nil, err
	}
	if c.External.Type != "" && c.External.Value != "" {
		draft.ExternalIDs = append(draft.ExternalIDs, c.External)
	}
	out, err := l.h.g.Registry.Create(iot.WithMode(l.h.ctx, l.mode.Lasting()), l.h.p, registry.Place{}, draft)
	if err != nil {
		return nil, err
	}
	return c8yrest.AppendManagedObject(nil, "", out[0]), nil
}
