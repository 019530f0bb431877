package auditsql_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/audit/auditsql"
)

// victim is an audit of two tenants that was written and stopped. Tenant "acme" has records records, of which the first stubs are emptied.
type victim struct {
	*env
	raw *sql.DB
}

const (
	records = 20
	stubs   = 3
)

func newVictim(e *env) *victim {
	e.start()
	for i := range records - 1 {
		e.record("acme", i)
	}
	e.record("zeta", 1)
	if n, err := e.log.Forget(ctx, "acme", audit.Old{Before: e.clock.Now().Add(-(records - stubs) * 5e9)}); err != nil || n != stubs {
		e.t.Fatalf("%d stubs %v", n, err)
	}
	e.stop() // Forget has written the last record
	e.good()
	return &victim{e, e.raw()}
}

// tamper runs statements, verifies and takes them back. args of the statements are numbered from $1 on in each.
func (v *victim) tamper(file string, statements ...statement) *audit.Report {
	v.t.Helper()
	tx, err := v.raw.BeginTx(ctx, nil)
	v.must(err)
	defer func() { v.must(tx.Rollback()) }()
	for _, s := range statements {
		res, err := tx.ExecContext(ctx, s.text, s.args...)
		if err != nil {
			v.t.Fatalf("%s: %v", s.text, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			v.t.Fatalf("%s changed %d rows, %v", s.text, n, err)
		}
	}
	report, err := audit.Verify(ctx, audit.Evidence{Reader: auditsql.NewOnTx(tx, v.postgres), Keys: v.keys, Files: []string{file}})
	v.must(err)
	return report
}

type statement struct {
	text string
	args []any
}

func do(text string, args ...any) statement { return statement{text, args} }

// named fails unless the report names a record of acme first, and says what.
func (v *victim) named(r *audit.Report, seq uint64, what string, name string) {
	v.t.Helper()
	t := tenantOf(r, "acme")
	if t == nil || t.First() == nil || t.First().Seq != seq || !strings.Contains(t.First().What, what) {
		v.t.Errorf("%s: not named as record %d, %q:\n%s", name, seq, what, r)
	}
}

// flips returns the value with one bit of each byte changed, in turn.
func flips(v any) (out []any) {
	switch v := v.(type) {
	case int64:
		for i := range 8 {
			out = append(out, v^1<<(8*i+i))
		}
	case string:
		for i := range len(v) {
			b := []byte(v)
			b[i] ^= 1
			out = append(out, string(b))
		}
		if v == "" {
			out = append(out, "x")
		}
	case []byte:
		for i := range v {
			b := bytes.Clone(v)
			b[i] ^= 1 << (i % 8)
			out = append(out, b)
		}
		if len(v) == 0 {
			out = append(out, []byte("x"))
		}
	case nil:
		out = append(out, []byte{}, []byte("x"))
	default:
		panic(fmt.Sprintf("%T", v))
	}
	return out
}

func (v *victim) values(query string, n int) [][]any {
	rows, err := v.raw.Query(query)
	v.must(err)
	defer rows.Close()
	var out [][]any
	for rows.Next() {
		row, into := make([]any, n), make([]any, n)
		for i := range row {
			into[i] = &row[i]
		}
		v.must(rows.Scan(into...))
		out = append(out, row)
	}
	v.must(rows.Err())
	return out
}

func TestEveryFlippedByteOfARowIsNamed(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		v := newVictim(e)
		columns := []string{"seq", "tenant", "at", "type", "account", "application", "source", "doc", "digest", "hash", "stub"}
		says := map[string]string{"doc": "was changed", "hash": "does not follow", "seq": "missing", "tenant": "missing"}
		n := 0
		rows := v.values(`SELECT `+strings.Join(columns, ", ")+` FROM audit_entry WHERE tenant = 'acme' ORDER BY seq`, len(columns))
		if len(rows) != records {
			t.Fatalf("%d rows", len(rows))
		}
		for _, row := range rows {
			seq := row[0].(int64)
			stub := row[10] != nil
			for c, column := range columns {
				what := says[column]
				if what == "" {
					what = "column " + column
				}
				if stub {
					what = map[string]string{"seq": "missing", "tenant": "missing", "doc": "column stub", "digest": "stub", "hash": "stub"}[column]
				}
				for i, value := range flips(row[c]) {
					if to, ok := value.(int64); ok && column == "seq" && 0 < to && to <= records {
						continue // it is taken
					}
					r := v.tamper(v.trail, do(`UPDATE audit_entry SET `+column+` = $1 WHERE tenant = 'acme' AND seq = $2`, value, seq))
					n++
					v.named(r, uint64(seq), what, fmt.Sprintf("byte %d of %s of record %d", i, column, seq))
					if t.Failed() {
						t.FailNow()
					}
				}
			}
		}
		t.Log(n, "bytes")
	})
}

