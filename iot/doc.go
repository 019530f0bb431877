// Package iot is the vocabulary of Isobar: the nouns that every component, dialect and driver shares.
//
// It holds the Physical Entity's digital twin (ManagedObject), what devices report about it (Measurement, Event, Alarm),
// what applications ask of it (Operation), who asks (Principal), where it lives (TenantID), and the free-form document (Doc)
// in which unknown fragments survive unchanged. It knows no wire format beyond JSON as the representation of fragments,
// no storage and no policy.
//
// Every identifier kind has a type of its own, so that a tenant can never be passed where a user name is meant.
// Values are plain data: they are safe to copy, and safe for concurrent use as long as nobody writes to them.
//
// The package imports only the standard library.
package iot
