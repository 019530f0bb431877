// Package c8yrest speaks the REST dialect of the platform's API, byte for byte: bytes to nouns and back, nothing else.
//
// It knows routes, media types, self links, paging, error bodies, time formats and the many quirks that existing clients rely on
// (each marked "c8y:"). It decides nothing: who may do what, what is valid, what is stored and published is the business of the faces it calls.
//
// Routes is the table of all routes, from which the server, the tests that walk every route and the reference pages are made.
package c8yrest
