// Package fault is the one error type of Isobar, its closed set of kinds, and the one table that maps a kind to every wire.
//
// A component's face decides the kind of an error once; dialects translate it through the table and never look at its text.
// Messages are for the client: lower case, no full stop, and they say what to do. What must not be told is NotFound or Denied
// without detail; causes that only we should read go into Err.
//
// The package imports only the standard library and iot.
package fault
