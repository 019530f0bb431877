package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Reader reads what is stored, as one unchanging state, for Verify. It is used by one goroutine, and never asked while a call of fn runs.
type Reader interface {
	// Begin fixes the state that the other methods see.
	Begin(ctx context.Context) error
	// Tenants returns the tenants that have a record or a head, in order.
	Tenants(ctx context.Context) ([]iot.TenantID, error)
	// Rows calls fn with the rows of a tenant by ascending number. A row is valid until fn returns.
	Rows(ctx context.Context, t iot.TenantID, fn func(Row) error) error
	// Head returns the head of a tenant; ok is false if there is none.
	Head(ctx context.Context, t iot.TenantID) (h Head, ok bool, err error)
	// HashOf returns the hash of a record; ok is false if there is none.
	HashOf(ctx context.Context, t iot.TenantID, seq uint64) (h Hash, ok bool, err error)
	// Witnesses returns what is known of checkpoint files.
	Witnesses(ctx context.Context) ([]Witness, error)
	// Unadopted returns how many records lie outside of the chain, from before there was one.
	Unadopted(ctx context.Context) (int, error)
	// Engine says what the engine itself finds wrong with the tables and their indexes; empty: nothing.
	Engine(ctx context.Context) (string, error)
}

// Problem is one thing that is wrong.
type Problem struct {
	Seq  uint64 `json:"record,omitempty"` // number of the record; zero: it concerns no single one
	What string `json:"what"`
}

// maxProblems are kept per tenant and per file; further ones are only counted. One change makes one or two.
const maxProblems = 10

// Findings are the first problems and the number of all.
type Findings struct {
	Count    int       `json:"problems"`
	Problems []Problem `json:"first,omitempty"` // with the lowest numbers, in order; those without a number last
}

func (f *Findings) add(seq uint64, format string, args ...any) {
	f.Count++
	p := Problem{seq, fmt.Sprintf(format, args...)}
	rank := func(p Problem) uint64 { return p.Seq - 1 } // zero comes last
	at, _ := slices.BinarySearchFunc(f.Problems, p, func(a, b Problem) int {
		if rank(a) <= rank(b) {
			return -1
		}
		return 1
	})
	if f.Problems = slices.Insert(f.Problems, at, p); len(f.Problems) > maxProblems {
		f.Problems = f.Problems[:maxProblems]
	}
}

// First returns the problem with the lowest record number, nil if there is none.
func (f *Findings) First() *Problem {
	if len(f.Problems) == 0 {
		return nil
	}
	return &f.Problems[0]
}

// TenantReport is what was found about a tenant.
type TenantReport struct {
	Tenant      iot.TenantID `json:"tenant"`
	Records     uint64       `json:"records"` // with stubs
	Stubs       uint64       `json:"stubs"`
	Head        uint64       `json:"head"`        // number of the last record, as signed
	Checkpoints uint64       `json:"checkpoints"` // lines of checkpoint files about it
	Findings

	last      uint64 // number of the last record that is there
	confirmed uint64 // number of the newest record that is the one of its checkpoint
}

// FileReport is what was found about a checkpoint file.
type FileReport struct {
	File       string `json:"file"`
	Lines      uint64 `json:"lines"`
	Unfinished bool   `json:"unfinished,omitempty"` // a crash has cut its last line; that alone is no problem
	Findings          // here the number is that of the line
}

// Report is the outcome of Verify.
type Report struct {
	Tenants []*TenantReport `json:"tenants"`
	Files   []*FileReport   `json:"files"`
	Other   Findings        `json:"other"`
}

// Good reports whether nothing is wrong.
func (r *Report) Good() bool {
	n := r.Other.Count
	for _, t := range r.Tenants {
		n += t.Count
	}
	for _, f := range r.Files {
		n += f.Count
	}
	return n == 0
}

// Evidence is what Verify works on.
type Evidence struct {
	Reader Reader
	Keys   Keys
	Files  []string     // checkpoint files; one that is missing is a problem
	Only   iot.TenantID // check the chain of this tenant only; empty: all
}

type verifier struct {
	Evidence
	report  *Report
	tenants map[iot.TenantID]*TenantReport
	unknown map[string]bool // keys that were missed, so that each is named once
}

