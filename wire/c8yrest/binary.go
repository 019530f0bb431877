package c8yrest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

const maxBinary = 50 << 20

func binaryKey(id iot.ID) string { return "binary/" + id.String() }

// createBinary stores a file and the managed object that describes it. The object is made first, so that there is an owner to decide by;
// if the file cannot be stored, the object goes again.
func createBinary(c *call) error {
	u, discard, err := c.upload(maxBinary)
	if err != nil {
		return err
	}
	defer discard()
	draft, err := registry.DraftOf(u.object.Set("name", iot.AppendText(nil, u.name)).Set(iot.FragmentIsBinary, []byte(`{}`)).Set("contentType", iot.AppendText(nil, orOctets(u.contentType))))
	if err != nil {
		return err
	}
	created, err := c.s.Registry.Create(c.ctx, c.p, registry.Place{}, draft)
	if err != nil {
		return err
	}
	mo, err := c.storeBinary(created[0].ID, u)
	if err != nil {
		_, _ = c.s.Registry.Delete(c.ctx, c.p, created[0].ID, registry.DeleteOptions{})
		return err
	}
	return c.storedBinary(mo)
}

func orOctets(contentType string) string {
	if contentType == "" {
		return "application/octet-stream"
	}
	return contentType
}

func (c *call) storeBinary(id iot.ID, u upload) (registry.Object, error) {
	n, _, err := c.s.Blobs.Put(c.ctx, c.p.Tenant, binaryKey(id), u.content, maxBinary)
	if err != nil {
		return registry.Object{}, err
	}
	patch := iot.Doc{{Name: "length", Raw: strconv.AppendInt(nil, n, 10)}, {Name: "contentType", Raw: iot.AppendText(nil, orOctets(u.contentType))}}
	return c.s.Registry.Patch(c.ctx, c.p, id, registry.Draft{Fragments: patch})
}

func (c *call) storedBinary(mo registry.Object) error {
	location := c.base() + "/inventory/binaries/" + mo.ID.String()
	return c.stored(http.StatusCreated, "managedobject", location, func() ([]byte, error) {
		var o object
		writeObject(&o, c.base(), mo, refs{})
		return o.b, nil
	})
}

func listBinaries(c *call) error {
	c.query.Set("fragmentType", iot.FragmentIsBinary)
	return listObjects(c)
}

func (c *call) binary() (registry.Object, error) {
	id, err := c.id("id", "binary")
	if err != nil {
		return registry.Object{}, err
	}
	mo, err := c.s.Registry.Get(c.ctx, c.p, id)
	if err == nil && !mo.Fragments.Has(iot.FragmentIsBinary) {
		err = noBinary(id)
	}
	return mo, err
}

func noBinary(id iot.ID) error {
	return fault.E(fault.Op("c8yrest.Binary"), fault.NotFound, fault.Subject(id.String()), "the managed object "+id.String()+" is no binary")
}

// binaryToChange is the id of a file that the caller may change, which does not mean to read it.
func (c *call) binaryToChange() (iot.ID, error) {
	id, err := c.id("id", "binary")
	if err != nil {
		return 0, err
	}
	src, err := c.s.Registry.Check(c.ctx, c.p, id, access.ManagedObject, access.Update)
	if err == nil && !src.Binary {
		err = noBinary(id)
	}
	return id, err
}

func getBinary(c *call) error {
	mo, err := c.binary()
	if err != nil {
		return err
	}
	r, size, err := c.s.Blobs.Open(c.ctx, c.p.Tenant, binaryKey(mo.ID), 0)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	part, ok := rangeOf(c.r.Header.Get("Range"), size)
	if !ok {
		c.w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		c.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	if part.from > 0 {
		_ = r.Close()
		if r, _, err = c.s.Blobs.Open(c.ctx, c.p.Tenant, binaryKey(mo.ID), part.from); err != nil {
			return err
		}
	}
	contentType, _ := mo.Fragments.Text("contentType")
	c.w.Header().Set("Accept-Ranges", "bytes")
	status := http.StatusOK
	if part.asked {
		status = http.StatusPartialContent
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.from+part.length-1, size))
	}
	name := mo.Name
	if name == "" {
		name = mo.ID.String()
	}
	return c.download(status, name, orOctets(contentType), part.length, io.LimitReader(r, part.length))
}

// span is a part of a file.
type span struct {
	from, length int64
	asked        bool // the client asked for it; otherwise it is the whole file
}

// rangeOf reads the header Range (RFC 9110 section 14.2). What is not understood, and several ranges at once, mean the whole file;
// ok is false for a range outside of it.
func rangeOf(header string, size int64) (s span, ok bool) {
	whole := span{0, size, false}
	from, to, found := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	if !strings.HasPrefix(header, "bytes=") || !found {
		return whole, true
	}
	first, err1 := strconv.ParseUint(from, 10, 62)
	last, err2 := strconv.ParseUint(to, 10, 62)
	switch {
	case from == "" && err2 == nil: // the last so many bytes
		n := min(int64(last), size)
		return span{size - n, n, true}, n > 0
	case err1 != nil || (to != "" && (err2 != nil || last < first)):
		return whole, true
	case int64(first) >= size:
		return whole, false
	case to == "" || int64(last) >= size:
		return span{int64(first), size - int64(first), true}, true
	}
	return span{int64(first), int64(last-first) + 1, true}, true
}

func putBinary(c *call) error {
	id, err := c.binaryToChange() // before the file is read
	if err != nil {
		return err
	}
	u, discard, err := c.upload(maxBinary)
	if err != nil {
		return err
	}
	defer discard()
	mo, err := c.storeBinary(id, u)
	if err != nil {
		return err
	}
	return c.storedBinary(mo)
}

func deleteBinary(c *call) error {
	id, err := c.binaryToChange()
	if err != nil {
		return err
	}
	if _, err := c.s.Registry.Delete(c.ctx, c.p, id, registry.DeleteOptions{}); err != nil {
		return err
	}
	if _, err := c.s.Blobs.Delete(c.ctx, c.p.Tenant, binaryKey(id)); err != nil {
		return err
	}
	return c.noContent()
}
