// Package seriespebble is the embedded driver of engine/series: measurements in one Pebble database in one folder.
//
// # Life of a measurement
//
// Append writes a row, keyed tenant / source / time / sequence, and waits for the fsync that it shares with all appends of that moment.
// When rows are older than Options.SealAfter, the background packs at least 128 of them, of one source and one shape, into a chunk
// and deletes the rows in the same atomic batch. Rows with free members, rows of rare shapes and rows that arrive later than
// the chunk of their time stay rows. Reads merge both.
//
// # Shapes
//
// A shape is a type and an ordered list of (fragment, series, unit). It is stored once per tenant, in the batch of the first row that
// has it; rows and chunks carry its number. The catalog notes which shapes a source has used, in the same batch as well.
//
// # Invariants
//
//   - Chunks of one source and shape never overlap in (time, sequence); reading needs one seek per shape.
//   - A measurement is in exactly one place: a row or a chunk. The move between them is atomic.
//   - Every value starts with a version and carries a CRC-32C over key and value. What does not verify is fault.Corrupt.
//   - Batches enter the engine under one lock (memory only, no fsync), so an append sees all earlier ones when it chooses a sequence.
//   - Only Seal, Delete and DropTenant change what is stored, one at a time.
//
// When the log cannot be written the process panics instead of going on without durability.
//
// # Limits
//
// One process per folder. Per source about 200 bytes of memory for each of the 131,072 (up to twice that) most recently active sources;
// the others cost a look into the database when they come back. A measurement's id can be given again after it was deleted.
package seriespebble
