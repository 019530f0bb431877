package auditsql_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/audit"
)

// TestStore is what every store must do.
func TestStore(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.open()
		at := e.clock.Now()
		draft := func(i int) audit.Draft {
			d, err := audit.NewDraft(iot.AuditRecord{Type: "t", Activity: fmt.Sprint(i), User: "u\x00\xff", Source: iot.ID(i), Time: at.Add(time.Duration(i) * time.Hour), CreationTime: at})
			e.must(err)
			return d
		}
		var drafts []audit.Draft
		for i := range 100 {
			drafts = append(drafts, draft(i))
		}
		before, after, err := e.store.Append(ctx, "acme", drafts, at)
		if err != nil || before.Seq != 0 || after.Seq != 100 || after.Key != e.signer.ID || !after.Time.Equal(at) {
			t.Fatalf("%+v %+v %v", before, after, err)
		}
		if again, _, err := e.store.Append(ctx, "acme", drafts[:1], at); err != nil || again.Seq != 100 || again.Hash != after.Hash || string(again.Signature) != string(after.Signature) {
			t.Errorf("the head is not read as it was written: %+v %v", again, err)
		}
		if _, other, err := e.store.Append(ctx, "zeta", drafts[:9], at); err != nil || other.Seq != 9 {
			t.Errorf("another tenant: %+v %v", other, err)
		}
		if r, err := e.store.Get(ctx, "acme", 43); err != nil || r.ID != 43 || r.Activity != "42" || r.User != "u\uFFFD\uFFFD" || !r.Time.Equal(at.Add(42*time.Hour)) {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := e.store.Get(ctx, "zeta", 43); !fault.Is(err, fault.NotFound) {
			t.Errorf("a record of another tenant: %v", err)
		}
		list := func(name string, q audit.Query, want int, first iot.ID) {
			t.Helper()
			q.Limit = 5
			records, n, err := e.store.List(ctx, "acme", q)
			if err != nil || n != want || want > 0 && records[0].ID != first || len(records) != min(want, 5) {
				t.Errorf("%s: %d records of %d, %v %+v", name, len(records), n, err, records)
			}
		}
		list("all", audit.Query{}, 101, 100)
		list("ascending", audit.Query{Ascending: true}, 101, 1)
		list("about one of many", audit.Query{Sources: []iot.ID{7, 9, 1000}}, 2, 10)
		list("about one of one", audit.Query{Sources: []iot.ID{7}}, 1, 8)
		list("about one of none", audit.Query{Sources: []iot.ID{}}, 0, 0)
		list("by user", audit.Query{User: "u\uFFFD\uFFFD"}, 101, 100)
		list("by time", audit.Query{From: at.Add(2 * time.Hour), To: at.Add(4 * time.Hour)}, 2, 4)

		for _, q := range []audit.Old{{Before: at.Add(50 * time.Hour), Type: "other"}, {Before: at.Add(50 * time.Hour), Source: 77}, {Before: at.Add(-time.Hour)}} {
			if n, sources, bytes, err := e.store.Held(ctx, "acme", q); err != nil || n+sources+bytes != 0 {
				t.Errorf("%+v selects %d of %d, %d bytes, %v", q, n, sources, bytes, err)
			}
			if n, err := e.store.Redact(ctx, "acme", q, 7); err != nil || n != 0 {
				t.Errorf("%+v empties %d, %v", q, n, err)
			}
		}
		if n, sources, bytes, err := e.store.Held(ctx, "acme", audit.Old{Before: at.Add(10 * time.Hour), Type: "t"}); err != nil || n != 11 || sources != 9 || bytes < 11*20 {
			t.Errorf("%d records of %d sources are old, %d bytes, %v", n, sources, bytes, err)
		}
		if n, sources, _, err := e.store.Held(ctx, "acme", audit.Old{Before: at.Add(10 * time.Hour), Source: 7}); err != nil || n != 1 || sources != 1 {
			t.Errorf("%d records of %d sources are old, %v", n, sources, err)
		}
		kept := audit.Old{Before: at.Add(10 * time.Hour), Except: []iot.Selector{{Type: "other"}, {Source: 7}, {Fragment: "f"}}}
		if n, sources, _, err := e.store.Held(ctx, "acme", kept); err != nil || n != 10 || sources != 8 {
			t.Errorf("%d records of %d sources are old with an exception, %v", n, sources, err)
		}
		kept.Except = append(kept.Except, iot.Selector{Type: "t"})
		if n, err := e.store.Redact(ctx, "acme", kept, 7); err != nil || n != 0 {
			t.Errorf("%d were emptied in spite of an exception, %v", n, err)
		}
		if n, err := e.store.Redact(ctx, "acme", audit.Old{Before: at.Add(10 * time.Hour)}, 7); err != nil || n != 7 {
			t.Errorf("redact: %d %v", n, err)
		}
		if n, err := e.store.Redact(ctx, "acme", audit.Old{Before: at.Add(10 * time.Hour)}, 7); err != nil || n != 4 { // 0 to 9, and 0 once more
			t.Errorf("redact the rest: %d %v", n, err)
		}
		list("without stubs", audit.Query{Ascending: true}, 90, 11)
		if _, err := e.store.Get(ctx, "acme", 1); !fault.Is(err, fault.NotFound) {
			t.Errorf("a stub: %v", err)
		}
		if _, ok, err := e.store.HashOf(ctx, "acme", 1); !ok || err != nil {
			t.Errorf("the hash of a stub: %v %v", ok, err)
		}
		if n, err := e.store.Redact(ctx, "zeta", audit.Old{Before: at}, 7); err != nil || n != 0 {
			t.Errorf("redact nothing: %d %v", n, err)
		}
		heads, err := e.store.Heads(ctx)
		if err != nil || len(heads) != 2 || heads[0].Tenant != "acme" || heads[0].Seq != 101 || heads[1].Seq != 9 {
			t.Errorf("%+v %v", heads, err)
		}

		w := audit.Witness{File: audit.Hash{1}, Lines: 5, Last: audit.Hash{5}, Key: "k", Signature: []byte("s")}
		e.must(e.store.PutWitness(ctx, w))
		w.Lines, w.Last = 4, audit.Hash{4}
		e.must(e.store.PutWitness(ctx, w))
		if got, ok, err := e.store.Witness(ctx, w.File); !ok || err != nil || got.Lines != 5 || got.Last != (audit.Hash{5}) || got.Key != "k" || string(got.Signature) != "s" {
			t.Errorf("%+v %v %v: an older witness must not take the place of a newer", got, ok, err)
		}
		if _, ok, err := e.store.Witness(ctx, audit.Hash{2}); ok || err != nil {
			t.Errorf("a file that nobody knows: %v %v", ok, err)
		}
	})
}

