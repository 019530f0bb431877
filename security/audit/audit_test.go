package audit_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/audit/auditsql"
)

var ctx = context.Background()

func signer(t testing.TB) *audit.Signer {
	s, err := audit.NewSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newLog(t *testing.T, d audit.Deps) *audit.Log {
	t.Helper()
	d.Policy, d.Log, d.Signer = &access.Policy{}, slog.New(slog.DiscardHandler), signer(t)
	if d.Clock == nil {
		d.Clock = clock.System{}
	}
	l, err := audit.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestAuditLog(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		store, err := auditsql.New(ctx, db, signer(t))
		if err != nil {
			t.Fatal(err)
		}
		now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		log := newLog(t, audit.Deps{Store: store, Clock: now})
		for i := range 12 {
			tenant := iot.TenantID([]string{"a", "b"}[i%2])
			log.Record(ctx, iot.Principal{Tenant: tenant, User: "ann", Application: "cockpit"},
				iot.AuditRecord{Type: "User", Activity: fmt.Sprint("did ", i), Source: iot.ID(i), Changes: []iot.AttributeChange{{Attribute: "x", Previous: "1", New: "2"}}})
			now.Advance(time.Second)
		}
		reader := iot.Principal{Tenant: "a", User: "r", Roles: []string{"ROLE_AUDIT_READ"}}
		records, n, err := log.List(ctx, reader, audit.Query{Limit: 3, Offset: 1})
		if err != nil || n != 6 || len(records) != 3 || records[0].Activity != "did 8" || records[0].User != "ann" || records[0].Changes[0].New != "2" || records[0].ID != 5 {
			t.Errorf("%+v %d %v", records, n, err)
		}
		from := time.Date(2026, 1, 2, 3, 4, 9, 0, time.UTC)
		if _, n, err := log.List(ctx, reader, audit.Query{From: from, To: from.Add(2 * time.Second), Limit: 9}); err != nil || n != 1 {
			t.Errorf("by time: %d %v", n, err)
		}
		if _, n, err := log.List(ctx, reader, audit.Query{Source: 4, Type: "User", User: "ann", Application: "cockpit", Limit: 9}); err != nil || n != 1 {
			t.Errorf("by everything: %d %v", n, err)
		}
		if got, err := log.Get(ctx, reader, records[0].ID, nil); err != nil || got.Activity != "did 8" {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := log.Get(ctx, reader, 99999, nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("missing: %v", err)
		}
		if _, _, err := log.List(ctx, iot.Principal{Tenant: "a", User: "x"}, audit.Query{Limit: 1}); !fault.Is(err, fault.Denied) {
			t.Errorf("without the permission: %v", err)
		}
		mine := iot.AuditRecord{Type: "User", Activity: "a", Text: "t", Time: from, Source: 1}
		if _, err := log.Create(ctx, iot.Principal{Tenant: "a", User: "dev"}, mine, access.Object{ID: 1, Owner: "dev"}); err != nil {
			t.Errorf("the owner writes about its object: %v", err)
		}
		if _, err := log.Create(ctx, iot.Principal{Tenant: "a", User: "dev"}, mine, access.Object{ID: 1, Owner: "other"}); !fault.Is(err, fault.Denied) {
			t.Errorf("about another's object: %v", err)
		}

		if n, err := log.Forget(ctx, "a", audit.Old{Before: from}); err != nil || n != 2 {
			t.Errorf("forget: %d %v", n, err)
		}
		records, n, err = log.List(ctx, reader, audit.Query{Limit: 1})
		if err != nil || n != 6 || !strings.Contains(records[0].Text, "2 audit records") || records[0].User != "system" {
			t.Errorf("the record about it: %+v %d %v", records, n, err)
		}
		if n, err := log.Forget(ctx, "a", audit.Old{Before: from}); err != nil || n != 0 {
			t.Errorf("nothing is left to forget: %d %v", n, err)
		}
		if _, n, err := log.List(ctx, reader, audit.Query{Limit: 1}); err != nil || n != 6 {
			t.Errorf("nothing was forgotten, and nothing must be said about it: %d %v", n, err)
		}
	})
}

func TestCreateRefusesWhatIsNoRecord(t *testing.T) {
	store, err := auditsql.New(ctx, sqltest.SQLite(t), signer(t))
	if err != nil {
		t.Fatal(err)
	}
	log := newLog(t, audit.Deps{Store: store})
	p := iot.Principal{Tenant: "a", User: "u", Roles: []string{"ROLE_AUDIT_ADMIN"}}
	good := iot.AuditRecord{Type: "t", Activity: "a", Text: "x", Time: time.Now()}
	for _, c := range []struct {
		name   string
		change func(r *iot.AuditRecord)
		ok     bool
	}{
		{"as it is", func(*iot.AuditRecord) {}, true},
		{"a severity", func(r *iot.AuditRecord) { r.Severity = "critical" }, true},
		{"an unknown severity", func(r *iot.AuditRecord) { r.Severity = "TERRIBLE" }, false},
		{"no type", func(r *iot.AuditRecord) { r.Type = "" }, false},
		{"no activity", func(r *iot.AuditRecord) { r.Activity = "" }, false},
		{"no text", func(r *iot.AuditRecord) { r.Text = "" }, false},
		{"no time", func(r *iot.AuditRecord) { r.Time = time.Time{} }, false},
		{"23 hours ahead", func(r *iot.AuditRecord) { r.Time = r.Time.Add(23 * time.Hour) }, true},
		{"two days ahead", func(r *iot.AuditRecord) { r.Time = r.Time.Add(48 * time.Hour) }, false},
		{"in the name of somebody else", func(r *iot.AuditRecord) { r.User = "x" }, true},
		{"in the own name", func(r *iot.AuditRecord) { r.User = "u" }, true},
		{"with a forged reporter", func(r *iot.AuditRecord) { r.Fragments = iot.Doc(nil).SetText("isobar_ReportedBy", "x") }, true},
		{"the longest type", func(r *iot.AuditRecord) { r.Type = strings.Repeat("ä", 256) }, true},
		{"a longer type", func(r *iot.AuditRecord) { r.Type = strings.Repeat("ä", 257) }, false},
		{"a long activity", func(r *iot.AuditRecord) { r.Activity = strings.Repeat("x", 1025) }, false},
		{"a long text", func(r *iot.AuditRecord) { r.Text = strings.Repeat("x", 16<<10+1) }, false},
		{"a long user", func(r *iot.AuditRecord) { r.User = iot.UserName(strings.Repeat("x", 1025)) }, false},
		{"a long application", func(r *iot.AuditRecord) { r.Application = strings.Repeat("x", 1025) }, false},
		{"many changes", func(r *iot.AuditRecord) { r.Changes = make([]iot.AttributeChange, 1001) }, false},
		{"a huge fragment", func(r *iot.AuditRecord) {
			r.Fragments = iot.Doc{{Name: "x", Raw: []byte(`"` + strings.Repeat("x", 1<<20) + `"`)}}
		}, false},
		{"NUL in a text that is a column", func(r *iot.AuditRecord) { r.Type = "a\x00b" }, true},
	} {
		r := good
		c.change(&r)
		made, err := log.Create(ctx, p, r, access.Object{})
		if c.ok && (err != nil || made.ID == 0) || !c.ok && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", c.name, err)
		}
		if by, _ := made.Fragments.Text("isobar_ReportedBy"); c.ok && by != "u" {
			t.Errorf("%s: reported by %q", c.name, by)
		}
	}
}

