// Package oidc lets people in whom an OpenID Connect provider vouches for: the authorization code flow with PKCE, as a login option of type
// OAUTH2 that a tenant stores.
//
// SSO is the face. Provider checks and shows the login option; Start sends a browser to the provider; Finish takes what the provider sends back,
// verifies the ID token, and has security/access make the account and the session.
//
// What a login must remember between Start and Finish (state, nonce, PKCE verifier, tenant, where to go) travels in a cookie that is sealed with
// the platform's key, so that any node can finish it and nobody can read or change it. It is good for ten minutes and once.
//
// # Invariants
//
//   - Only ID tokens count: signed with RS256, ES256 or PS256 by a key of the provider, for our client id, with our nonce, not expired.
//   - The client secret is sealed at rest, never shown, and must be given again when the provider or its token endpoint changes.
//   - After a login a browser goes to an address of the same origin only.
package oidc
