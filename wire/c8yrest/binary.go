package c8yrest

import (
	"net/http"
	"strconv"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

func binaryKey(id iot.ID) string { return "binary/" + id.String() }

// createBinary stores a file and the managed object that describes it. The object is made first, so that there is an owner to decide by;
// if the file cannot be stored, the object goes again.
func createBinary(c *call) error {
	u, discard, err := c.upload(c.s.MaxBinary)
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
	n, _, err := c.s.Blobs.Put(c.ctx, c.p.Tenant, binaryKey(id), u.content, c.s.MaxBinary)
	if err != nil {
		return registry.Object{}, err
	}
	patch := iot.Doc{{Name: "length", Raw: strconv.AppendInt(nil, n, 10)}, {Name: "contentType", Raw: iot.AppendText(nil, orOctets(u.contentType))}}
	return c.s.Registry.Patch(c.ctx, c.p, id, registry.Draft{Fragments: patch})
}

// storedBinary answers with the object that describes a file. c8y: its link leads to the content, not to the object, since applications hand it to devices as
// the address to download from.
func (c *call) storedBinary(mo registry.Object) error {
	location := c.base() + "/inventory/binaries/" + mo.ID.String()
	return c.stored(http.StatusCreated, "managedobject", location, func() ([]byte, error) {
		var o object
		writeObjectAt(&o, c.base(), location, mo, refs{})
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
	b, err := c.s.Blobs.Find(c.ctx, c.p.Tenant, binaryKey(mo.ID))
	if err != nil {
		return err
	}
	contentType, _ := mo.Fragments.Text("contentType")
	name := mo.Name
	if name == "" {
		name = mo.ID.String()
	}
	return c.sendFile(name, contentType, b)
}

// binaryCondition is what If-Match demands of a stored file.
func (c *call) binaryCondition(id iot.ID) error {
	return c.fileCondition(func() (*blob.Blob, error) { return c.s.Blobs.Find(c.ctx, c.p.Tenant, binaryKey(id)) })
}

func putBinary(c *call) error {
	id, err := c.binaryToChange() // before the file is read
	if err != nil {
		return err
	}
	if err := c.binaryCondition(id); err != nil {
		return err
	}
	u, discard, err := c.upload(c.s.MaxBinary)
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
	if err == nil {
		err = c.binaryCondition(id)
	}
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
