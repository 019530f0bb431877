// Package apimgmt is the paper's API Management: who uses the API with which key, how much, and within which bounds.
//
// It owns API keys and the figures of use per consumer and day. It never decides what a person may do: a key is the principal of its owner,
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
//   - Quotas and figures are counted in memory, and figures stored every ten seconds and at the stop: a crash loses at most that. Each node
//     counts for itself, so that n nodes together may grant n times the quota.
package apimgmt
