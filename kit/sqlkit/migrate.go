package sqlkit

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"testing/fstest"
	"text/template"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var ownMigrations embed.FS

func (db *DB) migrateOwn(ctx context.Context) error {
	return db.Migrate(ctx, "sqlkit", ownMigrations)
}

// Migrate brings the tables of a component up to date from numbered, one-way files "migrations/NNNN_name.sql". What was applied is
// recorded in a table of the component's own. In a file, {{.JSON}} is a column type for parsed JSON, {{.Bytes}} for bytes, and {{.Doc}}
// declares a column with the parsed form of the column doc (TEXT); {{.NoRowID}} clusters a table by its primary key where that must be said,
// and {{.Binary}} orders a TEXT column by bytes. Migrate may run on several nodes at once.
func (db *DB) Migrate(ctx context.Context, component string, files fs.FS) error {
	rendered, err := db.render(files)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", component, err)
	}
	if db.Dialect == SQLite {
		return db.migrateSQLite(ctx, component, rendered)
	}
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Nodes that start together must not migrate together.
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(7305213)`); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(7305213)`) }()
	return up(ctx, database.DialectPostgres, db.read, component, rendered)
}

// migrateSQLite uses a connection of its own, because the writing one belongs to the writer; SQLite makes them take turns.
func (db *DB) migrateSQLite(ctx context.Context, component string, rendered fs.FS) error {
	pool, err := sql.Open("sqlite", db.dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	return up(ctx, database.DialectSQLite3, pool, component, rendered)
}

func up(ctx context.Context, dialect goose.Dialect, pool *sql.DB, component string, files fs.FS) error {
	p, err := goose.NewProvider(dialect, pool, files, goose.WithTableName("schema_"+component))
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", component, err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", component, err)
	}
	return nil
}

func (db *DB) render(files fs.FS) (fs.FS, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err == nil && len(names) == 0 {
		err = errors.New("no files migrations/*.sql")
	}
	if err != nil {
		return nil, err
	}
	out := fstest.MapFS{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		t, err := template.New(name).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, db.Dialect.types()); err != nil {
			return nil, err
		}
		out[name[len("migrations/"):]] = &fstest.MapFile{Data: b.Bytes()}
	}
	return out, nil
}