func TestRowsOfTheWrongKindAreNamed(t *testing.T) {
	v := newVictim(newEnv(t, false)) // PostgreSQL refuses them
	for _, c := range []struct {
		set  string
		what string
	}{{"at = 'x'", "at"}, {"type = x'41'", "type"}, {"account = 5", "account"}, {"application = x''", "application"}, {"source = 1.5", "source"}, {"doc = 'x'", "doc"},
		{"digest = 'x'", "digest"}, {"hash = x'00'", "hash"}, {"stub = 'x'", "stub"}} {
		r := v.tamper(v.trail, do(`UPDATE audit_entry SET `+c.set+` WHERE tenant = 'acme' AND seq = 7`))
		v.named(r, 7, c.what, c.set)
	}
	r := v.tamper(v.trail, do(`UPDATE audit_entry SET seq = 'x' WHERE tenant = 'acme' AND seq = 7`))
	v.named(r, 7, "missing", "seq = 'x'")
}

func TestDeletedExchangedAndInsertedRowsAreNamed(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		v := newVictim(e)
		for i := 1; i <= records; i++ {
			r := v.tamper(v.trail, do(`DELETE FROM audit_entry WHERE tenant = 'acme' AND seq = $1`, i))
			v.named(r, uint64(i), "missing", fmt.Sprintf("record %d deleted", i))
			r = v.tamper(v.trail, do(`DELETE FROM audit_entry WHERE tenant = 'acme' AND seq >= $1`, i))
			v.named(r, uint64(i), "missing", fmt.Sprintf("cut before record %d", i))
		}
		for i := 1; i <= records; i++ {
			for j := i + 1; j <= records; j += 3 {
				r := v.tamper(v.trail,
					do(`UPDATE audit_entry SET seq = -1 WHERE tenant = 'acme' AND seq = $1`, i),
					do(`UPDATE audit_entry SET seq = $1 WHERE tenant = 'acme' AND seq = $2`, i, j),
					do(`UPDATE audit_entry SET seq = $1 WHERE tenant = 'acme' AND seq = -1`, j))
				v.named(r, uint64(i), "does not follow", fmt.Sprintf("records %d and %d exchanged", i, j))
			}
		}
		r := v.tamper(v.trail, do(`UPDATE audit_entry SET doc = (SELECT doc FROM audit_entry WHERE tenant = 'acme' AND seq = 9),
			digest = (SELECT digest FROM audit_entry WHERE tenant = 'acme' AND seq = 9) WHERE tenant = 'acme' AND seq = 5`))
		v.named(r, 5, "does not follow", "the record 9 over record 5")
		r = v.tamper(v.trail, do(`UPDATE audit_entry SET at = 0, type = '', account = '', application = '', source = 0, doc = $1, stub = $1 WHERE tenant = 'acme' AND seq = 5`, []byte{}))
		v.named(r, 5, "not by retention", "record 5 emptied")
		r = v.tamper(v.trail, do(`UPDATE audit_entry SET at = 0, type = '', account = '', application = '', source = 0, doc = $1,
			stub = (SELECT stub FROM audit_entry WHERE tenant = 'acme' AND seq = 1) WHERE tenant = 'acme' AND seq = 5`, []byte{}))
		v.named(r, 5, "not by retention", "record 5 emptied with the stub of another")
		r = v.tamper(v.trail, do(`UPDATE audit_entry SET tenant = 'zeta', seq = 2 WHERE tenant = 'acme' AND seq = 20`))
		v.named(r, 20, "missing", "the last record given to another tenant")
		if z := tenantOf(r, "zeta"); z.First() == nil || z.First().Seq != 2 {
			t.Errorf("the tenant that got a record: %s", r)
		}
	})
}

