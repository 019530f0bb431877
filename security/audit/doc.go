// Package audit keeps who did what, so that nobody can change it unnoticed: the audit part of the paper's Security (and Governance) capability.
//
// It owns the audit records of every tenant. Records are written once, through Log, by the faces of components and by applications, and are
// never changed or deleted; retention leaves stubs. It never decides anything. Reading needs ROLE_AUDIT_READ, writing through the API
// ROLE_AUDIT_ADMIN or ownership of the object that the record is about.
//
// # The chain
//
// The records of a tenant are numbered 1, 2, 3, ... without gaps; the number is the id. A record is kept as canonical bytes (doc) that are hashed
// and never encoded again. digest = SHA-256(doc); hash = SHA-256(label, tenant, number, hash of the record before, digest), each field with its
// length in front. The head of a tenant says its last number and hash and is signed (Ed25519) in the transaction of the append: without it the
// newest records could be cut off. A stub keeps number, digest and hash, and carries a signature: without it any record could be emptied.
//
// Copies of heads go as checkpoints to a file beside the database (Trail), so that a database that was rolled back as a whole is found too.
// The lines of the file are numbered, chained and signed, and the database witnesses how many there are: each tells of a cut in the other.
//
// Verify checks all of it, from stored bytes and public keys alone, in memory that does not grow with the number of records.
//
// # What is not found
//
// Who holds the private key can write a new past. Without the key one can still put back an older state of database and file together,
// or of the database alone to not before the last line of the file: keep copies of the file and of the public key elsewhere
// (docs/how-to/audit.md).
package audit
