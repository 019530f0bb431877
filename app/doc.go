// Package app is the wiring: the only place that knows every component and driver.
//
// Main is the whole program as a function, so that tests run it, also several times in one process. Platform starts the modules of the
// table in modules.go in order and stops them in reverse. Configuration comes from flags, then ISOBAR_<NAME>, then a file, then defaults,
// and is checked without any I/O.
package app
