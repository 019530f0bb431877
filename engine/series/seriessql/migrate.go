package seriessql

import (
	"context"
	"embed"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the key of the advisory lock that nodes hold while they migrate: "series" in ASCII.
const migrationLock = 0x736572696573

const versionTable = `CREATE TABLE IF NOT EXISTS series_version (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())`

// migrate brings the schema up to date in one transaction.
func migrate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, versionTable); err != nil {
		return err
	}
	var at int
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM series_version`).Scan(&at); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := apply(ctx, tx, name, at); err != nil {
			return err
		}
	}
	return nil
}

// apply runs a migration that is newer than the version at.
func apply(ctx context.Context, tx pgx.Tx, name string, at int) error {
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
	version, err := strconv.Atoi(number)
	if err != nil || version <= at {
		return err
	}
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, string(text)); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO series_version (version) VALUES ($1)`, version)
	return err
}
