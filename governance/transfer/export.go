package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

// Format of the folder. Another one is refused.
const Format = 1

const (
	manifestName = "export.json"
	progressName = "progress.json"
	filesFolder  = "files"
	maxLine      = 64 << 20 // of a file of JSON lines
)

// kind is one sort of documents.
type kind struct {
	name, path, list string
	bySource         bool // asked for one object after the other
}

// kinds in the order of export. The rest depends on objects.
var kinds = []kind{
	{"options", "/tenant/options", "options", false},
	{"groups", "/user/{tenant}/groups", "groups", false},
	{"users", "/user/{tenant}/users", "users", false},
	{"objects", "/inventory/managedObjects?withChildren=true", "managedObjects", false},
	{"identities", "/identity/globalIds/{source}/externalIds", "externalIds", true},
	{"measurements", "/measurement/measurements?source={source}&dateFrom=1970-01-01&dateTo={asOf}", "measurements", true},
	{"events", "/event/events?dateFrom=1970-01-01&dateTo={asOf}", "events", false},
	{"alarms", "/alarm/alarms?dateFrom=1970-01-01&dateTo={asOf}", "alarms", false},
	{"operations", "/devicecontrol/operations?dateFrom=1970-01-01&dateTo={asOf}", "operations", false},
	{"audits", "/audit/auditRecords?dateTo={asOf}", "auditRecords", false},
}

// Manifest says what an export consists of.
type Manifest struct {
	Format   int             `json:"format"`
	Platform string          `json:"platform"`
	Tenant   string          `json:"tenant"`
	AsOf     time.Time       `json:"asOf"` // what came later is not in it
	Kinds    map[string]Part `json:"kinds"`
	Files    []StoredFile    `json:"files"`
	NotTaken []Omission      `json:"notTaken"`
	// NotMoved are the kinds that an export does not look at, and Stays those that are in it, but that no import brings to a target.
	NotMoved []Unmoved `json:"notMoved"`
	Stays    []Unmoved `json:"stays"`
}

// Print shows what an export holds, and what not, to a person.
func (m Manifest) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, k := range kinds {
		fmt.Fprintf(w, "%s\t%d\n", k.name, m.Kinds[k.name].Count)
	}
	fmt.Fprintf(w, "files\t%d\n", len(m.Files))
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range m.NotTaken {
		fmt.Fprintf(out, "not taken: %s (%d): %s\n", o.What, o.Count, o.Reason)
	}
	printUnmoved(out, "in the export, but not imported anywhere:", m.Stays)
	printUnmoved(out, "not in the export:", m.NotMoved)
	return nil
}

func printUnmoved(out io.Writer, title string, list []Unmoved) {
	fmt.Fprintln(out, "\n"+title)
	for _, u := range list {
		fmt.Fprintf(out, "  %s: %s\n", u.What, u.Reason)
	}
}