// Verify checks the chains of all tenants, their heads, and the checkpoint files. Its memory does not grow with the number of records or
// lines. It returns an error only if ctx ends or the evidence cannot be read at all; what is wrong with the evidence is in the report.
func Verify(ctx context.Context, e Evidence) (*Report, error) {
	v := &verifier{Evidence: e, report: &Report{}, tenants: map[iot.TenantID]*TenantReport{}, unknown: map[string]bool{}}
	// What stood in the files before the state of the database was fixed must be in that state: a line is written after its record.
	files := make([]*openFile, 0, len(e.Files))
	for _, name := range e.Files {
		f := &openFile{report: &FileReport{File: name}}
		v.report.Files = append(v.report.Files, f.report)
		var err error
		if f.f, err = os.Open(name); err != nil {
			f.report.add(0, "it cannot be opened: %v", err)
			continue
		}
		defer f.f.Close()
		if f.size, err = f.f.Seek(0, io.SeekEnd); err == nil {
			_, err = f.f.Seek(0, io.SeekStart)
		}
		if err != nil {
			f.report.add(0, "it cannot be read: %v", err)
			continue
		}
		files = append(files, f)
	}
	if err := e.Reader.Begin(ctx); err != nil {
		return nil, err
	}
	if err := v.database(ctx); err != nil {
		return nil, err
	}
	witnesses, err := e.Reader.Witnesses(ctx)
	if err != nil {
		v.report.Other.add(0, "what the database knows of checkpoint files cannot be read: %v", err)
	}
	if len(witnesses) == 0 && len(v.report.Tenants) > 0 {
		v.report.Other.add(0, "the database knows of no checkpoint file, although there are records")
	}
	for _, f := range files {
		if err := v.file(ctx, f, witnesses); err != nil {
			return nil, err
		}
	}
	v.witnesses(witnesses, files)
	return v.report, ctx.Err()
}

func (v *verifier) tenant(t iot.TenantID) *TenantReport {
	r := v.tenants[t]
	if r == nil {
		r = &TenantReport{Tenant: t}
		v.tenants[t] = r
		v.report.Tenants = append(v.report.Tenants, r)
	}
	return r
}

func (v *verifier) wanted(t iot.TenantID) bool { return v.Only == "" || v.Only == t }

