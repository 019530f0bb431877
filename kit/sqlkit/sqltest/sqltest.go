// Package sqltest opens a fresh database of every engine for conformance suites.
//
// PostgreSQL is used when ISOBAR_TEST_POSTGRES holds a URL (make test starts a private server and sets it); otherwise its part is skipped.
package sqltest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Each runs test once per engine, each time with an empty database of its own.
func Each(t *testing.T, test func(t *testing.T, db *sqlkit.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite opens an empty SQLite database that is removed with the test.
func SQLite(t testing.TB) *sqlkit.DB {
	t.Helper()
	db, err := sqlkit.OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Postgres opens an empty schema that is dropped with the test, or skips the test.
func Postgres(t testing.TB) *sqlkit.DB {
	t.Helper()
	db, err := sqlkit.OpenPostgres(context.Background(), PostgresDSN(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// PostgresDSN returns the URL of an empty schema that is dropped with the test, or skips the test.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	base := os.Getenv("ISOBAR_TEST_POSTGRES")
	if base == "" {
		t.Skip("ISOBAR_TEST_POSTGRES is not set: run through make test")
	}
	admin, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	schema := "t_" + strings.ToLower(rand.Text())
	if _, err := admin.Exec(`CREATE SCHEMA ` + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = admin.Exec(`DROP SCHEMA ` + schema + ` CASCADE`)
		_ = admin.Close()
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}