// Part is the file of one kind.
type Part struct {
	Count  int64  `json:"count"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // of the file
}

// StoredFile is the file of an object or an event.
type StoredFile struct {
	Of     string `json:"of"` // objects or events
	ID     string `json:"id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Omission is what was not carried over.
type Omission struct {
	What   string `json:"what"`
	Count  int64  `json:"count"`
	Reason string `json:"reason"`
}

// progress is how far an export has come.
type progress struct {
	Manifest
	Done   map[string]bool `json:"done"`
	Bytes  int64           `json:"bytes"`  // of the kind that is being written
	Count  int64           `json:"count"`  // of its documents
	Source int             `json:"source"` // index of the object that it is about
	Page   int             `json:"page"`   // the next one
}

// Export writes a tenant into a folder, which must be new, empty, or that of an unfinished export of the same tenant, which goes on. What log gets is for people.
func Export(ctx context.Context, p *Platform, dir string, now time.Time, log io.Writer) (Manifest, error) {
	const op = fault.Op("transfer.Export")
	if err := p.open(); err != nil {
		return Manifest{}, err
	}
	if m, err := ReadManifest(dir); err == nil {
		return m, fault.E(op, fault.Exists, dir+" holds a complete export already")
	}
	var who struct {
		Name string `json:"name"`
	}
	if err := p.json(ctx, http.MethodGet, "/tenant/currentTenant", nil, &who); err != nil {
		return Manifest{}, err
	}
	e := &exporter{p: p, dir: dir, log: log}
	if err := e.resume(who.Name, now); err != nil {
		return Manifest{}, err
	}
	for _, k := range kinds {
		if e.s.Done[k.name] {
			continue
		}
		if err := e.kind(ctx, k); err != nil {
			return e.s.Manifest, err
		}
	}
	if err := e.files(ctx); err != nil {
		return e.s.Manifest, err
	}
	e.s.NotMoved, e.s.Stays = unmoved(), staying()
	if err := writeJSON(filepath.Join(dir, manifestName), e.s.Manifest); err != nil {
		return e.s.Manifest, err
	}
	return e.s.Manifest, os.Remove(filepath.Join(dir, progressName))
}

type exporter struct {
	p       *Platform
	dir     string
	log     io.Writer
	s       progress
	sources []string
}

func (e *exporter) resume(tenant string, now time.Time) error {
	const op = fault.Op("transfer.Export")
	if err := os.MkdirAll(filepath.Join(e.dir, filesFolder), 0o700); err != nil {
		return fault.E(op, fault.Unavailable, err, err.Error())
	}
	b, err := os.ReadFile(filepath.Join(e.dir, progressName))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(e.dir)
		if err != nil || len(entries) > 1 {
			return fault.E(op, fault.Exists, err, e.dir+" is not empty: name a new folder")
		}
		e.s = progress{Manifest: Manifest{Format: Format, Platform: e.p.URL, Tenant: tenant, AsOf: now.UTC(), Kinds: map[string]Part{}, NotTaken: []Omission{}}, Done: map[string]bool{}, Page: 1}
		return e.save()
	}
	if err == nil {
		err = json.Unmarshal(b, &e.s)
	}
	if err != nil {
		return fault.E(op, fault.Corrupt, err, progressName+" cannot be read: "+err.Error())
	}
	if e.s.Format != Format || e.s.Platform != e.p.URL || e.s.Tenant != tenant || e.s.Done == nil || e.s.Kinds == nil {
		return fault.E(op, fault.Conflict, e.dir+" holds the beginning of another export")
	}
	return nil
}

func (e *exporter) save() error { return writeJSON(filepath.Join(e.dir, progressName), e.s) }

// writeJSON replaces a file as a whole, durably.
func writeJSON(file string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fault.E(fault.Op("transfer.Write"), fault.Unavailable, err, err.Error())
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	return err
}

func (e *exporter) omit(what string, n int64, reason string) {
	e.s.NotTaken = append(e.s.NotTaken, Omission{what, n, reason})
}