func TestAForgedPastIsNamed(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.start()
		for i := range 10 {
			e.record("acme", i)
		}
		old, err := e.store.Heads(ctx)
		e.must(err)
		e.stop()
		e.start()
		for i := range 10 {
			e.record("acme", i)
		}
		e.stop()
		v := &victim{e, e.raw()}
		cut := do(`DELETE FROM audit_entry WHERE tenant = 'acme' AND seq > 10`)
		head := func(h audit.Head) statement {
			return do(`UPDATE audit_head SET seq = $1, hash = $2, at = $3, signer = $4, signature = $5 WHERE tenant = 'acme'`, int64(h.Seq), h.Hash[:], h.Time.UnixMilli(), h.Key, h.Signature)
		}
		v.named(v.tamper(v.trail, cut, head(old[0])), 11, "checkpoint", "put back to an older state with its head")
		v.named(v.tamper(v.trail, cut, do(`DELETE FROM audit_head`)), 11, "checkpoint", "cut, without head")
		v.named(v.tamper(v.trail, do(`DELETE FROM audit_entry WHERE tenant = 'acme'`), do(`DELETE FROM audit_head`)), 1, "checkpoint", "everything of a tenant deleted")

		// Somebody writes a past of his own after record 10, every hash right, and signs it with a key of his own.
		draft, err := audit.NewDraft(iot.AuditRecord{Type: "User", Activity: "nothing happened"})
		e.must(err)
		drafts := make([]audit.Draft, 10)
		for i := range drafts {
			drafts[i] = draft
		}
		rows, forged := old[0].Extend(drafts, e.clock.Now(), signerOf(t, 'x'))
		var all []statement
		for _, row := range rows {
			all = append(all, do(`UPDATE audit_entry SET at = $1, type = $2, account = $3, application = $4, source = $5, doc = $6, digest = $7, hash = $8 WHERE tenant = 'acme' AND seq = $9`,
				row.At, row.Type, row.Account, row.Application, row.Source, row.Doc, row.Digest[:], row.Hash[:], int64(row.Seq)))
		}
		v.named(v.tamper(v.trail, all...), 20, "the head", "a forged past with the true head")
		v.named(v.tamper(v.trail, append(all, head(forged))...), 20, "one since 11", "a forged past with a forged head")
		forged.Key = e.signer.ID
		r := v.tamper(v.trail, append(all, head(forged))...)
		if !strings.Contains(r.String(), "signature is not valid") {
			t.Errorf("a head that only says that it has our key:\n%s", r)
		}
	})
}

func TestEveryFlippedByteOfAHeadOrWitnessIsFound(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		v := newVictim(e)
		heads := []string{"tenant", "seq", "hash", "at", "signer", "signature"}
		for c, column := range heads {
			for i, value := range flips(v.values(`SELECT `+strings.Join(heads, ", ")+` FROM audit_head WHERE tenant = 'acme'`, len(heads))[0][c]) {
				r := v.tamper(v.trail, do(`UPDATE audit_head SET `+column+` = $1 WHERE tenant = 'acme'`, value))
				if p := tenantOf(r, "acme").First(); p == nil || !strings.Contains(p.What, "the head") {
					t.Fatalf("byte %d of %s:\n%s", i, column, r)
				}
			}
		}
		r := v.tamper(v.trail, do(`DELETE FROM audit_head WHERE tenant = 'acme'`))
		v.named(r, 0, "the head", "head deleted")
		witness := []string{"file", "lines", "last", "signer", "signature"}
		for c, column := range witness {
			for i, value := range flips(v.values(`SELECT `+strings.Join(witness, ", ")+` FROM audit_witness`, len(witness))[0][c]) {
				if r := v.tamper(v.trail, do(`UPDATE audit_witness SET `+column+` = $1`, value)); !strings.Contains(r.String(), "checkpoint file was changed") {
					t.Fatalf("byte %d of %s:\n%s", i, column, r)
				}
			}
		}
		if r := v.tamper(v.trail, do(`DELETE FROM audit_witness`)); r.Good() {
			t.Error("the witness was deleted unnoticed")
		}
	})
}

