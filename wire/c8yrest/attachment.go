package c8yrest

import (
	"fmt"
	"net/http"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func attach(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	if err := c.attachmentCondition(id); err != nil {
		return err
	}
	u, discard, err := c.upload(telemetry.MaxAttachment)
	if err != nil {
		return err
	}
	defer discard()
	if u.name == "" {
		u.name = id.String()
	}
	if u.contentType == "" {
		u.contentType = "application/octet-stream"
	}
	a, err := c.s.Telemetry.Attach(c.ctx, c.p, id, u.name, u.contentType, u.content, c.r.Method == http.MethodPut)
	if err != nil {
		return err
	}
	self := fmt.Sprintf("%s/event/events/%s/binaries", c.base(), id)
	return c.stored(http.StatusCreated, "event", self, func() ([]byte, error) {
		var o object
		o.open()
		o.text("self", self)
		o.text("name", a.Name)
		o.text("type", a.Type)
		o.id("source", id)
		o.int("length", a.Length)
		o.close()
		return o.b, nil
	})
}

func getAttachment(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	a, b, err := c.s.Telemetry.Attachment(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	return c.sendFile(a.Name, a.Type, b)
}

func detach(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	if err := c.attachmentCondition(id); err != nil {
		return err
	}
	if err := c.s.Telemetry.Detach(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}

// attachmentCondition is what If-Match demands of the file of an event; a first one is demanded nothing of by who sends no header.
func (c *call) attachmentCondition(id iot.ID) error {
	return c.fileCondition(func() (*blob.Blob, error) {
		_, b, err := c.s.Telemetry.Attachment(c.ctx, c.p, id)
		return b, err
	})
}
