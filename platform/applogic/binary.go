package applogic

import (
	"archive/zip"
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Limits of one application.
const (
	maxBinaries = 100
	maxTags     = 10
)

func blobKey(app, binary iot.ID) string { return "application/" + app.String() + "/" + binary.String() }

// Upload adds an archive to an application. That of a microservice becomes active at once, with the permissions and settings of its manifest; that of a web
// application when activeVersionId names it.
func (s *Apps) Upload(ctx context.Context, p iot.Principal, key, name string, content io.Reader) (App, Binary, error) {
	a, err := s.own(ctx, p, key, access.Admin)
	if err != nil {
		return App{}, Binary{}, err
	}
	return s.upload(ctx, p, a, name, content, func(*App, Binary) error { return nil })
}

// upload checks and stores an archive, and lets more be done to the application in the same write.
func (s *Apps) upload(ctx context.Context, p iot.Principal, a App, name string, content io.Reader, more func(*App, Binary) error) (App, Binary, error) {
	const op = fault.Op("applogic.Upload")
	switch {
	case a.Type == External:
		return App{}, Binary{}, fault.E(op, fault.Invalid, "an external application has no archives")
	case a.Type == Microservice && !s.d.Processes:
		return App{}, Binary{}, fault.E(op, fault.Invalid, "this server runs no microservices: start it with --microservice-processes, or give the application an externalUrl where the service listens")
	case len(a.Binaries) >= maxBinaries:
		return App{}, Binary{}, fault.Errorf(op, fault.Conflict, "an application has at most %d binaries: delete some", maxBinaries)
	}
	file, size, err := spool(content)
	if err != nil {
		return App{}, Binary{}, err
	}
	defer func() { _ = file.Close(); _ = os.Remove(file.Name()) }()
	doc, err := inspect(file, size, a.Type)
	if err != nil {
		return App{}, Binary{}, err
	}
	m, err := parseManifest(doc)
	if err != nil {
		return App{}, Binary{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return App{}, Binary{}, fault.E(op, err)
	}
	b, err := s.keep(ctx, a, name, file)
	if err != nil {
		return App{}, Binary{}, err
	}
	after, err := s.update(ctx, p, a, "Application binary uploaded", func(now *App) error {
		if len(now.Binaries) >= maxBinaries {
			return fault.Errorf(op, fault.Conflict, "an application has at most %d binaries: delete some", maxBinaries)
		}
		now.Binaries = append(now.Binaries, b)
		if now.Type == Microservice {
			now.Active, now.Roles, now.RequiredRoles = b.ID, m.Roles, m.RequiredRoles
		}
		if now.Type == Microservice || len(now.Manifest) == 0 {
			now.Manifest = doc
		}
		return more(now, b)
	})
	if err != nil {
		_, _ = s.d.Blobs.Delete(context.WithoutCancel(ctx), a.Owner, blobKey(a.ID, b.ID)) // what remains goes with the tenant
		return App{}, Binary{}, err
	}
	return after, b, nil
}

// spool keeps an upload aside: its directory is at its end.
func spool(r io.Reader) (*os.File, int64, error) {
	f, err := os.CreateTemp("", "isobar-application-*")
	if err != nil {
		return nil, 0, fault.E(archiveOp, err)
	}
	n, err := io.Copy(f, io.LimitReader(r, MaxArchive+1))
	switch {
	case err != nil:
		err = fault.E(archiveOp, fault.Malformed, err, "the archive could not be read")
	case n > MaxArchive:
		err = fault.Errorf(archiveOp, fault.TooLarge, "an archive must not be larger than %d MB", MaxArchive>>20)
	default:
		return f, n, nil
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	return nil, 0, err
}

// inspect checks an archive whole and returns its manifest.
func inspect(r io.ReaderAt, size int64, t Type) (iot.Doc, error) {
	a, files, err := directory(r, size)
	if err != nil {
		return nil, err
	}
	_, index := a.files["index.html"]
	_, described := a.files[manifestAt]
	switch {
	case t == Hosted && !index && !described:
		return nil, badArchive("it has neither index.html nor %s in its root", manifestAt)
	case t == Microservice && !described:
		return nil, badArchive("it has no %s in its root", manifestAt)
	}
	if err := verify(files); err != nil {
		return nil, err
	}
	return readManifest(files)
}

// keep stores an archive.
func (s *Apps) keep(ctx context.Context, a App, name string, r io.Reader) (Binary, error) {
	id, err := s.d.Store.NextID(ctx)
	if err != nil {
		return Binary{}, sqlkit.Fault("applogic.Keep", err)
	}
	if name = strings.ToValidUTF8(name[strings.LastIndexAny(name, `/\`)+1:], ""); name == "" || len(name) > 255 {
		name = a.Name + ".zip"
	}
	size, sha, err := s.d.Blobs.Put(ctx, a.Owner, blobKey(a.ID, id), r, MaxArchive)
	return Binary{ID: id, Name: name, Size: size, SHA256: sha, Created: s.d.Clock.Now()}, err
}

// Binaries returns an application of p's tenant with its binaries. It needs ROLE_APPLICATION_MANAGEMENT_READ.
func (s *Apps) Binaries(ctx context.Context, p iot.Principal, key string) (App, error) {
	return s.own(ctx, p, key, access.Read)
}

// Download finds an archive. It needs ROLE_APPLICATION_MANAGEMENT_READ in the tenant that owns it.
func (s *Apps) Download(ctx context.Context, p iot.Principal, key string, id iot.ID) (*blob.Blob, Binary, error) {
	a, err := s.own(ctx, p, key, access.Read)
	if err != nil {
		return nil, Binary{}, err
	}
	b, ok := a.binary(id)
	if !ok {
		return nil, b, noBinary(id)
	}
	content, err := s.d.Blobs.Find(ctx, a.Owner, blobKey(a.ID, id))
	return content, b, err
}

func noBinary(id iot.ID) error {
	return fault.E(fault.Op("applogic.Binary"), fault.NotFound, "the application has no binary "+id.String())
}

// DeleteBinary removes an archive that is not served. Versions that name it go with it.
func (s *Apps) DeleteBinary(ctx context.Context, p iot.Principal, key string, id iot.ID) error {
	a, err := s.Update(ctx, p, key, func(a *App) error {
		if _, ok := a.binary(id); !ok {
			return noBinary(id)
		}
		if a.Active == id {
			return fault.E(fault.Op("applogic.DeleteBinary"), fault.Conflict, "the binary is the active one: activate another one first")
		}
		a.Binaries = slices.DeleteFunc(a.Binaries, func(b Binary) bool { return b.ID == id })
		a.Versions = slices.DeleteFunc(a.Versions, func(v Version) bool { return v.Binary == id })
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.d.Blobs.Delete(ctx, a.Owner, blobKey(a.ID, id))
	return err
}

// Patched is a file that PatchFiles writes.
type Patched struct {
	Path    string
	Content []byte
}

// PatchFiles replaces or adds files of the active archive: a new archive is made of both and becomes active.
func (s *Apps) PatchFiles(ctx context.Context, p iot.Principal, key string, files []Patched) (App, error) {
	const op = fault.Op("applogic.PatchFiles")
	a, err := s.own(ctx, p, key, access.Admin)
	if err != nil {
		return App{}, err
	}
	if a.Type != Hosted || a.Active == 0 {
		return App{}, fault.E(op, fault.Invalid, "only a hosted application with an active archive can be patched")
	}
	for _, f := range files {
		if err := checkPath(f.Path); err != nil {
			return App{}, err
		}
	}
	old, _ := a.binary(a.Active)
	source, _, err := s.d.Blobs.Open(ctx, a.Owner, blobKey(a.ID, a.Active), 0)
	if err != nil {
		return App{}, err
	}
	defer func() { _ = source.Close() }()
	file, size, err := spool(source)
	if err != nil {
		return App{}, err
	}
	defer func() { _ = file.Close(); _ = os.Remove(file.Name()) }()
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(rewrite(pw, file, size, files)) }()
	defer func() { _ = pr.Close() }()
	after, _, err := s.upload(ctx, p, a, old.Name, pr, func(now *App, b Binary) error {
		now.Active = b.ID
		for i := range now.Versions { // the version stays what is served under its name
			if now.Versions[i].Binary == old.ID {
				now.Versions[i].Binary = b.ID
			}
		}
		now.Binaries = slices.DeleteFunc(now.Binaries, func(x Binary) bool { return x.ID == old.ID })
		for _, f := range files {
			if f.Path != manifestAt {
				continue
			}
			doc, err := iot.ParseDoc(f.Content, iot.MaxDepth)
			if err != nil {
				return badArchive("%s is not valid JSON: %v", manifestAt, err)
			}
			now.Manifest = doc
		}
		return nil
	})
	if err != nil {
		return App{}, err
	}
	if _, err := s.d.Blobs.Delete(ctx, a.Owner, blobKey(a.ID, old.ID)); err != nil {
		s.d.Log.Warn("a replaced archive stays", "tenant", a.Owner, "app", a.ID, "err", err)
	}
	return after, nil
}

// rewrite copies an archive, with other files in the place of its own.
func rewrite(w io.Writer, r io.ReaderAt, size int64, files []Patched) error {
	from, err := zip.NewReader(r, size)
	if err != nil {
		return err
	}
	to := zip.NewWriter(w)
	for _, f := range from.File {
		if slices.ContainsFunc(files, func(x Patched) bool { return x.Path == f.Name }) {
			continue
		}
		if err := to.Copy(f); err != nil {
			return err
		}
	}
	for _, f := range files {
		out, err := to.Create(f.Path)
		if err != nil {
			return err
		}
		if _, err := out.Write(f.Content); err != nil {
			return err
		}
	}
	return to.Close()
}

// AddVersion adds an archive under the name of a version. The first version gets the tag latest; the version with it is served.
func (s *Apps) AddVersion(ctx context.Context, p iot.Principal, key string, v Version, name string, content io.Reader) (Version, error) {
	const op = fault.Op("applogic.AddVersion")
	a, err := s.own(ctx, p, key, access.Admin)
	if err != nil {
		return v, err
	}
	if a.Type != Hosted {
		return v, fault.E(op, fault.Invalid, "only hosted applications have versions")
	}
	if err := v.check(); err != nil {
		return v, err
	}
	after, _, err := s.upload(ctx, p, a, name, content, func(now *App, b Binary) error {
		v.Binary = b.ID
		return now.addVersion(v)
	})
	if err != nil {
		return v, err
	}
	v, _ = after.Find(v.Version)
	return v, nil
}

// NameVersion makes a binary that the application has already a version.
func (s *Apps) NameVersion(ctx context.Context, p iot.Principal, key string, v Version) (Version, error) {
	if err := v.check(); err != nil {
		return v, err
	}
	a, err := s.Update(ctx, p, key, func(a *App) error {
		if _, ok := a.binary(v.Binary); !ok || a.Type != Hosted {
			return fault.E(fault.Op("applogic.NameVersion"), fault.Invalid, "binaryId must be the id of a binary of a hosted application")
		}
		return a.addVersion(v)
	})
	if err != nil {
		return v, err
	}
	v, _ = a.Find(v.Version)
	return v, nil
}

// addVersion adds a version, the first one as the latest.
func (a *App) addVersion(v Version) error {
	if _, taken := a.Find(v.Version); taken {
		return fault.E(fault.Op("applogic.AddVersion"), fault.Exists, "the application has a version or tag "+v.Version+" already")
	}
	if len(a.Versions) == 0 && !slices.Contains(v.Tags, Latest) {
		v.Tags = append(slices.Clone(v.Tags), Latest)
	}
	a.Versions = append(a.Versions, v)
	return a.tag(v.Version, v.Tags)
}

// check says what no version can be, and brings its tags into their form.
func (v *Version) check() error {
	const op = fault.Op("applogic.Version")
	if !versionName.MatchString(v.Version) {
		return fault.E(op, fault.Invalid, "version must be up to 128 letters, digits, dots, plus signs, hyphens and underscores")
	}
	if len(v.Tags) > maxTags {
		return fault.Errorf(op, fault.Invalid, "a version has at most %d tags", maxTags)
	}
	for i, t := range v.Tags {
		if v.Tags[i] = strings.ToLower(t); !versionName.MatchString(t) {
			return fault.E(op, fault.Invalid, "tags must be up to 128 letters, digits, dots, plus signs, hyphens and underscores")
		}
	}
	slices.Sort(v.Tags)
	v.Tags = slices.Compact(v.Tags)
	return nil
}

// tag gives tags to a version and takes them from the others.
func (a *App) tag(version string, tags []string) error {
	for i := range a.Versions {
		v := &a.Versions[i]
		if v.Version == version {
			v.Tags = slices.Clone(tags)
			if slices.Contains(tags, Latest) {
				a.Active = v.Binary
			}
			continue
		}
		if slices.Contains(tags, strings.ToLower(v.Version)) {
			return fault.E(fault.Op("applogic.Tag"), fault.Exists, "a tag must not be the name of another version: "+v.Version)
		}
		v.Tags = slices.DeleteFunc(v.Tags, func(t string) bool { return slices.Contains(tags, t) })
	}
	return nil
}

// SetTags makes the tags of a version the given ones. The tag latest can be moved, but not taken away.
func (s *Apps) SetTags(ctx context.Context, p iot.Principal, key, version string, tags []string) (Version, error) {
	v := Version{Version: version, Tags: slices.Clone(tags)}
	if err := v.check(); err != nil {
		return v, err
	}
	a, err := s.Update(ctx, p, key, func(a *App) error {
		i := slices.IndexFunc(a.Versions, func(x Version) bool { return x.Version == version })
		if i < 0 {
			return noVersion(version)
		}
		if slices.Contains(a.Versions[i].Tags, Latest) && !slices.Contains(v.Tags, Latest) {
			v.Tags = append(v.Tags, Latest)
		}
		return a.tag(version, v.Tags)
	})
	if err != nil {
		return v, err
	}
	v, _ = a.Find(version)
	return v, nil
}

func noVersion(name string) error {
	return fault.E(fault.Op("applogic.Version"), fault.NotFound, "the application has no version or tag "+name)
}

// DeleteVersion removes the version with a name or a tag, and its archive. The one with the tag latest stays.
func (s *Apps) DeleteVersion(ctx context.Context, p iot.Principal, key, name string) error {
	var gone iot.ID
	a, err := s.Update(ctx, p, key, func(a *App) error {
		v, ok := a.Find(name)
		if !ok {
			return noVersion(name)
		}
		if slices.Contains(v.Tags, Latest) || v.Binary == a.Active {
			return fault.E(fault.Op("applogic.DeleteVersion"), fault.Conflict, "the version with the tag latest, or that is active, cannot be deleted")
		}
		gone = v.Binary
		a.Versions = slices.DeleteFunc(a.Versions, func(x Version) bool { return x.Version == v.Version })
		a.Binaries = slices.DeleteFunc(a.Binaries, func(b Binary) bool { return b.ID == gone })
		return nil
	})
	if err != nil {
		return err
	}
	_, err = s.d.Blobs.Delete(ctx, a.Owner, blobKey(a.ID, gone))
	return err
}
