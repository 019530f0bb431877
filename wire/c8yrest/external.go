package c8yrest

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

func externalURL(base string, x iot.ExternalID) string {
	return base + "/identity/externalIds/" + url.PathEscape(x.Type) + "/" + url.PathEscape(x.Value)
}

func writeExternal(o *object, base string, x iot.ExternalID) {
	o.open()
	o.text("externalId", x.Value)
	o.text("type", x.Type)
	o.text("self", externalURL(base, x))
	o.begin("managedObject")
	o.id("id", x.ID)
	o.text("self", objectURL(base, x.ID))
	o.close()
	o.close()
}

func (c *call) globalID() (iot.ID, error) {
	v := c.r.PathValue("id")
	id, ok := iot.ParseID(v)
	if !ok {
		return 0, fault.E(fault.Op("c8yrest.Identity"), fault.NotFound, fault.Subject(v), "Global ID not found : '"+clip(v)+"'")
	}
	return id, nil
}

func listExternal(c *call) error {
	id, err := c.globalID()
	if err != nil {
		return err
	}
	names, err := c.s.Registry.NamesOf(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	return c.externals(http.StatusOK, names)
}

func (c *call) externals(status int, names []iot.ExternalID) error {
	var o object
	o.open()
	o.list("externalIds")
	for _, x := range names {
		writeExternal(&o, c.base(), x)
	}
	o.endList()
	o.text("self", c.base()+c.r.URL.EscapedPath())
	o.close()
	return c.json(status, "externalidcollection", o.b)
}

func bindExternal(c *call) error {
	id, err := c.globalID()
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	x := iot.ExternalID{ID: id}
	x.Type, _ = d.Text("type")
	x.Value, _ = d.Text("externalId")
	if err := c.s.Registry.Bind(c.ctx, c.p, x); err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "externalid", externalURL(c.base(), x), func() ([]byte, error) {
		var o object
		writeExternal(&o, c.base(), x)
		return o.b, nil
	})
}

func getExternal(c *call) error {
	x, err := c.s.Registry.Resolve(c.ctx, c.p, c.r.PathValue("type"), c.r.PathValue("external"))
	if err != nil {
		return err
	}
	var o object
	writeExternal(&o, c.base(), x)
	return c.json(http.StatusOK, "externalid", o.b)
}

func deleteExternal(c *call) error {
	if err := c.s.Registry.Unbind(c.ctx, c.p, c.r.PathValue("type"), c.r.PathValue("external")); err != nil {
		return err
	}
	return c.noContent()
}

func searchExternal(c *call) error {
	const op = fault.Op("c8yrest.Search")
	b, err := c.jsonBody()
	if err != nil {
		return err
	}
	var v struct {
		ExternalIDs []struct{ Type, ExternalID string } `json:"externalIds"`
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.ExternalIDs) == 0 || len(v.ExternalIDs) > maxPage {
		return fault.E(op, fault.Malformed, "externalIds must be a list of 1 to 2000 {type, externalId}")
	}
	names := make([]iot.ExternalID, len(v.ExternalIDs))
	for i, x := range v.ExternalIDs {
		names[i] = iot.ExternalID{Type: x.Type, Value: x.ExternalID}
	}
	found, err := c.s.Registry.Search(c.ctx, c.p, names)
	if err != nil {
		return err
	}
	return c.externals(http.StatusOK, found)
}
