// Package transfer moves a tenant between platforms that speak the API: it exports one into a folder, imports such a folder into another, and makes
// a receipt that compares both sides.
//
// It uses nothing but the public API of both platforms, so either may be another product. An Export is a folder with a file of JSON lines per kind,
// the files by their SHA-256, and export.json, which says what is in it; progress.json remembers how far an unfinished one has come. Import is
// idempotent: every document that it makes carries the fragment isobar_Origin with the id that it had, and what is there already is not made
// again; measurements are compared by content. Ids within documents are rewritten (see rewrite). The package never exports secrets, and it lists
// whatever it did not carry over with the reason.
package transfer