// kind writes the documents of one kind, page by page; what a page that was cut off has written is removed first.
func (e *exporter) kind(ctx context.Context, k kind) error {
	file := filepath.Join(e.dir, k.name+".jsonl")
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fault.E(fault.Op("transfer.Export"), fault.Unavailable, err, err.Error())
	}
	defer f.Close()
	if err := f.Truncate(e.s.Bytes); err != nil {
		return err
	}
	if _, err := f.Seek(e.s.Bytes, io.SeekStart); err != nil {
		return err
	}
	sources := []string{""}
	if k.bySource {
		if sources, err = e.objects(); err != nil {
			return err
		}
	}
	for e.s.Source < len(sources) {
		if err := e.pages(ctx, k, sources[e.s.Source], f); err != nil {
			if !fault.Is(err, fault.Denied) && (!fault.Is(err, fault.NotFound) || k.bySource) {
				return err
			}
			e.omit(k.name, 0, "the platform refused: "+fault.Message(err))
			e.s.Source = len(sources)
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	part, err := partOf(file)
	if err != nil {
		return err
	}
	part.Count = e.s.Count
	e.s.Kinds[k.name], e.s.Done[k.name] = part, true
	e.s.Bytes, e.s.Count, e.s.Source, e.s.Page = 0, 0, 0, 1
	fmt.Fprintf(e.log, "%-13s %d\n", k.name, part.Count)
	return e.save()
}

func (e *exporter) pages(ctx context.Context, k kind, source string, f *os.File) error {
	path := strings.NewReplacer("{tenant}", url.PathEscape(e.s.Tenant), "{source}", source, "{asOf}", url.QueryEscape(e.s.AsOf.Format(time.RFC3339Nano))).Replace(k.path)
	for last := false; !last; e.s.Page++ {
		var docs []doc
		var err error
		if docs, last, err = e.p.page(ctx, path, k.list, e.s.Page); err != nil {
			return err
		}
		var lines []byte
		for _, d := range docs {
			if k.name == "options" && secretOption(d) {
				e.omit("option "+d.text("category")+"/"+d.text("key"), 1, "it is a secret")
				continue
			}
			if k.name == "identities" {
				d["managedObject"] = map[string]any{"id": source}
			}
			delete(d, "password")
			b, err := json.Marshal(d)
			if err != nil {
				return err
			}
			lines = append(append(lines, b...), '\n')
			e.s.Count++
		}
		if _, err := f.Write(lines); err != nil {
			return fault.E(fault.Op("transfer.Export"), fault.Unavailable, err, err.Error())
		}
		e.s.Bytes += int64(len(lines))
		if len(lines) > 0 && !last {
			if err := e.savePage(f, e.s.Page+1, e.s.Source); err != nil {
				return err
			}
		}
	}
	e.s.Page = 1
	e.s.Source++
	if e.s.Source%100 == 0 {
		return e.savePage(f, 1, e.s.Source)
	}
	return nil
}

// savePage remembers what was written and what comes next.
func (e *exporter) savePage(f *os.File, page, source int) error {
	if err := f.Sync(); err != nil {
		return err
	}
	was := e.s
	e.s.Page, e.s.Source = page, source
	err := e.save()
	e.s.Page, e.s.Source = was.Page, was.Source
	return err
}

// secretOption reports whether an option is one that must not leave the platform.
func secretOption(d doc) bool {
	return strings.HasPrefix(d.text("key"), "credentials.") || d.text("value") == "<<Encrypted>>"
}

// objects returns the ids of all exported objects.
func (e *exporter) objects() ([]string, error) {
	if e.sources != nil {
		return e.sources, nil
	}
	e.sources = []string{}
	err := lines(e.dir, "objects", func(d doc) error {
		e.sources = append(e.sources, d.text("id"))
		return nil
	})
	return e.sources, err
}

// files downloads the files of objects and events that are not there yet.
func (e *exporter) files(ctx context.Context) error {
	have := map[string]bool{}
	for _, f := range e.s.Files {
		have[f.Of+f.ID] = true
	}
	for _, of := range []struct{ kind, path string }{{"objects", "/inventory/binaries/%s"}, {"events", "/event/events/%s/binaries"}} {
		err := lines(e.dir, of.kind, func(d doc) error {
			id := d.text("id")
			if _, is := d["c8y_IsBinary"]; !is || have[of.kind+id] {
				return nil
			}
			f, err := e.file(ctx, fmt.Sprintf(of.path, url.PathEscape(id)))
			if fault.Is(err, fault.NotFound) {
				e.omit("file of "+of.kind+" "+id, 1, "the platform has no content for it")
				return nil
			}
			if err != nil {
				return err
			}
			f.Of, f.ID, f.Name = of.kind, id, d.text("name")
			if m, ok := d["c8y_IsBinary"].(map[string]any); ok && of.kind == "events" {
				f.Name, _ = m["name"].(string)
			}
			e.s.Files = append(e.s.Files, f)
			return e.save()
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(e.log, "%-13s %d\n", "files", len(e.s.Files))
	return nil
}

// file downloads one file under the name of its SHA-256.
func (e *exporter) file(ctx context.Context, path string) (f StoredFile, err error) {
	resp, err := e.p.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close()
	temp := filepath.Join(e.dir, filesFolder, "unfinished")
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return f, err
	}
	h := sha256.New()
	f.Size, err = io.Copy(io.MultiWriter(out, h), resp.Body)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return f, fault.E(fault.Op("transfer.Export"), fault.Unavailable, err, "a file could not be downloaded: "+err.Error())
	}
	f.Type, f.SHA256 = resp.Header.Get("Content-Type"), hex.EncodeToString(h.Sum(nil))
	return f, os.Rename(temp, filepath.Join(e.dir, filesFolder, f.SHA256))
}
