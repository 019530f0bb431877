package c8yrest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/applogic"
)

const formRoom = 1 << 20 // bytes of a form beside its file

// multipart returns the parts of a multipart body, nil if the body is something else.
func (c *call) multipart(limit int64) (*multipart.Reader, error) {
	if c.r.ContentLength > limit+formRoom {
		return nil, fault.Errorf(uploadOp, fault.TooLarge, "the file must not be larger than %d bytes", limit)
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, limit+formRoom)
	media, params, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if media != "multipart/form-data" {
		return nil, nil
	}
	if params["boundary"] == "" {
		return nil, fault.E(uploadOp, fault.Malformed, "the multipart body has no boundary in its Content-Type")
	}
	return multipart.NewReader(c.r.Body, params["boundary"]), nil
}

// uploadBinary takes the part "file" of a form, or the body itself.
func uploadBinary(c *call) error {
	parts, err := c.multipart(applogic.MaxArchive)
	if err != nil {
		return err
	}
	content, name := io.Reader(c.r.Body), ""
	for parts != nil {
		part, err := parts.NextPart()
		if err != nil {
			return fault.E(uploadOp, fault.Malformed, err, "the form needs a part named file")
		}
		if part.FormName() == "file" {
			content, name = part, part.FileName()
			break
		}
	}
	a, b, err := c.s.Applications.Upload(c.ctx, c.p, c.r.PathValue("id"), name, content)
	if err != nil {
		return err
	}
	var o object
	c.writeBinary(&o, a, b)
	c.w.Header().Set("Location", c.binaryURL(a, b.ID))
	return c.json(http.StatusCreated, "application", o.b)
}

func (c *call) binaryURL(a applogic.App, id iot.ID) string {
	return c.base() + "/application/applications/" + a.ID.String() + "/binaries/" + id.String()
}

func (c *call) writeBinary(o *object, a applogic.App, b applogic.Binary) {
	o.open()
	o.id("id", b.ID)
	o.text("self", c.binaryURL(a, b.ID))
	o.text("name", b.Name)
	o.int("length", b.Size)
	o.time("created", b.Created)
	o.some("contextPath", a.ContextPath)
	o.some("description", a.Description)
	o.text("type", "application/zip")
	o.text("sha256", b.SHA256)
	o.text("downloadUrl", c.binaryURL(a, b.ID))
	o.close()
}

func listAppBinaries(c *call) error {
	a, err := c.s.Applications.Binaries(c.ctx, c.p, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.list("attachments")
	for _, b := range a.Binaries {
		c.writeBinary(&o, a, b)
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "applicationbinaries", o.b)
}

func (c *call) binaryID() (iot.ID, error) {
	id, ok := iot.ParseID(c.r.PathValue("binary"))
	if !ok {
		return 0, fault.E(fault.Op("c8yrest.Binary"), fault.NotFound, "the application has no binary "+clip(c.r.PathValue("binary")))
	}
	return id, nil
}

func downloadBinary(c *call) error {
	id, err := c.binaryID()
	if err != nil {
		return err
	}
	content, b, err := c.s.Applications.Download(c.ctx, c.p, c.r.PathValue("id"), id)
	if err != nil {
		return err
	}
	return c.sendFile(b.Name, "application/zip", content)
}

func deleteAppBinary(c *call) error {
	id, err := c.binaryID()
	if err != nil {
		return err
	}
	if err := c.s.Applications.DeleteBinary(c.ctx, c.p, c.r.PathValue("id"), id); err != nil {
		return err
	}
	return c.noContent()
}

// patchFiles takes a form whose parts are files, named by their paths in the archive.
func patchFiles(c *call) error {
	if err := c.s.Applications.Manageable(c.ctx, c.p, c.r.PathValue("id")); err != nil { // before the files are read
		return err
	}
	if err := c.room(false); err != nil {
		return err
	}
	parts, err := c.multipart(maxBody)
	if err != nil {
		return err
	}
	if parts == nil {
		return fault.E(uploadOp, fault.Malformed, "the body must be a form (multipart/form-data)")
	}
	var files []applogic.Patched
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fault.E(uploadOp, fault.Malformed, err, "the form could not be read")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return fault.E(uploadOp, fault.Malformed, err, "the form could not be read")
		}
		files = append(files, applogic.Patched{Path: part.FormName(), Content: content})
	}
	a, err := c.s.Applications.PatchFiles(c.ctx, c.p, c.r.PathValue("id"), files)
	if err != nil {
		return err
	}
	return c.storedApp(http.StatusCreated, a)
}

func (c *call) writeVersion(o *object, v applogic.Version) {
	o.open()
	o.text("version", v.Version)
	o.id("binaryId", v.Binary)
	o.texts("tags", v.Tags)
	o.close()
}

