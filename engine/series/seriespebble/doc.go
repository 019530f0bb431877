// Package seriespebble is the embedded driver of engine/series: measurements in one Pebble database in one folder.
//
// # Life of a measurement
//
// Append writes a row, keyed tenant / source / time / sequence, and waits for the fsync that it shares with all appends of that moment.
// When rows are older than Options.SealAfter, the background packs those of one source and one shape into chunks and deletes the rows in the
// same atomic batch: at least 128 make a chunk, fewer are added to the last chunk as long as that is small. Rows that arrive later than
// the chunk of their time are packed together with it: eight at once, or all of them in the rounds over all sources, every six hours.
// Rows with free members and rows of rare shapes stay rows. Reads merge both.
//
// # Formats
//
// The folder has format 3. Those of formats 1, whose chunks lack the times of extremes and the ends of columns, and 2, which kept what clients
// delivered in another place, are read as well, and marked as format 3 when they are opened; chunks are packed anew only if late rows fall into
// them, and repetitions of what was delivered before are not told from new measurements.
//
// # Deletion
//
// A deletion over all sources, which is what retention does, first looks at the rows and the first chunk of each shape of each source with
// a seek each; only sources that have something to delete are opened. Whole chunks go as ranges, without being unpacked. If the
// deletion names a type or a fragment, rows of others that are old enough are passed over as well; those in chunks are not.
//
// # Shapes
//
// A shape is a type and an ordered list of (fragment, series, unit). It is stored once per tenant, in the batch of the first row that
// has it; rows and chunks carry its number. The catalog notes which shapes a source has used, in the same batch as well.
//
// # Deliveries
//
// What clients delivered goes into a journal, one value for each commit, in the batch of the measurements. The journal is in memory as well, and is
// folded into one value for each client, its trail, before it exceeds 32 MiB, when the store is closed, and before a tenant is dropped.
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
