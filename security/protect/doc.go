// Package protect is the paper's Data Protection: what keeps data unread and unchanged on its way over a network.
//
// It owns the one TLS configuration of all listeners, where their certificates come from, and the permission without which nothing is
// offered unencrypted to other machines. It opens no listener and knows no protocol above TLS; who a client is, is security/access's matter.
//
// # TLS
//
// TLS 1.2 and 1.3 with authenticated encryption and forward secrecy only; the suites are named in config.go. Keys are agreed on with a hybrid of
// X25519 or a NIST curve and ML-KEM where the client can, so that traffic recorded today stays closed to a quantum computer of tomorrow. The
// certificate is chosen per handshake: a new one serves new connections and ends none.
//
// # Certificates
//
// Files that somebody else renews, or an authority that speaks ACME (RFC 8555), not both. Files are looked at every few seconds: a pair that
// cannot be used is refused as a whole and the old one goes on serving. ACME is golang.org/x/crypto/acme/autocert: it is kept by the Go
// team, small, brings no further module, and does all that a fixed list of names needs. The larger certmagic would add stores shared by
// nodes and a dozen dependencies; nodes behind one name can share the folder of autocert's cache instead.
//
// # Plaintext
//
// A Permission allows unencrypted listeners beyond this machine for a time that ends. Plaintext watches it: it warns at the start and every
// hour, and closes these listeners and their connections when it is over. Those on the loopback stay.
//
// Secrets: private keys are read from files and kept in memory only; nothing of them is logged.
package protect