func (v *verifier) database(ctx context.Context) error {
	tenants, err := v.Reader.Tenants(ctx)
	if err != nil {
		return fault.E(fault.Op("audit.Verify"), err)
	}
	for _, t := range tenants {
		if !v.wanted(t) {
			continue
		}
		r := v.tenant(t)
		end := v.chain(ctx, r)
		r.last = end.Seq
		v.head(ctx, r, end)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if n, err := v.Reader.Unadopted(ctx); err != nil {
		v.report.Other.add(0, "records from before the chain cannot be read: %v", err)
	} else if n > 0 {
		v.report.Other.add(0, "%d records lie outside of the chain; they are from before there was one or were put there: start the server once", n)
	}
	what, err := v.Reader.Engine(ctx)
	if err != nil {
		what = err.Error()
	}
	if what != "" {
		v.report.Other.add(0, "the database engine says: %s", what)
	}
	return nil
}

// chain walks over the rows of a tenant and returns the last number and hash.
func (v *verifier) chain(ctx context.Context, r *TenantReport) (end Head) {
	end.Tenant = r.Tenant
	sure := true // the hash of the record before is known
	err := v.Reader.Rows(ctx, r.Tenant, func(row Row) error {
		r.Records++
		switch {
		case row.Bad != "":
			r.add(row.Seq, "%s", row.Bad)
			return nil // its number, if it has one, is missed by the next row
		case row.Seq <= end.Seq || row.Seq > 1<<63-1:
			r.add(row.Seq, "the number of a record is %d, which is out of order after record %d", int64(row.Seq), end.Seq)
			return nil
		case row.Seq > end.Seq+1:
			r.missing(end.Seq+1, row.Seq-1)
			sure = false
		}
		if row.Stub != nil {
			r.Stubs++
		}
		digest := row.Digest
		if row.Stub == nil {
			digest = sha256.Sum256(row.Doc)
		}
		linked := func(digest Hash) bool { return link(r.Tenant, row.Seq, end.Hash, digest) == row.Hash }
		follows := !sure || linked(digest)
		switch {
		case row.Stub == nil && digest != row.Digest && sure && linked(digest):
			r.add(row.Seq, "the column digest was changed")
		case row.Stub == nil && digest != row.Digest:
			r.add(row.Seq, "the record was changed: it does not have its digest")
		case !follows && row.Stub != nil:
			r.add(row.Seq, "the stub does not follow from the record before: the digest or hash was changed, or it is in another's place")
		case !follows:
			r.add(row.Seq, "the record does not follow from the one before: the hash was changed, or it is in another's place")
		}
		v.columns(r, row)
		end.Seq, end.Hash, sure = row.Seq, row.Hash, true
		return nil
	})
	if err != nil {
		r.add(end.Seq+1, "records cannot be read after number %d: %v", end.Seq, err)
	}
	return end
}

func (r *TenantReport) missing(from, to uint64) {
	if from == to {
		r.add(from, "the record is missing")
		return
	}
	r.add(from, "the records %d to %d are missing", from, to)
}

// columns compares what a store selects by with the record.
func (v *verifier) columns(r *TenantReport, row Row) {
	want := Columns{}
	if row.Stub != nil {
		if len(row.Doc) > 0 {
			r.add(row.Seq, "the column stub was changed: it marks a record that is there as removed")
			return
		}
		id := string(row.Stub[:min(len(row.Stub), keyIDSize)])
		if err := v.signed(id, stubMessage(r.Tenant, row.Seq, row.Hash, id), row.Stub[len(id):]); err != nil {
			r.add(row.Seq, "the record was emptied, but not by retention (column stub): %v", err)
		}
	} else {
		record, err := Decode(iot.ID(row.Seq), row.Doc)
		if err != nil {
			r.add(row.Seq, "the record cannot be read: %v", err)
			return
		}
		want = columnsOf(record)
	}
	for _, c := range [...]struct {
		name string
		same bool
	}{{"at", row.At == want.At}, {"type", row.Type == want.Type}, {"account", row.Account == want.Account}, {"application", row.Application == want.Application},
		{"source", row.Source == want.Source}} {
		if !c.same {
			r.add(row.Seq, "the column %s was changed", c.name)
		}
	}
}

// signed verifies a signature. A missing key is said once more, where it is not lost among the records.
func (v *verifier) signed(id string, m message, signature []byte) error {
	err := v.Keys.check(id, m, signature)
	if errors.Is(err, errUnknownKey) && !v.unknown[id] && len(v.unknown) < maxProblems {
		v.unknown[id] = true
		v.report.Other.add(0, "something is signed with the key %.40q, whose public half was not given", id)
	}
	return err
}

func (v *verifier) head(ctx context.Context, r *TenantReport, end Head) {
	h, ok, err := v.Reader.Head(ctx, r.Tenant)
	switch {
	case err != nil:
		r.add(0, "the head cannot be read: %v", err)
		return
	case !ok:
		r.add(0, "the head, which says where the records end, is missing")
		return
	}
	r.Head = h.Seq
	err = v.signed(h.Key, h.message(), h.Signature)
	switch {
	case err != nil:
		r.add(0, "the head, which says where the records end, was changed: %v", err)
	case h.Seq > end.Seq:
		r.missing(end.Seq+1, h.Seq)
	case h.Seq < end.Seq:
		r.add(h.Seq+1, "the head ends at record %d; what follows was not written by us, or the head was put back", h.Seq)
	case h.Hash != end.Hash:
		r.add(h.Seq, "the head names another hash of the last record")
	}
}

// openFile is a checkpoint file and how long it was when the database's state was fixed.
type openFile struct {
	f      *os.File
	size   int64
	report *FileReport
	known  *Witness // of this file; nil: the database does not know it
}

// file checks the lines of a file among themselves, against the rows that they name, and against the witnesses.
func (v *verifier) file(ctx context.Context, f *openFile, witnesses []Witness) error {
	r := f.report
	var previous Hash
	end, err := eachLine(f.f, func(b []byte, at int64) error {
		r.Lines++
		sum := Hash(sha256.Sum256(b))
		if r.Lines == 1 {
			for i := range witnesses {
				if witnesses[i].File == sum {
					f.known = &witnesses[i]
				}
			}
			if f.known == nil {
				r.add(1, "line 1 is not one with which a file begins that the database knows")
			}
		}
		if w := f.known; w != nil && w.Lines == r.Lines && w.Last != sum {
			r.add(r.Lines, "line %d is not the one that the database has seen", r.Lines)
		}
		before := previous
		previous = sum
		l, err := ParseLine(b)
		if err == nil {
			err = v.signed(l.Key, l.message(), l.Signature)
		}
		switch {
		case err != nil:
			r.add(r.Lines, "line %d was changed: %v", r.Lines, err)
			return ctx.Err()
		case l.Number != r.Lines:
			r.add(r.Lines, "line %d has the number %d: lines are missing or in another order", r.Lines, l.Number)
		case l.Previous != before:
			r.add(r.Lines, "line %d does not follow from the line before, which was changed or exchanged", r.Lines)
		}
		return v.line(ctx, r, l, at < f.size)
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.add(r.Lines+1, "it cannot be read after line %d: %v", r.Lines, err)
	}
	if info, err := f.f.Stat(); err == nil && info.Size() > end {
		r.Unfinished = true
	}
	if w := f.known; w != nil && r.Lines < w.Lines {
		r.add(r.Lines+1, "lines are missing: the file has %d, and the database has seen %d", r.Lines, w.Lines)
	}
	if r.Lines == 0 {
		r.add(1, "it is empty")
	}
	return nil
}

// line compares a good line with the record that it names. old says that the record must be there.
func (v *verifier) line(ctx context.Context, f *FileReport, l Line, old bool) error {
	if l.Note != "" {
		f.add(f.Lines, "line %d: the server has found damage of tenant %q: %s", f.Lines, l.Tenant, l.Note)
	}
	if l.Tenant == "" || l.Seq == 0 || !v.wanted(l.Tenant) {
		return nil
	}
	t := v.tenant(l.Tenant)
	t.Checkpoints++
	h, ok, err := v.Reader.HashOf(ctx, l.Tenant, l.Seq)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		t.add(l.Seq, "the record cannot be compared with its checkpoint: %v", err)
	case ok && h == l.Hash:
		t.confirmed = max(t.confirmed, l.Seq)
	case ok && t.confirmed+1 < l.Seq:
		t.add(l.Seq, "this record, or one since %d, is not the one that the checkpoint in line %d of %s confirms", t.confirmed+1, f.Lines, f.File)
	case ok:
		t.add(l.Seq, "the record is not the one that the checkpoint in line %d of %s confirms", f.Lines, f.File)
	case old:
		t.add(min(t.last+1, l.Seq), "the record is missing: the checkpoint in line %d of %s confirms that there were %d", f.Lines, f.File, l.Seq)
	}
	return nil
}

// witnesses checks what the database knows of files, and that none of them is missing.
func (v *verifier) witnesses(witnesses []Witness, files []*openFile) {
	for i := range witnesses {
		w := &witnesses[i]
		if err := v.signed(w.Key, w.message(), w.Signature); err != nil {
			v.report.Other.add(0, "what the database knows of a checkpoint file was changed: %v", err)
			continue
		}
		if !slices.ContainsFunc(files, func(f *openFile) bool { return f.known == w }) {
			v.report.Other.add(0, "the database has seen %d lines of a checkpoint file, signed with the key %s, which was not given or does not begin as it did", w.Lines, w.Key)
		}
	}
}

// String returns the report for people.
func (r *Report) String() string {
	var b strings.Builder
	for _, t := range r.Tenants {
		fmt.Fprintf(&b, "tenant %s: %d records, %d of them stubs, %d checkpoints: %s\n", t.Tenant, t.Records, t.Stubs, t.Checkpoints, verdict(t.Findings))
		t.Findings.list(&b)
	}
	for _, f := range r.Files {
		unfinished := ""
		if f.Unfinished {
			unfinished = ", the last one unfinished"
		}
		fmt.Fprintf(&b, "file %s: %d lines%s: %s\n", f.File, f.Lines, unfinished, verdict(f.Findings))
		f.Findings.list(&b)
	}
	if r.Other.Count > 0 {
		fmt.Fprintf(&b, "besides: %s\n", verdict(r.Other))
		r.Other.list(&b)
	}
	return b.String()
}

func verdict(f Findings) string {
	if f.Count == 0 {
		return "good"
	}
	return fmt.Sprintf("BAD, %d problems", f.Count)
}

func (f *Findings) list(b *strings.Builder) {
	for _, p := range f.Problems {
		if p.Seq == 0 {
			fmt.Fprintf(b, "  %s\n", p.What)
			continue
		}
		fmt.Fprintf(b, "  %d: %s\n", p.Seq, p.What)
	}
	if more := f.Count - len(f.Problems); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}
