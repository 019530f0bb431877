// Package compat holds the acceptance tests: they know the platform only from outside, as the program that users run.
//
// Foreign clients that nobody changed for us (clients_test.go, clients/), kill -9 under load on both engines (crash_test.go), two nodes on one
// PostgreSQL and one NATS (cluster_test.go), rights that are taken away from who is connected (revocation_test.go), what the program promises to whoever operates it (contract_test.go), and input that nobody
// should send (badinput_test.go). ISOBAR_SOAK=<cycles> makes the crash test long.
package compat