// gate is a store whose Append waits for permission and may fail.
type gate struct {
	audit.Store
	entered chan int // the size of each batch
	outcome chan error
}

func (g *gate) Append(ctx context.Context, t iot.TenantID, drafts []audit.Draft, at time.Time) (before, after audit.Head, err error) {
	g.entered <- len(drafts)
	if err := <-g.outcome; err != nil {
		return before, after, err
	}
	return g.Store.Append(ctx, t, drafts, at)
}

func TestRecordsThatWaitShareACommitAndFailuresAreCounted(t *testing.T) {
	store, err := auditsql.New(ctx, sqltest.SQLite(t), signer(t))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{store, make(chan int), make(chan error)}
	reg := prometheus.NewRegistry()
	log := newLog(t, audit.Deps{Store: g, Reg: reg})
	record := func(tenant iot.TenantID) {
		log.Record(ctx, iot.Principal{Tenant: tenant, User: "u"}, iot.AuditRecord{Type: "x"})
	}
	var first, rest sync.WaitGroup
	first.Go(func() { record("a") })
	if n := <-g.entered; n != 1 {
		t.Errorf("the first batch has %d records", n)
	}
	const many = 300
	for range many {
		rest.Go(func() { record("a") })
	}
	for log.Waiting("a") < many {
		runtime.Gosched()
	}
	other := make(chan struct{})
	go func() { record("b"); close(other) }()
	if n := <-g.entered; n != 1 {
		t.Errorf("another tenant does not wait for the first: %d", n)
	}
	g.outcome <- nil
	g.outcome <- nil
	first.Wait()
	<-other
	if n := <-g.entered; n != 256 {
		t.Errorf("the batch of those that waited has %d records", n)
	}
	g.outcome <- errors.New("disk on fire")
	if n := <-g.entered; n != many-256 {
		t.Errorf("the last batch has %d records", n)
	}
	g.outcome <- nil
	rest.Wait()
	if lost := counter(t, reg, "isobar_audit_lost_records_total"); lost != 256 {
		t.Errorf("%v records are counted as lost", lost)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	record("a")
	if lost := counter(t, reg, "isobar_audit_lost_records_total"); lost != 257 {
		t.Errorf("after Close %v records are counted as lost", lost)
	}
}

func counter(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys", "audit.pem")
	made, err := audit.OpenKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	again, err := audit.OpenKey(file)
	if err != nil || again.ID != made.ID {
		t.Errorf("%+v %v", again, err)
	}
	public := filepath.Join(filepath.Dir(file), "audit.pub")
	if keys, err := audit.ReadKeys(public); err != nil || len(keys) != 1 || !keys[made.ID].Equal(made.Public()) {
		t.Errorf("%v %v", keys, err)
	}
	if err := os.Remove(file); err != nil { // lost: the old signatures must still be verifiable
		t.Fatal(err)
	}
	second, err := audit.OpenKey(file)
	if err != nil || second.ID == made.ID {
		t.Fatalf("%v %v", second, err)
	}
	files, err := audit.PublicFiles(file)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	if keys, err := audit.ReadKeys(files...); err != nil || len(keys) != 2 || keys[made.ID] == nil {
		t.Errorf("%v %v", keys, err)
	}
	for _, c := range []struct {
		name string
		mode os.FileMode
		text string
	}{{"readable by all", 0o644, ""}, {"no PEM", 0o600, "x"}, {"no key", 0o600, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}} {
		bad := filepath.Join(t.TempDir(), "audit.pem")
		if err := os.WriteFile(bad, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.OpenKey(bad); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
		if _, err := audit.ReadKeys(bad); err == nil {
			t.Errorf("%s: accepted as a public key", c.name)
		}
	}
}

// FuzzParseLine holds that what is read is what would be written: no byte of a line can change unseen.
func FuzzParseLine(f *testing.F) {
	dir := f.TempDir()
	store, err := auditsql.New(ctx, sqltest.SQLite(f), signer(f))
	if err != nil {
		f.Fatal(err)
	}
	log, err := audit.New(ctx, audit.Deps{Store: store, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Signer: signer(f), Trail: filepath.Join(dir, "trail")})
	if err != nil {
		f.Fatal(err)
	}
	log.Record(ctx, iot.Principal{Tenant: "a", User: "u"}, iot.AuditRecord{Type: "x"})
	if err := log.Close(); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "trail"))
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f.Add(strings.TrimSpace(line))
	}
	f.Add(`{"line":1}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, s string) {
		one, err := audit.ParseLine([]byte(s))
		if err != nil {
			return
		}
		if two, err := audit.ParseLine([]byte(s + " ")); err == nil {
			t.Errorf("a blank more makes no difference: %+v %+v", one, two)
		}
	})
}
