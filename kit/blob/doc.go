// Package blob keeps files of any size in the SQL database: attachments of events, binaries of the inventory.
//
// It owns the bytes and nothing else: who may read them, their name and their type are the business of the component that stores them.
// A blob is named by tenant and key. Its content is cut into chunks of 256 KiB, each stored by a short transaction of its own, so that
// a slow upload never holds the writer; a last transaction makes the whole content visible under its key at once. Until then, and
// if the upload fails, readers see what was there before. Chunks that a crash left behind are removed by New once they are a day old.
//
// A reader that is under way while its blob is replaced or deleted fails with io.ErrUnexpectedEOF; it never mixes two contents.
// A Store is safe for concurrent use.
package blob
