package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/isobar-iot/isobar/fault"
)

// compare reads everything back from the target.
func (i *importer) compare(ctx context.Context) error {
	for _, side := range []struct{ kind, path, list string }{{"objects", "/inventory/managedObjects", "managedObjects"}, {"events", "/event/events", "events"},
		{"alarms", "/alarm/alarms", "alarms"}, {"operations", "/devicecontrol/operations", "operations"}} {
		if err := i.compareKind(ctx, side.kind, side.path, side.list); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{i.compareSources, i.compareFiles} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (i *importer) note(kind string, source, target *tally) {
	c := Comparison{Source: source.Count, Target: target.Count, SourceSHA256: source.hex(), TargetSHA256: target.hex()}
	c.Matches = c.Source == c.Target && c.SourceSHA256 == c.TargetSHA256
	i.receipt.Kinds[kind] = c
	i.receipt.Matches = i.receipt.Matches && c.Matches
}

func edge(parent, relation, child string) doc {
	return doc{"parent": parent, "relation": relation, "child": child}
}

func (i *importer) compareKind(ctx context.Context, kind, path, list string) error {
	var source, target, from, to tally
	ids := i.ids["objects"]
	err := lines(i.dir, kind, func(d doc) error {
		r, _ := rewrite(d.bare(kind), ids)
		source.add(r)
		return edges(d, func(relation, child string) error {
			if kind == "objects" {
				from.add(edge(ids[d.text("id")], relation, ids[child]))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if err := i.imported(ctx, path, list, func(_ string, d doc) {
		target.add(d.bare(kind))
		if kind == "objects" {
			_ = edges(d, func(relation, child string) error { to.add(edge(d.text("id"), relation, child)); return nil })
		}
	}); err != nil {
		return err
	}
	i.note(kind, &source, &target)
	if kind == "objects" {
		i.note("children", &from, &to)
	}
	return nil
}

// compareSources compares measurements and external ids, which are asked for by object.
func (i *importer) compareSources(ctx context.Context) error {
	var source, target, from, to tally
	err := lines(i.dir, "measurements", func(d doc) error {
		r, _ := rewrite(d.bare("measurements"), i.ids["objects"])
		source.add(r)
		return nil
	})
	if err != nil {
		return err
	}
	external := func(d doc, id string) doc { return doc{"type": d["type"], "externalId": d["externalId"], "object": id} }
	if err := lines(i.dir, "identities", func(d doc) error {
		from.add(external(d, i.ids["objects"][d.ref("managedObject")]))
		return nil
	}); err != nil {
		return err
	}
	for _, id := range i.ids["objects"] {
		if err := i.p.each(ctx, "/measurement/measurements?dateFrom=1970-01-01&source="+id, "measurements", func(d doc) error {
			target.add(d.bare("measurements"))
			return nil
		}); err != nil {
			return err
		}
		if err := i.p.each(ctx, "/identity/globalIds/"+id+"/externalIds", "externalIds", func(d doc) error { to.add(external(d, id)); return nil }); err != nil {
			return err
		}
	}
	i.note("measurements", &source, &target)
	i.note("identities", &from, &to)
	return nil
}

// compareFiles downloads every file again.
func (i *importer) compareFiles(ctx context.Context) error {
	var source, target tally
	for _, f := range i.m.Files {
		id := i.ids[f.Of][f.ID]
		source.add(doc{"of": f.Of, "id": id, "sha256": f.SHA256})
		path := "/inventory/binaries/" + url.PathEscape(id)
		if f.Of == "events" {
			path = "/event/events/" + url.PathEscape(id) + "/binaries"
		}
		if id == "" {
			continue
		}
		resp, err := i.p.do(ctx, http.MethodGet, path, "", nil)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return fault.E(fault.Op("transfer.Compare"), fault.Unavailable, err, "a file could not be read back: "+err.Error())
		}
		target.add(doc{"of": f.Of, "id": id, "sha256": hex.EncodeToString(h.Sum(nil))})
	}
	i.note("files", &source, &target)
	return nil
}

// Write writes a receipt into a file.
func (r Receipt) Write(file string) error { return writeJSON(file, r) }

// Print shows a receipt to a person.
func (r Receipt) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "from %s\nto   %s\n\nKIND\tSOURCE\tTARGET\tHASH\tMATCHES\n", r.From, r.To)
	for _, kind := range []string{"objects", "children", "identities", "measurements", "events", "alarms", "operations", "files"} {
		c := r.Kinds[kind]
		says := "yes"
		if !c.Matches {
			says = "NO"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.12s\t%s\n", kind, c.Source, c.Target, c.TargetSHA256, says)
	}
	fmt.Fprintln(w, "\nnot carried over:")
	for _, o := range r.NotTaken {
		fmt.Fprintf(w, "  %s (%d): %s\n", o.What, o.Count, o.Reason)
	}
	printUnmoved(w, "never looked at:", r.NotMoved)
	return w.Flush()
}
