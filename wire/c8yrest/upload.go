package c8yrest

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// upload is a file on its way in: the raw body, or the part "file" of a form beside the part "object" with its description.
type upload struct {
	name, contentType string
	object            iot.Doc
	content           io.Reader
}

// formBytes is what a form may have beside its file.
const formBytes = 64 << 10

// upload reads the head of a file; discard must be called when it was stored. c8y: the parts of a form come in any order.
func (c *call) upload(limit int64) (u upload, discard func(), err error) {
	discard = func() {}
	if c.r.ContentLength > limit+formBytes {
		return u, discard, fault.Errorf(uploadOp, fault.TooLarge, "the file must not be larger than %d bytes", limit)
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, limit+formBytes)
	media, params, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if media != "multipart/form-data" {
		u = upload{contentType: c.r.Header.Get("Content-Type"), content: c.r.Body}
		if _, p, err := mime.ParseMediaType(c.r.Header.Get("Content-Disposition")); err == nil {
			u.name = p["filename"]
		}
		return u, discard, nil
	}
	if params["boundary"] == "" {
		return u, discard, fault.E(uploadOp, fault.Malformed, "the multipart body has no boundary in its Content-Type")
	}
	parts := multipart.NewReader(c.r.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		switch {
		case err != nil && u.content != nil && u.object == nil && errors.Is(err, io.EOF): // a file without a description
			return u, discard, nil
		case err != nil:
			discard()
			return u, func() {}, fault.E(uploadOp, fault.Malformed, err, "the form needs a part named file")
		case part.FormName() == "object":
			err = u.describe(part)
		case part.FormName() == "file" && u.object != nil:
			u.file(part)
			u.content = part
		case part.FormName() == "file" && u.content == nil:
			u.file(part)
			u.content, discard, err = spool(part)
		}
		if err != nil {
			discard()
			return u, func() {}, err
		}
		if u.object != nil && u.content != nil {
			return u, discard, nil
		}
	}
}

const uploadOp = fault.Op("c8yrest.Upload")

// describe reads the part with the description. Its type is the media type of the file if it is one at all.
func (u *upload) describe(part io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(part, maxBody))
	if err != nil {
		return fault.E(uploadOp, fault.Malformed, err, "the part object could not be read")
	}
	if u.object, err = iot.ParseDoc(b, iot.MaxDepth); err != nil {
		return fault.E(uploadOp, fault.Malformed, "the part object is not valid JSON: "+err.Error())
	}
	if u.object == nil {
		u.object = iot.Doc{}
	}
	if s, ok := u.object.Text("name"); ok {
		u.name = s
	}
	if s, ok := u.object.Text("type"); ok && strings.Contains(s, "/") {
		u.contentType = s
	}
	return nil
}

// file takes over what the part of the file says and its description does not.
func (u *upload) file(part *multipart.Part) {
	if u.name == "" {
		u.name = part.FileName()
	}
	if u.contentType == "" {
		u.contentType = part.Header.Get("Content-Type")
	}
}

// spool keeps a file aside until its description has come.
func spool(r io.Reader) (io.Reader, func(), error) {
	f, err := os.CreateTemp("", "isobar-upload-*")
	if err != nil {
		return nil, func() {}, fault.E(uploadOp, err)
	}
	discard := func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	if _, err = io.Copy(f, r); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, discard, fault.Errorf(uploadOp, fault.TooLarge, "the file must not be larger than %d bytes", tooLarge.Limit-formBytes)
	case errors.Is(err, syscall.ENOSPC):
		return nil, discard, fault.E(uploadOp, fault.Full, err)
	case err != nil:
		return nil, discard, fault.E(uploadOp, fault.Malformed, err, "the part file could not be read")
	}
	return f, discard, nil
}