// TestACutBetweenRecordsAndHeadLeavesNothing makes the head fail after the records of the same transaction were written.
func TestACutBetweenRecordsAndHeadLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.start()
		e.record("acme", 1)
		e.record("acme", 2)
		cut, mend := `CREATE TRIGGER cut BEFORE UPDATE ON audit_head BEGIN SELECT RAISE(ABORT, 'cut'); END`, `DROP TRIGGER cut`
		if e.postgres {
			cut, mend = `ALTER TABLE audit_head ADD CONSTRAINT cut CHECK (seq < 3)`, `ALTER TABLE audit_head DROP CONSTRAINT cut`
		}
		raw := e.raw()
		_, err := raw.Exec(cut)
		e.must(err)
		d, err := audit.NewDraft(iot.AuditRecord{Type: "lost"})
		e.must(err)
		if _, _, err := e.store.Append(ctx, "acme", []audit.Draft{d, d}, e.clock.Now()); err == nil {
			t.Fatal("the head was written")
		}
		_, err = raw.Exec(mend)
		e.must(err)
		if r := e.good(); tenantOf(r, "acme").Records != 2 {
			t.Errorf("half an append stayed:\n%s", r)
		}
		e.record("acme", 3)
		if r := e.good(); tenantOf(r, "acme").Records != 3 {
			t.Errorf("the next append:\n%s", r)
		}
		e.stop()
	})
}

func TestManyWritersAndTenantsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.start()
		const writers, each = 8, 200
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					e.log.Record(ctx, iot.Principal{Tenant: "acme", User: "u"}, iot.AuditRecord{Type: fmt.Sprint("w", w), Activity: fmt.Sprint(i)})
				}
			})
			wg.Go(func() {
				for i := range each / 10 {
					e.log.Record(ctx, iot.Principal{Tenant: iot.TenantID(fmt.Sprint("t", w)), User: "u"}, iot.AuditRecord{Type: "x", Activity: fmt.Sprint(i)})
				}
			})
		}
		e.good() // in the middle of it
		wg.Wait()
		r := e.good()
		if a := tenantOf(r, "acme"); a.Records != writers*each || a.Checkpoints < 2 || len(r.Tenants) != writers+1 {
			t.Errorf("%s", r)
		}
		for w := range writers { // what one writer does after the other stays in order
			for i := range each {
				if i%50 > 0 {
					continue
				}
				got, n, err := e.store.List(ctx, "acme", audit.Query{Type: fmt.Sprint("w", w), Ascending: true, Offset: i, Limit: 1})
				if err != nil || n != each || got[0].Activity != fmt.Sprint(i) {
					t.Errorf("writer %d: %v %d %v", w, got, n, err)
				}
			}
		}
		e.stop()
		e.good()
	})
}

// TestTwoNodes has two logs with different keys and checkpoint files on one PostgreSQL.
func TestTwoNodes(t *testing.T) {
	one, two := newEnv(t, true), newEnv(t, false)
	two.postgres, two.dsn, two.signer = true, one.dsn, signerOf(t, 'b')
	one.shared, two.shared = true, true
	one.start()
	two.start()
	var wg sync.WaitGroup
	for _, e := range []*env{one, two} {
		wg.Go(func() {
			for i := range 100 {
				e.record("acme", i)
			}
		})
	}
	wg.Wait()
	one.must(one.log.Close())
	one.must(two.log.Close())
	verify := func(files ...string) *audit.Report {
		t.Helper()
		r := one.reader()
		defer r.Close()
		report, err := audit.Verify(ctx, audit.Evidence{Reader: r, Keys: one.keys, Files: files})
		one.must(err)
		return report
	}
	if r := verify(one.trail, two.trail); r.Good() || !strings.Contains(r.String(), two.signer.ID) {
		t.Errorf("without the key of the second node:\n%s", r)
	}
	one.must(one.keys.Add(two.signer.Public()))
	if r := verify(one.trail, two.trail); !r.Good() || tenantOf(r, "acme").Records != 200 {
		t.Errorf("%s", r)
	}
	if r := verify(one.trail); r.Good() {
		t.Error("the file of the second node was not missed")
	}
}

