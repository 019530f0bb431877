// Package blob keeps files of any size: attachments of events, binaries of the inventory.
//
// It owns the bytes and nothing else: who may read them, their name and their type are the business of the component that stores them.
// A blob is named by tenant and key. What is small lies in the SQL database; what is larger lies outside, where there is an Outside: in files
// (blobdisk) or in a bucket (blobs3), else in the database as well, cut into chunks of 256 KiB, each stored by a short transaction of its own, so
// that a slow upload never holds the writer. Wherever it lies, content is written once under a name of its own, made durable, and then a
// transaction makes it visible under its key at once. Until then, and if the upload fails, readers see what was there before. Nothing but the row
// in the database says that a blob exists: what a crash left behind is found and removed by Sweep.
//
// A Blob is one content: who found it reads it to the end although its key gets another one meanwhile, for Grace at least. A deleted blob goes at
// once, and its readers fail with io.ErrUnexpectedEOF; no reader ever mixes two contents. Whoever reads from the first byte to the last gets
// the content with the SHA-256 that was stored, or an error of kind Corrupt instead of the last bytes.
//
// A Store is safe for concurrent use.
package blob
