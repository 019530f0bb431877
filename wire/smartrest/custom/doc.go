// Package custom is the part of SmartREST 2.0 that devices define themselves: collections of request templates, which turn a line into a
// document, and response templates, which turn a document into lines.
//
// It owns the lines that create a collection (Parse: 10,... and 11,...), the form in which it is kept in the inventory (Read, Doc), the reading
// of a line by a request template (Collection.Bind), and the writing of lines about an operation or an answer (Collection.Render).
//
// It never looks up an object, stores or publishes: which object a command is about, and who may do it, is decided by the caller. Invariants:
// no input makes the package panic; what a collection may hold and what one document may yield are bounded (MaxTemplates, MaxFields,
// MaxLine). A Collection is not changed after it was made, and is safe for concurrent use.
package custom