// versionBody reads the description of a version.
func versionBody(b []byte) (v applogic.Version, err error) {
	var in struct {
		Version string   `json:"version"`
		Tags    []string `json:"tags"`
		Binary  string   `json:"binaryId"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return v, fault.E(fault.Op("c8yrest.Version"), fault.Invalid, "the version must have the form {\"version\": \"1.0.0\", \"tags\": [\"stable\"]}")
	}
	v.Binary, _ = iot.ParseID(in.Binary)
	v.Version, v.Tags = in.Version, in.Tags
	return v, nil
}

// addVersion takes a form with the parts applicationBinary and applicationVersion in any order, or c8y: JSON that names a binary.
func addVersion(c *call) error {
	key := c.r.PathValue("id")
	if err := c.s.Applications.Manageable(c.ctx, c.p, key); err != nil { // before the file is read
		return err
	}
	parts, err := c.multipart(applogic.MaxArchive)
	if err != nil {
		return err
	}
	if parts == nil {
		b, err := c.jsonBody()
		if err != nil {
			return err
		}
		v, err := versionBody(b)
		if err == nil {
			v, err = c.s.Applications.NameVersion(c.ctx, c.p, key, v)
		}
		return c.addedVersion(v, err)
	}
	var v *applogic.Version
	var content io.Reader
	var name string
	for v == nil || content == nil {
		part, err := parts.NextPart()
		if err != nil {
			return fault.E(uploadOp, fault.Malformed, err, "the form needs the parts applicationBinary and applicationVersion")
		}
		switch part.FormName() {
		case "applicationVersion":
			b, err := io.ReadAll(io.LimitReader(part, 64<<10))
			if err != nil {
				return fault.E(uploadOp, fault.Malformed, err, "the part applicationVersion could not be read")
			}
			read, err := versionBody(b)
			if err != nil {
				return err
			}
			v = &read
		case "applicationBinary":
			if content != nil {
				return fault.E(uploadOp, fault.Malformed, "the form has two parts applicationBinary")
			}
			name, content = part.FileName(), part
			if v == nil {
				var discard func()
				content, discard, err = spool(part)
				defer discard()
				if err != nil {
					return err
				}
			}
		}
	}
	added, err := c.s.Applications.AddVersion(c.ctx, c.p, key, *v, name, content)
	return c.addedVersion(added, err)
}

func (c *call) addedVersion(v applogic.Version, err error) error {
	if err != nil {
		return err
	}
	var o object
	c.writeVersion(&o, v)
	return c.json(http.StatusCreated, "applicationVersion", o.b)
}

// getVersions serves all versions, or the one that a parameter names.
func getVersions(c *call) error {
	version, tag := c.query.Get("version"), c.query.Get("tag")
	if version != "" && tag != "" {
		return fault.E(fault.Op("c8yrest.Versions"), fault.Invalid, "give version or tag, not both")
	}
	if version != "" || tag != "" {
		return c.oneVersion(version + tag)
	}
	a, err := c.app()
	switch {
	case err != nil:
		return err
	case a.Type == applogic.External:
		return fault.E(fault.Op("c8yrest.Versions"), fault.Invalid, "an external application has no versions")
	case len(a.Versions) == 0:
		return fault.E(fault.Op("c8yrest.Versions"), fault.NotFound, "the application has no versions")
	}
	var o object
	o.open()
	o.list("applicationVersions")
	for _, v := range a.Versions {
		c.writeVersion(&o, v)
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "applicationVersionCollection", o.b)
}

func getVersion(c *call) error { return c.oneVersion(c.r.PathValue("version")) }

func (c *call) oneVersion(name string) error {
	a, err := c.app()
	if err != nil {
		return err
	}
	v, ok := a.Find(name)
	if !ok {
		return fault.E(fault.Op("c8yrest.Versions"), fault.NotFound, "the application has no version or tag "+clip(name))
	}
	var o object
	c.writeVersion(&o, v)
	return c.json(http.StatusOK, "applicationVersion", o.b)
}

func tagVersion(c *call) error {
	b, err := c.jsonBody()
	if err != nil {
		return err
	}
	v, err := versionBody(b)
	if err != nil {
		return err
	}
	if v, err = c.s.Applications.SetTags(c.ctx, c.p, c.r.PathValue("id"), c.r.PathValue("version"), v.Tags); err != nil {
		return err
	}
	var o object
	c.writeVersion(&o, v)
	return c.json(http.StatusOK, "applicationVersion", o.b)
}

func deleteVersion(c *call) error {
	version, tag := c.query.Get("version"), c.query.Get("tag")
	if (version == "") == (tag == "") {
		return fault.E(fault.Op("c8yrest.Versions"), fault.Invalid, "give version or tag, one of both")
	}
	if err := c.s.Applications.DeleteVersion(c.ctx, c.p, c.r.PathValue("id"), version+tag); err != nil {
		return err
	}
	return c.noContent()
}
