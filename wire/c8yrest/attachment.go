package c8yrest

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
)

const maxAttachment = 50 << 20

func attach(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	u, discard, err := c.upload(maxAttachment)
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
	a, r, err := c.s.Telemetry.Attachment(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	defer r.Close()
	return c.download(http.StatusOK, a.Name, a.Type, a.Length, r)
}

// download sends a stored file so that no browser will run it in our origin.
func (c *call) download(status int, name, contentType string, length int64, r io.Reader) error {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	c.w.WriteHeader(status)
	_, err := io.Copy(c.w, r)
	return err
}

func detach(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	if err := c.s.Telemetry.Detach(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}
