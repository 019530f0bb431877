package transfer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/isobar-iot/isobar/fault"
)

const (
	workers   = 8
	batchSize = 200 // measurements in one request
	passes    = 20  // how often what may have been lost is looked for
)

// Receipt compares what was exported with what the target has now. Source hashes are of the documents as they should be there, with the new ids.
type Receipt struct {
	From     string                `json:"from"`
	To       string                `json:"to"`
	Kinds    map[string]Comparison `json:"kinds"`
	Matches  bool                  `json:"matches"`
	NotTaken []Omission            `json:"notTaken"`
	NotMoved []Unmoved             `json:"notMoved"` // kinds that neither command looks at: Matches says nothing about them
}

// Unmoved is a kind of things that is never read from the source.
type Unmoved struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// unmoved are all such kinds.
func unmoved() []Unmoved {
	return []Unmoved{
		{"hosted applications and microservices", "upload and subscribe them again"},
		{"retention rules", "set them again before old data is removed"},
		{"API keys", "their secrets are known only to those who hold them: make new ones"},
		{"published queries", "what they ask for names ids of the source: publish them again"},
		{"bulk operations", "the single operations that they made are moved"},
		{"subscriptions to notifications", "who subscribes makes them again"},
		{"passwords, second factors and sessions", "they are secrets: users set a password, devices and services register again"},
		{"inventory roles and permissions on single devices", "not carried over by this version: assign them again"},
		{"login options and single sign-on", "they name addresses and secrets of the source: set them again"},
		{"trusted certificates and certificate authorities", "upload the certificates again; the keys of an authority never leave their platform"},
		{"rules of MQTT topics, features, and the tenant's own data", "set them again"},
		{"registrations that are not complete", "the devices ask again"},
		{"former versions, change sets and usage figures", "they tell what the source did"},
		{"MQTT sessions, queued and retained messages", "let the devices connect, and the queues run empty, before the export"},
	}
}

// staying are those that an export holds, and no import brings to a target.
func staying() []Unmoved {
	return []Unmoved{
		{"audit records", "the target's audit says only what it saw itself"},
		{"accounts of devices and services", "their passwords are secrets: they register again"},
		{"owner, creationTime and lastUpdated of documents, count of alarms", "the target sets them"},
	}
}

// Comparison is one kind on both sides.
type Comparison struct {
	Source       int64  `json:"source"`
	Target       int64  `json:"target"`
	SourceSHA256 string `json:"sourceSha256"` // the sum of the hashes of all documents
	TargetSHA256 string `json:"targetSha256"`
	Matches      bool   `json:"matches"`
}

// Import brings an export into a tenant of another platform. What an earlier run has made is found and not made again. The receipt is valid if err is
// nil; whether both sides match is for the caller to look at.
func Import(ctx context.Context, dir string, to *Platform, log io.Writer) (Receipt, error) {
	const op = fault.Op("transfer.Import")
	if err := to.open(); err != nil {
		return Receipt{}, err
	}
	m, damage, err := Verify(dir)
	if err == nil && len(damage) > 0 {
		err = fault.E(op, fault.Corrupt, "the export is damaged: "+damage[0])
	}
	if err != nil {
		return Receipt{}, err
	}
	var who struct {
		Name string `json:"name"`
	}
	if err := to.json(ctx, http.MethodGet, "/tenant/currentTenant", nil, &who); err != nil {
		return Receipt{}, err
	}
	i := &importer{p: to, dir: dir, m: m, tenant: who.Name, log: log, ids: map[string]map[string]string{}, omitted: slices.Clone(m.NotTaken), states: map[string]string{},
		receipt: Receipt{From: m.Tenant + " at " + m.Platform, To: who.Name + " at " + to.URL, Kinds: map[string]Comparison{}, Matches: true, NotMoved: unmoved()}}
	for _, step := range []func(context.Context) error{i.options, i.groups, i.users, i.objects, i.identities, i.children, i.references,
		i.measurements, i.documents("events", "/event/events", "events"), i.documents("alarms", "/alarm/alarms", "alarms"),
		i.documents("operations", "/devicecontrol/operations", "operations"), i.statuses, i.attachments, i.compare} {
		if err := step(ctx); err != nil {
			return Receipt{}, err
		}
	}
	i.omit("audits", m.Kinds["audits"].Count, "the records stay in the export: the target's audit says only what it saw itself")
	i.omit("owner, creationTime and lastUpdated of documents, count of alarms", 0, "the target sets them")
	i.receipt.NotTaken = i.omitted
	return i.receipt, nil
}

