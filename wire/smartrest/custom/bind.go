package custom

import (
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/jsonpath"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// Command is what a line says once its template is known.
type Command struct {
	Request *Request
	// ID names the object by its own id. External names it by an external one; empty: the request names none.
	ID       string
	External iot.ExternalID
	// Type is that of the alarm to change, Fragment that of the operation.
	Type, Fragment string
	// Body is what to store, with type, text, time, status and severity among its members where the kind of request has them.
	Body iot.Doc
}

// Bind reads a line, whose first field was taken already, by a template. A time that is not given means now.
func (r *Request) Bind(f smartrest.Fields, now time.Time) (Command, error) {
	c := Command{Request: r}
	next := func() string { s, _ := f.Next(); return s }
	if r.API == Inventory && !r.Self {
		c.name(next)
	}
	for _, v := range r.Fixed {
		text := v.Text
		if !v.given {
			text = next()
		}
		if err := c.fixed(v, text, now); err != nil {
			return c, err
		}
	}
	for _, v := range r.Custom {
		text := v.Text
		if !v.given && v.Type != Flag {
			text = next()
		}
		raw, err := v.Type.encode(text, now)
		if err != nil {
			return c, err
		}
		if raw != nil {
			c.Body = jsonpath.Set(c.Body, v.Path, raw)
		}
	}
	return c, nil
}

// name takes what names the object. c8y: an object that is created gets an external id only if its template gives the type.
func (c *Command) name(next func() string) {
	r := c.Request
	if r.ByID && r.Method != Post {
		c.ID = next()
		return
	}
	c.External.Type = r.ExternalType
	if c.External.Type == "" {
		if r.Method == Post {
			return
		}
		c.External.Type = next()
	}
	c.External.Value = next()
}

// fixed takes one of the values that the kind of request always has.
func (c *Command) fixed(v Value, text string, now time.Time) error {
	name := v.Path[0]
	switch {
	case name == fragmentMember && c.Request.API == Operation:
		c.Fragment = text
		return c.required(name, text)
	case name == "type":
		if err := c.required(name, text); err != nil {
			return err
		}
		c.Type = text
		if c.Request.Method == Put {
			return nil
		}
	case name == "status" && text == "": // c8y: a new alarm is active
		text = string(iot.Active)
	case name == "text" && text == "": // as with the static templates
		text = c.Type
	case name == "severity":
		if err := c.required(name, text); err != nil {
			return err
		}
	}
	raw, err := v.Type.encode(text, now)
	if err != nil {
		return err
	}
	c.Body = c.Body.Set(name, raw)
	return nil
}

func (c *Command) required(name, text string) error {
	if text == "" {
		return fault.Errorf("custom.Bind", fault.Invalid, "the value %s is missing", name)
	}
	return nil
}
