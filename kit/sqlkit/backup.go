package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	sqlite "modernc.org/sqlite"
)

// Backup writes a copy of SQLite's database as of a moment during the call into a new file, while others go on reading and writing: everything
// that Write acknowledged before the call is in it. The copy is not synced.
func (db *DB) Backup(ctx context.Context, file string) error {
	if db.Dialect != SQLite {
		return errors.New("only SQLite can be copied like this")
	}
	source, err := sql.Open("sqlite", db.dsn)
	if err != nil {
		return err
	}
	defer source.Close()
	conn, err := source.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		from, ok := driver.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("the driver %T makes no backups", driver)
		}
		b, err := from.NewBackup(file)
		if err != nil {
			return err
		}
		_, err = b.Step(-1) // all at once: in several steps, every write in between would begin it anew
		return errors.Join(err, b.Finish())
	})
}

// CheckFile looks for damage in the structure of a SQLite database that nobody writes, and returns what it finds, at most a hundred lines.
func CheckFile(ctx context.Context, file string) (damage []string, err error) {
	db, err := sql.Open("sqlite", fileURI(file)+"?_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(100)")
	if err != nil {
		return nil, err
	}
	err = Rows(rows, func(r *sql.Rows) error {
		var line string
		if err := r.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			damage = append(damage, line)
		}
		return nil
	})
	return damage, err
}

// ReadFile runs a query on a SQLite database that nobody writes, and changes nothing. A table that is not there is an error.
func ReadFile(ctx context.Context, file, query string, each func(*sql.Rows) error) error {
	db, err := sql.Open("sqlite", fileURI(file)+"?_pragma=query_only(1)")
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	return Rows(rows, each)
}
