package access

import (
	"encoding/base64"
	"strings"
)

// claimsHeader differs from that of login tokens, so that neither is ever taken for the other.
var claimsHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "."

// SignClaims makes a token (RS256) for another purpose than a login; its claims must say which.
func (u *Users) SignClaims(body []byte) (string, error) { return u.signRS256(body, nil) }

// VerifyClaims returns the claims of a token that SignClaims made, on this node or another.
func (u *Users) VerifyClaims(token string) ([]byte, error) {
	if len(token) > maxToken || !strings.HasPrefix(token, claimsHeader) {
		return nil, errToken
	}
	return verifyRS256(token, &u.key.PublicKey)
}