// TestRecordsFromBeforeTheChain writes rows as the first version did.
func TestRecordsFromBeforeTheChain(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.open()
		const n = 1203 // more than two batches
		e.must(e.db.Write(ctx, func(tx *sqlkit.Tx) error {
			for i := range n {
				r := iot.AuditRecord{ID: iot.ID(i*3 + 65), Type: "User", Activity: fmt.Sprint("did ", i), User: "ann", Severity: "MINOR", Time: e.clock.Now(), CreationTime: e.clock.Now(),
					Changes: []iot.AttributeChange{{Attribute: "a", New: "1"}}, Fragments: iot.Doc{{Name: "x", Raw: []byte(`[1.0]`)}}}
				doc, err := json.Marshal(r)
				if err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `INSERT INTO audit_record (tenant, id, at, type, account, application, source, doc) VALUES (?,?,?,?,?,?,?,?)`,
					[]string{"acme", "zeta"}[i%2], int64(r.ID), r.Time.UnixMilli(), r.Type, "ann", "", int64(0), string(doc)); err != nil {
					return err
				}
			}
			return nil
		}))
		if r := e.verify(); r.Good() {
			t.Error("records outside of the chain are good")
		}
		e.must(e.db.Close())
		for range 2 { // the second time there is nothing to do
			e.start()
			r := e.good()
			if tenantOf(r, "acme").Records != n/2+1 || tenantOf(r, "zeta").Records != n/2 {
				t.Errorf("%s", r)
			}
			got, err := e.store.Get(ctx, "acme", 2)
			if err != nil || got.Activity != "did 2" || got.Changes[0].New != "1" || string(got.Fragments.Get("x")) != "[1.0]" || !got.Time.Equal(e.clock.Now()) || got.Severity != "MINOR" {
				t.Errorf("%+v %v", got, err)
			}
			e.stop()
		}
	})
}

// TestVerifyChangesNothing reads every state in which a folder can be found.
func TestVerifyChangesNothing(t *testing.T) {
	e := newEnv(t, false)
	e.start()
	for i := range 5 {
		e.record("acme", i)
	}
	dir := filepath.Dir(e.dsn)
	state := func(dir string) string {
		var b strings.Builder
		e.must(filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(name)
			info, _ := d.Info()
			fmt.Fprintf(&b, "%s %s %x\n", name, info.ModTime(), text)
			return err
		}))
		return b.String()
	}
	leave := func(without ...string) *env { // a copy of the folder as a crash would leave it
		to := t.TempDir()
		e.must(os.CopyFS(to, os.DirFS(dir)))
		for _, name := range without {
			e.must(os.Remove(filepath.Join(to, name)))
		}
		c := *e
		c.dsn, c.trail = filepath.Join(to, "documents.db"), filepath.Join(to, "audit", "checkpoints.jsonl")
		return &c
	}
	check := func(name string, e *env) {
		t.Helper()
		before := state(filepath.Dir(e.dsn))
		if r := e.good(); tenantOf(r, "acme").Records != 5 {
			t.Errorf("%s:\n%s", name, r)
		}
		if state(filepath.Dir(e.dsn)) != before {
			t.Errorf("%s: something was changed", name)
		}
	}
	check("after a crash", leave())
	check("after a crash, copied without the shared memory", leave("documents.db-shm"))
	e.good() // while it runs: only the shared memory changes
	e.stop()
	raw := e.raw()
	if _, err := raw.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	e.must(raw.Close())
	check("after a clean stop", e)

	again := leave()
	again.start()
	again.record("acme", 5)
	again.stop()
	if r := again.good(); tenantOf(r, "acme").Records != 6 {
		t.Errorf("after a crash and another start:\n%s", r)
	}
}

// BenchmarkRecord measures durable records with many callers that each wait for their own.
func BenchmarkRecord(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, callers := range []int{1, 16, 256} {
			b.Run(fmt.Sprint(engine, "/", callers), func(b *testing.B) {
				e := newEnv(b, engine == "postgres")
				e.start()
				p := iot.Principal{Tenant: "acme", User: "ann", Application: "cockpit"}
				r := iot.AuditRecord{Type: "Operation", Activity: "Operation updated", Text: "Operation updated: status=EXECUTING", Source: 4711,
					Changes: []iot.AttributeChange{{Attribute: "status", Previous: "PENDING", New: "EXECUTING"}}}
				left := make(chan struct{}, b.N)
				for range b.N {
					left <- struct{}{}
				}
				close(left)
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for range left {
							e.log.Record(ctx, p, r)
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
				start := time.Now()
				e.good()
				b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "verified/s")
				e.stop()
			})
		}
	}
}
