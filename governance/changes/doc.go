// Package changes is the change log: who changed which document, when, why and together with what, and how that is taken back. It is the part of
// the paper's Governance capability that lets an operator answer for changes and reverse them.
//
// All changes that one request makes, or that name the same change set, belong together. Versions are kept by kit/sqlkit in the same transaction
// as the change; this package reads them. A kind of documents takes part by registering a Kind with Log.Add: where its documents are, who may see
// and reverse their changes, how one is put back, and what follows from that. Nothing here knows a kind by name.
//
// Log is the face. It authorizes through the kinds, by the rules for reading and writing the documents themselves. Store is what a driver must do.
// It never changes a document but through the Restore of its kind.
package changes
