// Package sqlkit is how Isobar's components keep documents in SQL: one portable driver per component on SQLite (embedded) and PostgreSQL.
//
// It owns the connection pools, the one writer of SQLite with group commit, migrations, the differences of dialect, the sequences
// from which document ids come, and the table of superseded versions (history). It knows no document.
//
// SQL is written once, with ? for parameters and types that both engines know (BIGINT, TEXT, DOUBLE PRECISION); migrations may use
// {{.JSON}}, {{.Bytes}} and {{.Doc}} (see Migrate). Times are stored as Unix milliseconds, booleans as BIGINT 0 or 1.
//
// Durability: Write returns nil only after the transaction is on disk (SQLite: WAL with synchronous=FULL, one fsync for all
// transactions that wait at that moment; PostgreSQL: synchronous_commit as configured there, on by default).
//
// All methods of DB are safe for concurrent use. A function passed to Write must not call Write, NextID or a read method of DB:
// on SQLite it runs on the only writer. It may run more than once (PostgreSQL, after a serialization failure) and must have no other effect.
package sqlkit
