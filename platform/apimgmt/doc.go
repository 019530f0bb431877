// Package apimgmt is the paper's API Management: who uses the API with which key, how much, and within which bounds.
//
// It owns API keys, published endpoints (queries with parameters that are kept under a name and a version) and the figures of use per consumer and
// day. It never decides what a person may do: a key is the principal of its owner,
// cut down to the scopes of the key, and security/access decides about that as about any other.
//
// Store is what a driver must do.
//
// # Facts
//
// It publishes nothing: a key is read from the store for every request, so that it ends everywhere at once.
//
// # Invariants
//
//   - A key never reaches further than its owner does at the time of the request, nor further than its scopes. Ownership and c8y_Global, which need
//     no permission, do not count for a key.
//   - The secret of a key is shown once. What is stored is its SHA-256: it has 130 random bits.
//   - What a published endpoint shows is what its caller may read without it: it is a query that is kept, not a way around permissions. Values of
//     parameters are bound to the parsed query; no text of a caller is ever parsed as one.
//   - What a version of an endpoint asks for does not change once it is published.
//   - Quotas and figures are counted in memory, and figures stored every ten seconds and at the stop: a crash loses at most that. Each node
//     counts for itself, so that n nodes together may grant n times the quota.
package apimgmt