type importer struct {
	p       *Platform
	dir     string
	m       Manifest
	tenant  string
	log     io.Writer
	receipt Receipt

	mu      sync.Mutex                   // guards what follows
	ids     map[string]map[string]string // old to new, by kind
	states  map[string]string            // of operations, by new id
	omitted []Omission
}

func (i *importer) omit(what string, n int64, reason string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.omitted = append(i.omitted, Omission{what, n, reason})
}

func (i *importer) id(kind, old string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ids[kind][old]
}

func (i *importer) origin(old string) map[string]any {
	return map[string]any{"platform": i.m.Platform, "tenant": i.m.Tenant, "id": old}
}

// original returns the old id of a document of the target, if it comes from this export's tenant.
func (i *importer) original(d doc) (string, bool) {
	o, _ := d[origin].(map[string]any)
	id, ok := o["id"].(string)
	return id, ok && o["platform"] == i.m.Platform && o["tenant"] == i.m.Tenant
}

// imported calls f for every document of the target that was imported.
func (i *importer) imported(ctx context.Context, path, list string, f func(old string, d doc)) error {
	return i.p.each(ctx, path+"?dateFrom=1970-01-01&withChildren=true&fragmentType="+origin, list, func(d doc) error {
		if old, ok := i.original(d); ok {
			f(old, d)
		}
		return nil
	})
}

// make makes what the target does not have yet. After a lost answer, it looks again.
func (i *importer) make(ctx context.Context, kind, path, list string, order []func(doc) bool, create func(context.Context, string, doc) (string, error)) error {
	var err error
	for range passes {
		known := map[string]string{}
		if err := i.imported(ctx, path, list, func(old string, d doc) {
			known[old] = d.text("id")
			if kind == "operations" {
				i.states[d.text("id")] = d.text("status")
			}
		}); err != nil {
			return err
		}
		i.ids[kind] = known
		for _, wanted := range order {
			if err = i.pass(ctx, kind, wanted, create); err != nil {
				break
			}
		}
		if !errors.Is(err, errUnsure) {
			break
		}
	}
	fmt.Fprintf(i.log, "%-13s %d\n", kind, len(i.ids[kind]))
	return err
}

func (i *importer) pass(ctx context.Context, kind string, wanted func(doc) bool, create func(context.Context, string, doc) (string, error)) error {
	// One that fails stops the others from beginning, but not in the middle: what was cut off could still be carried out after we look again.
	var g errgroup.Group
	g.SetLimit(workers)
	var failed atomic.Bool
	err := lines(i.dir, kind, func(d doc) error {
		old := d.text("id")
		if failed.Load() || ctx.Err() != nil {
			return errors.Join(errStopped, ctx.Err())
		}
		if !wanted(d) || i.id(kind, old) != "" {
			return nil
		}
		g.Go(func() error {
			id, err := create(ctx, old, d)
			switch {
			case err == nil:
				i.mu.Lock()
				i.ids[kind][old] = id
				i.mu.Unlock()
			case fault.Is(err, fault.Invalid), fault.Is(err, fault.NotFound), fault.Is(err, fault.Exists):
				i.omit(kind+" "+old, 1, fault.Message(err))
				err = nil
			}
			if err != nil {
				failed.Store(true)
			}
			return err
		})
		return nil
	})
	if e := g.Wait(); e != nil {
		return e
	}
	return err
}

var errStopped = errors.New("another document failed")

func all(doc) bool { return true }

func (i *importer) objects(ctx context.Context) error {
	files := map[string]StoredFile{}
	for _, f := range i.m.Files {
		if f.Of == "objects" {
			files[f.ID] = f
		}
	}
	return i.make(ctx, "objects", "/inventory/managedObjects", "managedObjects", []func(doc) bool{all}, func(ctx context.Context, old string, d doc) (string, error) {
		body := d.bare("objects")
		body[origin] = i.origin(old)
		var made doc
		if f, ok := files[old]; ok {
			return i.upload(ctx, body, f)
		}
		err := i.p.json(ctx, http.MethodPost, "/inventory/managedObjects", body, &made)
		return made.text("id"), err
	})
}

