// Package one is SmartREST 1: lines that templates turn into requests of the REST API, and answers and notifications that templates turn into
// lines. Devices send them to POST /s, to the realtime endpoints as text, and over MQTT (s/ul).
//
// It owns the lines that register templates (Parse: 10,... and 11,...), the form in which a collection is kept in the inventory (Read, Doc),
// the filling of a request (Request.Fill), the writing of lines about a document (Collection.Render), and the meaning of a whole body
// (Engine.Run): existence, registration, use, 15 to change the collection, 61 for credentials, and the lines that tell of errors.
//
// A request is executed as the REST API would execute it for the same user, so that it can do neither more nor less than the user. Placeholders
// are filled as text: c8y: agents send pieces of JSON. If that makes a body that is no JSON, the values inside of its strings are escaped.
//
// Invariants: no input makes the package panic; what a collection may hold is bounded. An Engine is safe for concurrent use.
package one
