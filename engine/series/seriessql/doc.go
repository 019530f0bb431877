// Package seriessql is the PostgreSQL driver of engine/series, for several nodes that share one database.
//
// A row holds one measurement: tenant, source, millisecond and sequence are its primary key, in that order; its numbers are two arrays,
// mantissas and scales. What many measurements have in common, the type and the ordered list of (fragment, series, unit), is a shape:
// stored once per tenant and referred to by number. The catalog notes which shapes a source has used.
//
// Append writes the whole batch in one transaction with two statements, whatever its size. Sequences are chosen from what is stored;
// when two nodes choose the same, the primary key refuses one of them and that transaction starts again.
//
// The schema is made and brought up to date by Open, from numbered one-way migrations under an advisory lock, so that many nodes can
// start at once. All tables live in the first schema of the connection's search_path and start with "series_".
//
// The driver needs PostgreSQL 12 or later. Durability is that of the server: synchronous_commit must not be off.
package seriessql