// upload makes an object with its file, which is streamed.
func (i *importer) upload(ctx context.Context, body doc, f StoredFile) (string, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	boundary := rand.Text()
	resp, err := i.p.do(ctx, http.MethodPost, "/inventory/binaries", "multipart/form-data; boundary="+boundary, func() (io.Reader, error) {
		r, w := io.Pipe()
		go func() { _ = w.CloseWithError(form(w, boundary, b, f, filepath.Join(i.dir, filesFolder, f.SHA256))) }()
		return r, nil
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var made doc
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
		return "", errors.Join(errUnsure, err)
	}
	return made.text("id"), nil
}

func form(w io.Writer, boundary string, object []byte, f StoredFile, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	m := multipart.NewWriter(w)
	if err := m.SetBoundary(boundary); err != nil {
		return err
	}
	part, err := m.CreateFormField("object")
	if err == nil {
		_, err = part.Write(object)
	}
	if err == nil {
		part, err = m.CreatePart(textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition("file", f.Name)}, "Content-Type": {f.Type}})
	}
	if err == nil {
		_, err = io.Copy(part, in)
	}
	if err != nil {
		return err
	}
	return m.Close()
}

// references writes those objects again in which ids had to change, now that all are known.
func (i *importer) references(ctx context.Context) error {
	ids := maps.Clone(i.ids["objects"])
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	err := lines(i.dir, "objects", func(d doc) error {
		to := ids[d.text("id")]
		body, changed := rewrite(d.bare("objects"), ids)
		if to == "" || !changed {
			return ctx.Err()
		}
		g.Go(func() error { return i.p.json(ctx, http.MethodPut, "/inventory/managedObjects/"+to, body, nil) })
		return ctx.Err()
	})
	if e := g.Wait(); e != nil {
		return e
	}
	return err
}

func (i *importer) identities(ctx context.Context) error {
	return lines(i.dir, "identities", func(d doc) error {
		to := i.ids["objects"][d.ref("managedObject")]
		if to == "" {
			return nil // its object is in the list already
		}
		err := i.p.json(ctx, http.MethodPost, "/identity/globalIds/"+to+"/externalIds", doc{"type": d["type"], "externalId": d["externalId"]}, nil)
		if fault.Is(err, fault.Exists) || errors.Is(err, errUnsure) { // by an earlier run, or by something else: the comparison tells
			return nil
		}
		return err
	})
}

var relations = []string{"childDevices", "childAssets", "childAdditions"}

