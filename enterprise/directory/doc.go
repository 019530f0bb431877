// Package directory is the paper's Enterprise User Directory: how people whom an enterprise knows already get in and get their rights.
//
// It owns the rules that turn what a directory says of a person (claims of a token, groups of an LDAP entry) into global roles and inventory
// roles, and the door through which other packages below it talk to servers that administrators of tenants name. Sub-packages speak the
// protocols: oidc (OpenID Connect) and ldap (LDAP, Active Directory).
//
// It never decides who may do what: that is security/access, which makes the accounts (Users.Provision) and opens the sessions (Users.Adopt). It
// never takes over an account of another origin, and it never hands a secret out again that an administrator has put in.
//
// # Invariants
//
//   - Rules are evaluated without I/O, in bounded time, and never panic, whatever the claims are.
//   - What is absent matches no comparison, not even NEQ: a directory that forgets a claim gives fewer rights, never more.
//   - Who no rule applies to is refused.
//   - Servers are reached over TLS only, with a bound on time and size, and never on addresses of this machine or its link; the flag
//     oidc-allow-insecure lifts that for loopback, for tests.
package directory
