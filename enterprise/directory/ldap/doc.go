// Package ldap lets people in with the password that an LDAP directory or Active Directory knows, as a login option of type LDAP (ours) that a
// tenant stores. Basic authentication, the login form and MQTT all ask it, through access.Directory.
//
// Directories is the face. It finds the entry of a name, binds as that entry with the password (RFC 4513), reads the groups, and has
// security/access make the account with the rights that groups are mapped to.
//
// # Invariants
//
//   - A bind never has an empty password: servers take that for an anonymous login that succeeds (RFC 4513, section 5.1.2).
//   - Names of users get into filters and DNs escaped only, and only if they could be user names here.
//   - Passwords travel over TLS only; without encryption a server is refused, except on loopback where the door allows that.
//   - Referrals are not followed. A name that fits two entries is refused.
//   - The password of the service account is sealed at rest, never shown, and must be given again when the servers change.
//
// A server that does not answer in time counts as down: the next one is asked, and if all are down the login fails with Unavailable, not with
// Unauthenticated, so that clients do not throw away passwords that are good.
package ldap