// edges calls f for every child of an object.
func edges(d doc, f func(relation, child string) error) error {
	for _, relation := range relations {
		m, _ := d[relation].(map[string]any)
		refs, _ := m["references"].([]any)
		for _, r := range refs {
			r, _ := r.(map[string]any)
			if id := doc(r).ref("managedObject"); id != "" {
				if err := f(relation, id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (i *importer) children(ctx context.Context) error {
	there := map[string]bool{}
	if err := i.imported(ctx, "/inventory/managedObjects", "managedObjects", func(old string, d doc) {
		_ = edges(d, func(relation, child string) error { there[d.text("id")+relation+child] = true; return nil })
	}); err != nil {
		return err
	}
	return lines(i.dir, "objects", func(d doc) error {
		parent := i.ids["objects"][d.text("id")]
		return edges(d, func(relation, old string) error {
			child := i.ids["objects"][old]
			if parent == "" || child == "" || there[parent+relation+child] {
				return nil
			}
			err := i.p.json(ctx, http.MethodPost, "/inventory/managedObjects/"+parent+"/"+relation, doc{"managedObject": doc{"id": child}}, nil)
			if errors.Is(err, errUnsure) || fault.Is(err, fault.Exists) {
				return nil
			}
			return err
		})
	})
}

// documents makes events, alarms or operations. Cleared alarms come first, so that an active one does not swallow them.
func (i *importer) documents(kind, path, list string) func(context.Context) error {
	return func(ctx context.Context) error {
		ids := i.ids["objects"]
		order := []func(doc) bool{all}
		if kind == "alarms" {
			cleared := func(d doc) bool { return d.text("status") == "CLEARED" }
			order = []func(doc) bool{cleared, func(d doc) bool { return !cleared(d) }}
		}
		return i.make(ctx, kind, path, list, order, func(ctx context.Context, old string, d doc) (string, error) {
			body, _ := rewrite(d.bare(kind), ids)
			body[origin] = i.origin(old)
			if kind == "operations" {
				delete(body, "status")
				delete(body, "failureReason")
			}
			var made doc
			err := i.p.json(ctx, http.MethodPost, path, body, &made)
			return made.text("id"), err
		})
	}
}

// statuses brings operations to the status that they had. Those that were waiting wait again.
func (i *importer) statuses(ctx context.Context) error {
	return lines(i.dir, "operations", func(d doc) error {
		id, want := i.ids["operations"][d.text("id")], d.text("status")
		at := i.states[id]
		if id == "" || at == want || want == "PENDING" {
			return nil
		}
		path := "/devicecontrol/operations/" + id
		if at != "EXECUTING" && want != "EXECUTING" {
			if err := i.p.json(ctx, http.MethodPut, path, doc{"status": "EXECUTING"}, nil); err != nil {
				return err
			}
		}
		body := doc{"status": want}
		if r := d.text("failureReason"); r != "" {
			body["failureReason"] = r
		}
		return i.p.json(ctx, http.MethodPut, path, body, nil)
	})
}

func (i *importer) attachments(ctx context.Context) error {
	for _, f := range i.m.Files {
		id := i.ids["events"][f.ID]
		if f.Of != "events" || id == "" {
			continue
		}
		// PUT makes or replaces it, so it may be sent again.
		resp, err := i.p.do(ctx, http.MethodPut, "/event/events/"+id+"/binaries", "multipart/form-data; boundary="+f.SHA256, func() (io.Reader, error) {
			r, w := io.Pipe()
			b, err := json.Marshal(doc{"name": f.Name, "type": f.Type})
			go func() {
				_ = w.CloseWithError(errors.Join(err, form(w, f.SHA256, b, f, filepath.Join(i.dir, filesFolder, f.SHA256))))
			}()
			return r, nil
		})
		if err != nil {
			return err
		}
		_ = closeBody(resp)
	}
	return nil
}

// measurements brings those of one source after the other, which come one after the other in the export.
func (i *importer) measurements(ctx context.Context) error {
	var source string
	var batch []doc
	flush := func() error {
		defer func() { batch = nil }()
		return i.source(ctx, source, batch)
	}
	there := map[[32]byte]int{}
	err := lines(i.dir, "measurements", func(d doc) error {
		to := i.ids["objects"][d.ref("source")]
		if to == "" {
			i.omit("measurement "+d.text("id"), 1, "its source was not carried over")
			return nil
		}
		if to != source {
			if err := flush(); err != nil {
				return err
			}
			source = to
			clear(there)
			if err := i.present(ctx, source, there); err != nil {
				return err
			}
		}
		m, _ := rewrite(d.bare("measurements"), i.ids["objects"])
		if h := fingerprint(m); there[h] > 0 {
			there[h]--
			return nil
		}
		if batch = append(batch, m); len(batch) == batchSize {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	fmt.Fprintf(i.log, "%-13s %d\n", "measurements", i.m.Kinds["measurements"].Count)
	return err
}

// present counts what the target has for a source.
func (i *importer) present(ctx context.Context, source string, there map[[32]byte]int) error {
	return i.p.each(ctx, "/measurement/measurements?dateFrom=1970-01-01&source="+source, "measurements", func(d doc) error {
		there[fingerprint(d.bare("measurements"))]++
		return nil
	})
}

// source sends measurements of one source. After a lost answer, it sends only what is missing.
func (i *importer) source(ctx context.Context, source string, batch []doc) error {
	if len(batch) == 0 {
		return nil
	}
	err := i.p.json(ctx, http.MethodPost, "/measurement/measurements", doc{"measurements": batch}, nil)
	for n := 0; errors.Is(err, errUnsure) && n < passes; n++ {
		there := map[[32]byte]int{}
		if err := i.present(ctx, source, there); err != nil {
			return err
		}
		var missing []doc
		for _, m := range batch {
			if h := fingerprint(m); there[h] == 0 {
				missing = append(missing, m)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		err = i.p.json(ctx, http.MethodPost, "/measurement/measurements", doc{"measurements": missing}, nil)
	}
	return err
}

func (i *importer) options(ctx context.Context) error {
	return lines(i.dir, "options", func(d doc) error {
		err := i.p.json(ctx, http.MethodPut, "/tenant/options/"+url.PathEscape(d.text("category"))+"/"+url.PathEscape(d.text("key")), doc{"value": d["value"]}, nil)
		if fault.Is(err, fault.Invalid) || fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
			i.omit("option "+d.text("category")+"/"+d.text("key"), 1, fault.Message(err))
			return nil
		}
		return err
	})
}

// refs returns the names or ids that a list of references holds.
func refs(d doc, list, member, name string) (out []string) {
	m, _ := d[list].(map[string]any)
	all, _ := m["references"].([]any)
	for _, r := range all {
		r, _ := r.(map[string]any)
		o, _ := r[member].(map[string]any)
		if s, _ := o[name].(string); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func idText(d doc) string { return strings.Trim(fmt.Sprint(d["id"]), " ") }

// groups makes the global roles that the target does not have by name. Those that it has stay as they are.
func (i *importer) groups(ctx context.Context) error {
	path, byName := "/user/"+url.PathEscape(i.tenant)+"/groups", map[string]string{}
	if err := i.p.each(ctx, path, "groups", func(d doc) error { byName[d.text("name")] = idText(d); return nil }); err != nil {
		return err
	}
	err := lines(i.dir, "groups", func(d doc) error {
		name := d.text("name")
		if byName[name] != "" {
			return nil
		}
		var made doc
		if err := i.p.json(ctx, http.MethodPost, path, doc{"name": name, "description": d["description"]}, &made); err != nil {
			return err
		}
		byName[name] = idText(made)
		for _, role := range refs(d, "roles", "role", "id") {
			if err := i.p.json(ctx, http.MethodPost, path+"/"+byName[name]+"/roles", doc{"role": doc{"self": "/user/roles/" + role}}, nil); err != nil {
				i.omit("permission "+role+" of the global role "+name, 1, fault.Message(err))
			}
		}
		return nil
	})
	i.ids["groups"] = byName
	return err
}

// users makes the users that the target does not have by name, with a password that nobody knows.
func (i *importer) users(ctx context.Context) error {
	path, there := "/user/"+url.PathEscape(i.tenant)+"/users", map[string]bool{}
	if err := i.p.each(ctx, path, "users", func(d doc) error { there[d.text("userName")] = true; return nil }); err != nil {
		return err
	}
	var secrets int64
	err := lines(i.dir, "users", func(d doc) error {
		name := d.text("userName")
		if strings.HasPrefix(name, "device_") || strings.HasPrefix(name, "service_") || strings.HasPrefix(name, "servicebootstrap_") {
			i.omit("user "+name, 1, "its password is a secret: the device or service must register again")
			return nil
		}
		secrets++
		if there[name] {
			return nil
		}
		body := doc{"userName": name, "password": "Aa1-" + rand.Text(), "shouldResetPassword": true}
		for _, k := range []string{"email", "firstName", "lastName", "displayName", "phone", "enabled"} {
			if v, ok := d[k]; ok && v != "" {
				body[k] = v
			}
		}
		if err := i.p.json(ctx, http.MethodPost, path, body, nil); err != nil {
			i.omit("user "+name, 1, fault.Message(err))
			return nil
		}
		self := doc{"user": doc{"self": i.p.URL + path + "/" + url.PathEscape(name)}}
		for _, group := range refs(d, "groups", "group", "name") {
			if err := i.p.json(ctx, http.MethodPost, "/user/"+url.PathEscape(i.tenant)+"/groups/"+i.ids["groups"][group]+"/users", self, nil); err != nil {
				i.omit("global role "+group+" of user "+name, 1, fault.Message(err))
			}
		}
		return nil
	})
	if secrets > 0 {
		i.omit("passwords and second factors of users", secrets, "they are secrets: new users must set a password")
	}
	i.omit("inventory roles", 0, "not carried over by this version")
	return err
}
