package c8yrest

import (
	"net/http"
	"net/url"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/registry"
)

func (c *call) writeRegistration(o *object, r identity.Registration) {
	o.open()
	o.text("id", r.ID)
	o.text("status", string(r.Status))
	o.text("self", c.base()+"/devicecontrol/newDeviceRequests/"+url.PathEscape(r.ID))
	o.text("owner", string(r.Owner))
	o.time("creationTime", r.Created)
	o.text("tenantId", string(r.Tenant))
	o.some("type", r.Type)
	if r.Group != 0 {
		o.id("groupId", r.Group)
	}
	o.key("customProperties")
	o.b = r.Custom.AppendTo(o.b)
	o.comma = true
	o.close()
}

func createRegistration(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	r := identity.Registration{}
	r.ID, _ = d.Text("id")
	r.Type, _ = d.Text("type")
	if g, ok := d.Text("groupId"); ok && g != "" {
		if r.Group, ok = iot.ParseID(g); !ok {
			return fault.E(fault.Op("c8yrest.Registration"), fault.Invalid, "groupId must be the id of a group")
		}
	}
	if raw := d.Get("customProperties"); raw != nil && raw[0] == '{' {
		if r.Custom, err = parseDoc(raw); err != nil {
			return err
		}
	}
	if otp, ok := d.Text("enrollmentToken"); ok && otp != "" { // c8y: a one-time password makes it a registration for a certificate
		r, err = c.s.Registrations.RequestEnrollment(c.ctx, c.p, r, otp)
	} else {
		token, _ := d.Text("securityToken")
		r, err = c.s.Registrations.Request(c.ctx, c.p, r, token)
	}
	if err != nil {
		return err
	}
	return c.storedRegistration(http.StatusCreated, r)
}

func (c *call) storedRegistration(status int, r identity.Registration) error {
	location := ""
	if status == http.StatusCreated {
		location = c.base() + "/devicecontrol/newDeviceRequests/" + url.PathEscape(r.ID)
	}
	return c.stored(status, "newdevicerequest", location, func() ([]byte, error) {
		var o object
		c.writeRegistration(&o, r)
		return o.b, nil
	})
}

func listRegistrations(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	list, n, err := c.s.Registrations.List(c.ctx, c.p, p.offset(), p.size)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("newdevicerequestcollection", "newDeviceRequests", p, func(o *object) error {
		for _, r := range list {
			c.writeRegistration(o, r)
		}
		return nil
	})
}

func getRegistration(c *call) error {
	r, err := c.s.Registrations.Get(c.ctx, c.p, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	var o object
	c.writeRegistration(&o, r)
	return c.json(http.StatusOK, "newdevicerequest", o.b)
}

func updateRegistration(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	if s, _ := d.Text("status"); s != "ACCEPTED" {
		return fault.E(fault.Op("c8yrest.Registration"), fault.Invalid, "status must be ACCEPTED")
	}
	token, _ := d.Text("securityToken")
	r, err := c.s.Registrations.Accept(c.ctx, c.p, c.r.PathValue("id"), token)
	if err != nil {
		return err
	}
	return c.storedRegistration(http.StatusOK, r)
}

func deleteRegistration(c *call) error {
	if err := c.s.Registrations.Delete(c.ctx, c.p, c.r.PathValue("id")); err != nil {
		return err
	}
	return c.noContent()
}

func acceptAll(c *call) error {
	outcomes, err := c.s.Registrations.AcceptAll(c.ctx, c.p)
	if err != nil {
		return err
	}
	o := object{b: []byte{'['}}
	for _, x := range outcomes {
		o.open()
		o.text("id", x.ID)
		o.bool("successful", x.Successful)
		o.some("error", x.Error)
		o.close()
	}
	o.endList()
	return c.json(http.StatusOK, "", o.b)
}

// registrationLimit says that devices are not limited; c8y: the official application asks.
func registrationLimit(c *call) error {
	_, n, err := c.s.Registry.List(c.ctx, c.p, registry.Query{Fragment: iot.FragmentIsDevice, Limit: 1, Count: true})
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.bool("isReached", false)
	o.int("limit", -1)
	o.int("deviceCount", int64(n))
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

// deviceCredentials is how a device asks for its account: c8y: 404 until it was accepted, then 201 once.
func deviceCredentials(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	id, _ := d.Text("id")
	token, _ := d.Text("securityToken")
	if id == "" {
		return missing("id")
	}
	cred, err := c.s.Registrations.Credentials(c.ctx, c.p, id, token)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("id", cred.ID)
	o.text("tenantId", string(cred.Tenant))
	o.text("username", string(cred.User))
	o.text("password", cred.Password)
	o.text("self", c.base()+"/devicecontrol/deviceCredentials/"+url.PathEscape(cred.ID))
	o.close()
	return c.json(http.StatusCreated, "devicecredentials", o.b)
}
