package c8yrest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
)

const bulkPath = "/devicecontrol/bulkoperations"

func bulkOperationRoutes() []Route {
	return []Route{get(bulkPath, listBulkOperations), post(bulkPath, createBulkOperation),
		get(bulkPath+"/{id}", getBulkOperation), put(bulkPath+"/{id}", updateBulkOperation), del(bulkPath+"/{id}", deleteBulkOperation)}
}

// writeBulkOperation writes the representation. c8y: the id is a number, those of other objects are not; devices that wait count as pending.
func writeBulkOperation(o *object, base string, b devicemgmt.Bulk) {
	o.open()
	o.text("self", base+bulkPath+"/"+b.ID.String())
	o.int("id", int64(b.ID))
	if b.Group != 0 {
		o.id("groupId", b.Group)
	}
	if b.FailedParent != 0 {
		o.id("failedParentId", b.FailedParent)
	}
	o.time("startDate", b.Start)
	o.raw("creationRamp", strconv.AppendFloat(nil, b.Ramp.Seconds(), 'f', -1, 64))
	o.begin("operationPrototype")
	o.some("description", b.Description)
	o.members(b.Fragments)
	o.close()
	o.text("status", string(b.Status))
	o.text("generalStatus", string(b.General()))
	p := b.Progress
	o.begin("progress")
	o.int("pending", int64(p.Waiting+p.Pending))
	o.int("failed", int64(p.Failed))
	o.int("executing", int64(p.Executing))
	o.int("successful", int64(p.Successful))
	o.int("all", int64(p.All()))
	o.close()
	o.some("note", b.Note)
	o.some("failureReason", b.Reason)
	o.close()
}

const bulkOp = fault.Op("c8yrest.BulkOperation")

// DecodeBulkOperation reads the representation of a bulk operation. What is not given stays nil; parent is zero if there is none.
func DecodeBulkOperation(d iot.Doc) (p devicemgmt.BulkPatch, parent iot.ID, err error) {
	if p.Group, err = idMember(d, "groupId"); err != nil {
		return p, 0, err
	}
	failed, err := idMember(d, "failedParentId")
	if err != nil {
		return p, 0, err
	}
	if failed != nil {
		parent = *failed
	}
	if p.Note, err = textOf(d, "note"); err != nil {
		return p, 0, err
	}
	start, err := textOf(d, "startDate")
	if err != nil {
		return p, 0, err
	}
	if start != nil {
		t, err := iot.ParseTime(*start)
		if err != nil || t.Year() < 1970 || t.Year() > 9999 {
			return p, 0, fault.E(bulkOp, fault.Invalid, "startDate must be a date-time such as 2026-01-31T12:00:00.000Z")
		}
		p.Start = &t
	}
	if raw := d.Get("creationRamp"); raw != nil && string(raw) != "null" {
		seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
		if err != nil || !(seconds >= 0 && seconds < 1e9) {
			return p, 0, fault.E(bulkOp, fault.Invalid, "creationRamp must be a number of seconds above 0")
		}
		ramp := time.Duration(seconds * 1e9).Round(time.Millisecond)
		p.Ramp = &ramp
	}
	return p, parent, decodePrototype(d, &p)
}

func decodePrototype(d iot.Doc, p *devicemgmt.BulkPatch) error {
	raw := d.Get("operationPrototype")
	if raw == nil || string(raw) == "null" {
		return nil
	}
	if raw[0] != '{' {
		return fault.E(bulkOp, fault.Invalid, "operationPrototype must be an object")
	}
	prototype, err := parseDoc(raw)
	if err != nil {
		return err
	}
	description, err := textOf(prototype, "description")
	if err != nil {
		return err
	}
	if description == nil {
		description = new(string)
	}
	p.Description, p.Fragments = description, append(iot.Doc{}, prototype.Without(operationMembers...).WithoutNulls()...)
	return nil
}

// idMember reads a member that is an id, as text or number; null is none.
func idMember(d iot.Doc, name string) (*iot.ID, error) {
	raw := d.Get(name)
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	id, ok := iot.ParseID(strings.Trim(string(raw), `"`))
	if !ok {
		return nil, fault.E(bulkOp, fault.Invalid, name+" must be an id")
	}
	return &id, nil
}

func createBulkOperation(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	p, parent, err := DecodeBulkOperation(d)
	if err != nil {
		return err
	}
	b := devicemgmt.Bulk{FailedParent: parent, Fragments: p.Fragments}
	if p.Group != nil {
		b.Group = *p.Group
	}
	if p.Start != nil {
		b.Start = *p.Start
	}
	if p.Ramp == nil {
		return missing("creationRamp")
	}
	b.Ramp = *p.Ramp
	set(&b.Note, p.Note)
	set(&b.Description, p.Description)
	if b, err = c.s.Bulks.Create(c.ctx, c.p, b); err != nil {
		return err
	}
	return c.storedBulkOperation(http.StatusCreated, b)
}

func (c *call) storedBulkOperation(status int, b devicemgmt.Bulk) error {
	location := ""
	if status == http.StatusCreated {
		location = c.base() + bulkPath + "/" + b.ID.String()
	}
	return c.stored(status, "bulkoperation", location, func() ([]byte, error) {
		var o object
		writeBulkOperation(&o, c.base(), b)
		return o.b, nil
	})
}

func listBulkOperations(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q := devicemgmt.BulkQuery{Deleted: c.flag("withDeleted", false), Offset: p.offset(), Limit: p.size, Count: p.count()}
	for _, g := range c.list("generalStatus") {
		q.General = append(q.General, generalStatus(g))
	}
	if q.From, q.To, err = c.span("dateFrom", "dateTo"); err != nil {
		return err
	}
	list, n, err := c.s.Bulks.List(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("bulkoperationcollection", "bulkOperations", p, func(o *object) error {
		for _, b := range list {
			writeBulkOperation(o, c.base(), b)
		}
		return nil
	})
}

// generalStatus reads a general status. c8y: its documentation writes one of them in the plural, and clients know a second name of another one.
func generalStatus(s string) devicemgmt.GeneralStatus {
	switch s = strings.ToUpper(s); s {
	case "EXECUTING_WITH_ERRORS":
		return devicemgmt.BulkExecutingWithError
	case "DELETED":
		return devicemgmt.BulkCanceled
	}
	return devicemgmt.GeneralStatus(s)
}

func getBulkOperation(c *call) error {
	id, err := c.id("id", "bulk operation")
	if err != nil {
		return err
	}
	b, err := c.s.Bulks.Get(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	var o object
	writeBulkOperation(&o, c.base(), b)
	return c.json(http.StatusOK, "bulkoperation", o.b)
}

func updateBulkOperation(c *call) error {
	id, err := c.id("id", "bulk operation")
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	p, _, err := DecodeBulkOperation(d)
	if err != nil {
		return err
	}
	b, err := c.s.Bulks.Update(c.ctx, c.p, id, p)
	if err != nil {
		return err
	}
	return c.storedBulkOperation(http.StatusOK, b)
}

// deleteBulkOperation cancels. c8y: the bulk operation stays readable.
func deleteBulkOperation(c *call) error {
	id, err := c.id("id", "bulk operation")
	if err != nil {
		return err
	}
	if err := c.s.Bulks.Cancel(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}
