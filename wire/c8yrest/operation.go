package c8yrest

import (
	"net/http"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
)

var operationMembers = []string{"id", "self", "deviceId", "agentId", "deviceName", "deviceExternalIDs", "bulkOperationId", "creationTime", "status", "failureReason", "description", "delivery"}

// DecodeOperation reads the representation of an operation.
func DecodeOperation(d iot.Doc) (op iot.Operation, err error) {
	raw := d.Get("deviceId")
	if raw == nil {
		return op, missing("deviceId")
	}
	text := strings.Trim(string(raw), `"`)
	id, ok := iot.ParseID(text)
	if !ok {
		return op, fault.E(fault.Op("c8yrest.Operation"), fault.NotFound, "Finding device data from database failed : No managedObject for id '"+clip(text)+"'!")
	}
	op.Device = id
	s, err := textOf(d, "description")
	if err != nil {
		return op, err
	}
	set(&op.Description, s)
	op.Fragments = d.Without(operationMembers...).WithoutNulls()
	return op, nil
}

// AppendOperation appends the representation of an operation. serial is the external id of the device, for messages to devices; empty for REST.
func AppendOperation(b []byte, base string, op *iot.Operation, deviceName, serial string) []byte {
	o := object{b: b}
	writeOperation(&o, base, op, deviceName, serial, nil)
	return o.b
}

func writeOperation(o *object, base string, op *iot.Operation, deviceName, serial string, names []iot.ExternalID) {
	o.open()
	o.id("id", op.ID)
	if base != "" {
		o.text("self", base+"/devicecontrol/operations/"+op.ID.String())
	}
	o.id("deviceId", op.Device)
	o.id("agentId", op.Agent)
	o.some("deviceName", deviceName)
	if names != nil {
		writeDeviceNames(o, base, op.Device, names)
	}
	if op.BulkID != 0 {
		o.int("bulkOperationId", int64(op.BulkID))
	}
	o.time("creationTime", op.CreationTime)
	o.text("status", string(op.Status))
	o.some("failureReason", op.FailureReason)
	o.some("description", op.Description)
	writeDelivery(o, op.CreationTime, op.Delivery)
	o.members(op.Fragments)
	if serial != "" {
		o.begin("externalSource")
		o.text("externalId", serial)
		o.text("type", iot.SerialType)
		o.close()
	}
	o.close()
}

// writeDeviceNames writes the external ids of the device of an operation, which agents ask for.
func writeDeviceNames(o *object, base string, device iot.ID, names []iot.ExternalID) {
	o.begin("deviceExternalIDs")
	o.list("externalIds")
	for _, x := range names {
		writeExternal(o, base, x)
	}
	o.endList()
	o.text("self", base+"/identity/globalIds/"+device.String()+"/externalIds")
	o.close()
}

// writeDelivery writes how far an operation got. c8y: the log is empty until it got anywhere, and then says where from and where to.
func writeDelivery(o *object, created time.Time, d iot.Delivery) {
	o.begin("delivery")
	o.list("log")
	if d.Status != "" && d.Status != iot.DeliveryPending {
		for _, x := range []iot.Delivery{{Status: iot.DeliveryPending, Time: created}, d} {
			o.open()
			o.time("time", x.Time)
			o.text("status", x.Status)
			o.close()
		}
	}
	o.endList()
	if !d.Time.IsZero() {
		o.time("time", d.Time)
	}
	status := d.Status
	if status == "" {
		status = iot.DeliveryPending
	}
	o.text("status", status)
	o.close()
}

func createOperation(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	op, err := DecodeOperation(d)
	if err != nil {
		return err
	}
	if op, err = c.s.Operations.Create(c.ctx, c.p, op); err != nil {
		return err
	}
	return c.storedOperation(http.StatusCreated, op)
}

func (c *call) storedOperation(status int, op iot.Operation) error {
	location := ""
	if status == http.StatusCreated {
		location = c.base() + "/devicecontrol/operations/" + op.ID.String()
	}
	return c.stored(status, "operation", location, func() ([]byte, error) {
		return AppendOperation(nil, c.base(), &op, c.name(op.Device), ""), nil
	})
}

func (c *call) operationQuery() (q devicemgmt.Query, err error) {
	q = devicemgmt.Query{Device: c.idParam("deviceId"), Agent: c.idParam("agentId"), Status: iot.OperationStatus(strings.ToUpper(c.query.Get("status"))),
		Fragment: c.query.Get("fragmentType"), BulkID: c.idParam("bulkOperationId")}
	q.From, q.To, err = c.span("dateFrom", "dateTo")
	q.Descending = c.flag("revert", false) && (!q.From.IsZero() || !q.To.IsZero())
	return q, err
}

func listOperations(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q, err := c.operationQuery()
	if err != nil {
		return err
	}
	q.Offset, q.Limit, q.Count = p.offset(), p.size, p.count()
	ops, n, err := c.s.Operations.List(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	names := map[iot.ID][]iot.ExternalID{}
	if q.Agent != 0 { // c8y: agents are told the external ids of the devices
		for _, op := range ops {
			if names[op.Device] == nil {
				names[op.Device], _ = c.s.Registry.NamesOf(c.ctx, c.p, op.Device) // none for who may not read them
			}
		}
	}
	return c.collection("operationcollection", "operations", p, func(o *object) error {
		for i := range ops {
			writeOperation(o, c.base(), &ops[i], c.name(ops[i].Device), "", names[ops[i].Device])
		}
		return nil
	})
}

func getOperation(c *call) error {
	id, err := c.id("id", "operation")
	if err != nil {
		return err
	}
	op, err := past(c, id, c.s.Operations.Get, c.s.Operations.AsOf)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "operation", AppendOperation(nil, c.base(), &op, c.name(op.Device), ""))
}

// updateOperation changes status and, c8y: also fragments and description in the same request.
func updateOperation(c *call) error {
	id, err := c.id("id", "operation")
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	var patch devicemgmt.Patch
	status, err := textOf(d, "status")
	if err != nil {
		return err
	}
	if status != nil {
		s := iot.OperationStatus(*status)
		patch.Status = &s
	}
	if patch.FailureReason, err = textOf(d, "failureReason"); err != nil {
		return err
	}
	if patch.Description, err = textOf(d, "description"); err != nil {
		return err
	}
	patch.Fragments = d.Without(operationMembers...)
	if len(d.Without("id", "self")) == 0 {
		return missing("status")
	}
	op, err := c.s.Operations.Update(c.ctx, c.p, id, patch)
	if err != nil {
		return err
	}
	return c.storedOperation(http.StatusOK, op)
}

func deleteOperations(c *call) error {
	q, err := c.operationQuery()
	if err != nil {
		return err
	}
	if err := c.s.Operations.Delete(c.ctx, c.p, q); err != nil {
		return err
	}
	return c.noContent()
}
