package c8yrest

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

func deleteObject(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	withUser := c.flag("withDeviceUser", false)
	if withUser { // decided before anything is gone
		if err := c.s.Policy.Check(c.ctx, c.p, access.UserAdmin, access.Admin, access.Object{}); err != nil {
			return err
		}
	}
	removed, err := c.s.Registry.Delete(c.ctx, c.p, id, registry.DeleteOptions{Cascade: c.flag("cascade", false), Force: c.flag("forceCascade", false), If: c.condition()})
	if err != nil {
		return err
	}
	for _, mo := range removed {
		if err := c.removed(mo, withUser); err != nil {
			return err
		}
	}
	return c.noContent()
}

// removed removes what goes with a removed object: its file, and its account if that is wanted.
func (c *call) removed(mo iot.ManagedObject, withUser bool) error {
	if mo.Fragments.Has(iot.FragmentIsBinary) {
		if _, err := c.s.Blobs.Delete(c.ctx, c.p.Tenant, binaryKey(mo.ID)); err != nil {
			return err
		}
	}
	if !withUser || !mo.Owner.IsDevice() {
		return nil
	}
	if err := c.s.Users.Delete(c.ctx, c.p, mo.Owner); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

func getAvailability(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	mo, err := c.s.Registry.Get(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	minutes, monitored := registry.RequiredInterval(mo.Fragments)
	if !monitored {
		return fault.E(fault.Op("c8yrest.Availability"), fault.NotFound, "the availability of this object is not monitored: it has no c8y_RequiredAvailability")
	}
	serial, err := c.s.Registry.SerialOf(c.ctx, c.p.Tenant, id)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.id("deviceId", id)
	o.text("externalId", serial)
	if !mo.State.LastMessage.IsZero() {
		o.time("lastMessage", mo.State.LastMessage)
	}
	o.text("interval", minutesText(minutes)) // c8y: recorded as text
	o.text("dataStatus", mo.State.Availability)
	connection := mo.State.Connection
	if connection == "" {
		connection = registry.Disconnected
	}
	o.text("connectionStatus", connection)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func minutesText(n int) string { return strconv.Itoa(n) + " minutes" }

func (c *call) writeObjectUser(id iot.ID, u access.User) []byte {
	var o object
	o.open()
	o.text("userName", string(u.Name))
	o.bool("enabled", u.Enabled)
	o.text("self", objectURL(c.base(), id)+"/user")
	o.close()
	return o.b
}

func getObjectUser(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	mo, err := c.s.Registry.Get(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	u, err := c.s.Users.Get(c.ctx, iot.System(c.p.Tenant), mo.Owner)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "managedobjectuser", c.writeObjectUser(id, u))
}

// putObjectUser enables or disables the account of a device: c8y: for who may change the object.
func putObjectUser(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	src, err := c.s.Registry.Check(c.ctx, c.p, id, access.ManagedObject, access.Admin)
	if err != nil {
		return err
	}
	if !src.Owner.IsDevice() { // people are the business of who administers users
		if err := c.s.Policy.Check(c.ctx, c.p, access.UserAdmin, access.Update, access.Object{}); err != nil {
			return err
		}
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	var enabled bool
	if raw := d.Get("enabled"); raw == nil || json.Unmarshal(raw, &enabled) != nil {
		return missing("enabled")
	}
	platform := iot.System(c.p.Tenant)
	platform.User = c.p.User // for the audit
	u, err := c.s.Users.Update(c.ctx, platform, src.Owner, access.UserPatch{Enabled: &enabled})
	if err != nil {
		return err
	}
	return c.stored(http.StatusOK, "managedobjectuser", "", func() ([]byte, error) { return c.writeObjectUser(id, u), nil })
}
