// Package identity is the paper's Device Identity Service: how a device that nobody knows yet comes to an account of its own.
//
// An operator announces a device by its id (Request). The device, which holds nothing but the account that all devices share, asks for
// credentials until it gets them (Credentials); its first question makes the request ready to be accepted. The operator accepts, and the
// next question is answered, once, with the account "device_<id>". A security token that only the device and its operator know keeps others,
// who share the same account, from asking in its name.
//
// Or the device has a certificate (Anchors). A tenant uploads the certificates that it trusts; a device that proves in a TLS handshake that it
// holds the key of one, or of one that such an anchor vouches for, is let in as "device_<common name>" of that tenant.
//
// The package owns registrations and trust anchors. Accounts belong to security/access, the device's digital twin to platform/registry: the device creates it
// itself with its new account.
//
// A tenant may have the platform keep a certificate authority for it, whose certificate is an anchor as well: a device that was registered with a
// one-time password gets its certificate there (Enroll), and renews it itself (Reenroll). What is revoked counts no more.
//
// Many devices are registered from a file (Bulk), a line each.
//
// # Invariants
//
//   - Ids are unique on the whole platform, not per tenant: the account that all devices share belongs to no tenant, so that the id
//     alone must lead to the tenant. That is the one table whose key does not start with the tenant.
//   - So are the fingerprints of trust anchors: the anchor leads to the tenant.
//   - An anchor that is disabled or deleted vouches for nobody from that moment on, also for who is connected, on all nodes.
//   - Keys of authorities are stored sealed (kit/secret), and nowhere else: not in history, not in answers.
//   - A one-time password is used up by the certificate that it led to; ten wrong ones block the registration.
//   - Credentials are handed out once. A device that lost them must be registered again; its account is kept and gets a new password.
//   - Tokens are stored as salted hashes and compared in constant time. Ten wrong ones block a registration; it must be deleted.
//   - A token that is missing is refused where one is due, but is no attempt: nothing was guessed.
package identity
