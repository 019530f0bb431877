// Package sessionmem is the reference driver of session.Store: everything in memory, lost when the process ends.
//
// It is the model that the durable driver is held against, and good enough for a broker whose sessions may die with it.
// One mutex guards all; reads copy out. It never blocks on anything else.
package sessionmem
