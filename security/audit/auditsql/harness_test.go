package auditsql_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/audit/auditsql"
)

var ctx = context.Background()

// env is a place where an audit lies: a database of one engine, a checkpoint file and a key.
type env struct {
	t        testing.TB
	postgres bool
	shared   bool
	dsn      string // or file
	trail    string
	signer   *audit.Signer
	keys     audit.Keys
	clock    *clock.Manual
	db       *sqlkit.DB
	store    *auditsql.Store
	log      *audit.Log
}

// signerOf returns the same key for the same letter, so that failures can be repeated.
func signerOf(t testing.TB, letter byte) *audit.Signer {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = letter
	s, err := audit.NewSigner(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newEnv(t testing.TB, postgres bool) *env {
	dir := t.TempDir()
	e := &env{t: t, postgres: postgres, dsn: filepath.Join(dir, "documents.db"), trail: filepath.Join(dir, "audit", "checkpoints.jsonl"), signer: signerOf(t, 'a'), keys: audit.Keys{},
		clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))}
	if postgres {
		e.dsn = sqltest.PostgresDSN(t)
	}
	e.must(e.keys.Add(e.signer.Public()))
	return e
}

// each runs a test on both engines.
func each(t *testing.T, test func(t *testing.T, e *env)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newEnv(t, false)) })
	t.Run("postgres", func(t *testing.T) { test(t, newEnv(t, true)) })
}

func (e *env) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// open opens the database.
func (e *env) open() {
	e.t.Helper()
	var err error
	if e.postgres {
		e.db, err = sqlkit.OpenPostgres(ctx, e.dsn, slog.New(slog.DiscardHandler))
	} else {
		e.db, err = sqlkit.OpenSQLite(ctx, e.dsn, slog.New(slog.DiscardHandler))
	}
	e.must(err)
	db := e.db
	e.t.Cleanup(func() { _ = db.Close() })
	e.store, err = auditsql.New(ctx, e.db, e.signer)
	e.must(err)
}

// start opens the database and starts a log on it.
func (e *env) start() {
	e.t.Helper()
	e.open()
	var err error
	e.log, err = audit.New(ctx, audit.Deps{Store: e.store, Policy: &access.Policy{}, Clock: e.clock, Log: slog.New(slog.DiscardHandler), Signer: e.signer, Trail: e.trail, Keys: e.keys, Shared: e.shared})
	e.must(err)
}

// stop is a clean stop.
func (e *env) stop() {
	e.t.Helper()
	e.must(e.log.Close())
	e.must(e.db.Close())
}

func (e *env) reader() *auditsql.Reader {
	e.t.Helper()
	r, err := auditsql.OpenFile(e.dsn)
	if e.postgres {
		r, err = auditsql.OpenPostgres(e.dsn)
	}
	e.must(err)
	return r
}

// verify opens what is stored as the command does.
func (e *env) verify() *audit.Report {
	e.t.Helper()
	r := e.reader()
	defer func() { e.must(r.Close()) }()
	report, err := audit.Verify(ctx, audit.Evidence{Reader: r, Keys: e.keys, Files: []string{e.trail}})
	e.must(err)
	return report
}

func (e *env) good() *audit.Report {
	e.t.Helper()
	r := e.verify()
	if !r.Good() {
		e.t.Fatalf("the audit is bad:\n%s", r)
	}
	return r
}

// raw opens the database past sqlkit, as somebody would who tampers.
func (e *env) raw() *sql.DB {
	e.t.Helper()
	driver, dsn := "sqlite", "file:"+e.dsn+"?_pragma=busy_timeout(10000)"
	if e.postgres {
		driver, dsn = "pgx", e.dsn
	}
	db, err := sql.Open(driver, dsn)
	e.must(err)
	e.t.Cleanup(func() { _ = db.Close() })
	return db
}

// record writes the i-th record of a tenant: all kinds of members occur.
func (e *env) record(t iot.TenantID, i int) {
	r := iot.AuditRecord{Type: "Type" + fmt.Sprint(i%3), Activity: fmt.Sprint("did ", i), Text: strings.Repeat("<ä\x00\">", i%3), Source: iot.ID(i % 4 * 1000)}
	if i%2 == 0 {
		r.Changes = []iot.AttributeChange{{Attribute: "x", Type: "t", Previous: "1", New: "<2>"}}
	}
	if i%5 == 0 {
		r.Fragments = iot.Doc{{Name: "acme_X", Raw: []byte(`{ "deep": [1.50, "<"] }`)}}
	}
	e.log.Record(ctx, iot.Principal{Tenant: t, User: "ann", Application: "cockpit"}, r)
	e.clock.Advance(5 * time.Second) // ten records make no minute, which would bring another checkpoint
}

func tenantOf(r *audit.Report, t iot.TenantID) *audit.TenantReport {
	for _, x := range r.Tenants {
		if x.Tenant == t {
			return x
		}
	}
	return nil
}

func (e *env) trailText() string {
	b, err := os.ReadFile(e.trail)
	e.must(err)
	return string(b)
}