func TestEveryChangeOfTheCheckpointFileIsNamed(t *testing.T) {
	v := newVictim(newEnv(t, false))
	text := []byte(v.trailText())
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines = lines[:len(lines)-1]
	if len(lines) < 5 {
		t.Fatalf("only %d lines:\n%s", len(lines), text)
	}
	file := filepath.Join(t.TempDir(), "checkpoints.jsonl")
	check := func(name string, line int, text []byte) {
		t.Helper()
		v.must(os.WriteFile(file, text, 0o600))
		r := v.tamper(file, do(`UPDATE audit_head SET seq = seq`))
		if p := r.Files[0].First(); p == nil || p.Seq != uint64(line) {
			t.Fatalf("%s: line %d is not named:\n%s", name, line, r)
		}
	}
	at := 0
	for n, line := range lines {
		for i := range line {
			changed := bytes.Clone(text)
			changed[at+i] ^= 1 << (i % 8)
			check(fmt.Sprintf("byte %d", i), n+1, changed)
		}
		at += len(line)
		check("deleted", n+1, bytes.Replace(text, line, nil, 1))
		check("twice", n+2, bytes.Replace(text, line, append(bytes.Clone(line), line...), 1))
		check("cut before", n+1, text[:at-len(line)])
		check("cut in the middle", n+1, text[:at-len(line)/2])
		if n > 0 {
			swapped := bytes.Join([][]byte{bytes.Join(lines[:n-1], nil), line, lines[n-1], bytes.Join(lines[n+1:], nil)}, nil)
			check("exchanged", n, swapped)
		}
	}
	check("a line of somebody else", len(lines)+1, append(bytes.Clone(text), "{}\n"...))
	check("a very long line", len(lines)+1, append(bytes.Clone(text), strings.Repeat("x", 10_000)+"\n"...))

	v.must(os.WriteFile(file, append(bytes.Clone(text), `{"line":`...), 0o600)) // what a crash leaves
	if r := v.tamper(file, do(`UPDATE audit_head SET seq = seq`)); !r.Good() || !r.Files[0].Unfinished {
		t.Errorf("an unfinished line that nobody relies on:\n%s", r)
	}
	v.must(os.Remove(file))
	if r := v.tamper(file, do(`UPDATE audit_head SET seq = seq`)); r.Good() {
		t.Error("the file is gone unnoticed")
	}
}

// TestFlippedBytesOfTheDatabaseFileAreFound flips bytes past SQLite: where the records lie, it must be named which.
func TestFlippedBytesOfTheDatabaseFileAreFound(t *testing.T) {
	v := newVictim(newEnv(t, false))
	rows := v.values(`SELECT seq, doc, hash FROM audit_entry WHERE tenant = 'acme' AND stub IS NULL ORDER BY seq`, 3)
	if _, err := v.raw.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	v.must(v.raw.Close())
	text, err := os.ReadFile(v.dsn)
	v.must(err)
	for _, row := range rows {
		for c, what := range []string{1: "was changed", 2: "does not follow"} {
			if c == 0 {
				continue
			}
			value := row[c].([]byte)
			if !bytes.Contains(text, value) {
				t.Fatalf("column %d of record %d is not in the file", c, row[0])
			}
			flipped := bytes.Clone(value)
			flipped[len(value)/2] ^= 4
			changed := bytes.ReplaceAll(text, value, flipped) // pages that were split have left copies
			v.must(os.WriteFile(v.dsn, changed, 0o600))
			v.named(v.verify(), uint64(row[0].(int64)), what, fmt.Sprintf("in the file, record %d", row[0]))
		}
	}
	v.must(os.WriteFile(v.dsn, text, 0o600))
	v.good()
}
