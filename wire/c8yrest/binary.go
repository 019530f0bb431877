package c8yrest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

const maxBinary = 50 << 20

func binaryKey(id iot.ID) string { return "binary/" + id.String() }

// createBinary stores a file and the managed object that describes it. The object is made first, so that there is an owner to decide by;
// if the file cannot be stored, the object goes again.
func createBinary(c *call) error {
	u, err := c.upload(maxBinary)
	if err != nil {
		return err
	}
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
	if err != nil {
		return mo, err
	}
	if !mo.Fragments.Has(iot.FragmentIsBinary) {
		return mo, fault.E(fault.Op("c8yrest.Binary"), fault.NotFound, fault.Subject(id.String()), "the managed object "+id.String()+" is no binary")
	}
	return mo, nil
}

func getBinary(c *call) error {
	mo, err := c.binary()
	if err != nil {
		return err
	}
	offset, ranged := int64(0), false
	if h := c.r.Header.Get("Range"); strings.HasPrefix(h, "bytes=") && strings.HasSuffix(h, "-") { // resumed downloads ask for the rest
		if n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(h, "bytes="), "-"), 10, 64); err == nil && n > 0 {
			offset, ranged = n, true
		}
	}
	r, size, err := c.s.Blobs.Open(c.ctx, c.p.Tenant, binaryKey(mo.ID), offset)
	if err != nil {
		return err
	}
	defer r.Close()
	contentType, _ := mo.Fragments.Text("contentType")
	c.w.Header().Set("Accept-Ranges", "bytes")
	if ranged && offset < size {
		c.w.Header().Set("Content-Range", "bytes "+strconv.FormatInt(offset, 10)+"-"+strconv.FormatInt(size-1, 10)+"/"+strconv.FormatInt(size, 10))
		return c.download(http.StatusPartialContent, mo.Name, orOctets(contentType), size-offset, r)
	}
	return c.download(http.StatusOK, mo.Name, orOctets(contentType), size, r)
}

func putBinary(c *call) error {
	mo, err := c.binary()
	if err != nil {
		return err
	}
	// Deciding before the file is read: a patch of nothing asks whether the caller may change the object.
	if _, err := c.s.Registry.Patch(c.ctx, c.p, mo.ID, registry.Draft{}); err != nil {
		return err
	}
	u, err := c.upload(maxBinary)
	if err != nil {
		return err
	}
	if mo, err = c.storeBinary(mo.ID, u); err != nil {
		return err
	}
	return c.storedBinary(mo)
}

func deleteBinary(c *call) error {
	mo, err := c.binary()
	if err != nil {
		return err
	}
	if _, err := c.s.Registry.Delete(c.ctx, c.p, mo.ID, registry.DeleteOptions{}); err != nil {
		return err
	}
	if _, err := c.s.Blobs.Delete(c.ctx, c.p.Tenant, binaryKey(mo.ID)); err != nil {
		return err
	}
	return c.noContent()
}
