// Package sessiontest is the conformance suite of session.Store. A driver's whole test is a call of TestStore, and of
// TestReopen if it is durable.
package sessiontest
