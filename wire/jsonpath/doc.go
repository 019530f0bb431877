// Package jsonpath is the part of JSONPath that the templates of SmartREST use: it reads values out of JSON documents and writes values
// into them.
//
// A path is a chain of members and positions, with an optional $ in front: $.c8y_Command.text, c8y_RelayArray[0], $.list[*].type,
// ['a name'].x, list.*. A negative position counts from the end. There are no filters, slices, unions and recursive descents; Parse
// refuses them, so that who writes a template learns it at once.
//
// It knows no template, stores nothing, and keeps numbers as the text that they came as. No input makes it panic, and what one path may find
// in a document is bounded by MaxFound. All functions are safe for concurrent use.
package jsonpath
