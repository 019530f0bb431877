package access

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// OneTimePassword computes a code with one of the hashes of RFC 6238.
func OneTimePassword(algorithm string, secret []byte, counter uint64, digits int) string {
	return oneTimePassword(map[string]func() hash.Hash{"SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}[algorithm], secret, counter, digits)
}

// Code is what an authenticator application shows.
func Code(secret string, now time.Time) string {
	raw, err := totpText.DecodeString(secret)
	if err != nil {
		panic(err)
	}
	return OneTimePassword("SHA1", raw, uint64(now.Unix()/30), totpDigits)
}

// PublicKey is the key that tokens are checked with.
func (u *Users) PublicKey() *rsa.PublicKey { return &u.key.PublicKey }

// SignWith makes a token with any header and body, signed with the real key.
func (u *Users) SignWith(headers map[jose.HeaderKey]any, body []byte) string {
	options := &jose.SignerOptions{ExtraHeaders: headers}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: u.key}, options)
	if err != nil {
		panic(err)
	}
	object, err := signer.Sign(body)
	if err != nil {
		panic(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// VerifyRS256 is how the signatures of tokens are checked.
func VerifyRS256(token string, key *rsa.PublicKey) ([]byte, error) { return verifyRS256(token, key) }

// Saturate occupies all the room for hashing until the returned function is called.
func (u *Users) Saturate() (release func()) {
	for range cap(u.gate.slots) {
		u.gate.slots <- struct{}{}
	}
	u.gate.waiting.Add(maxWaiting)
	return func() {
		u.gate.waiting.Add(-maxWaiting)
		for range cap(u.gate.slots) {
			<-u.gate.slots
		}
	}
}
