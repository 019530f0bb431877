package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/isobar-iot/isobar/iot"
)

const (
	keyBits   = 2048
	maxToken  = 8 << 10     // ours have about 900 bytes
	clockSkew = time.Minute // between nodes
)

// loadKey fetches the key that signs tokens, making it on the very first start.
func loadKey(ctx context.Context, s SessionStore) (*rsa.PrivateKey, error) {
	text, err := s.SigningKey(ctx, func() ([]byte, error) {
		key, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
	})
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("not a PEM block")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	if key, ok := key.(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, errors.New("not an RSA key")
}

// claims of our tokens (RFC 7519). c8y: clients read ten and exp without verifying, and rely on RS256.
type claims struct {
	ID       string       `json:"jti"`
	Issuer   string       `json:"iss"`
	Audience string       `json:"aud"`
	Subject  iot.UserName `json:"sub"`
	Chain    string       `json:"tci"`
	Issued   int64        `json:"iat"`
	NotSoon  int64        `json:"nbf"`
	Expires  int64        `json:"exp"`
	TFA      bool         `json:"tfa"`
	Tenant   iot.TenantID `json:"ten"`
	XSRF     string       `json:"xsrfToken"`
}

func (u *Users) sign(t iot.TenantID, s Session) (string, error) {
	body, err := json.Marshal(claims{ID: s.ID, Issuer: string(t), Audience: string(t), Subject: s.User, Chain: s.Chain,
		Issued: s.Created.Unix(), NotSoon: s.Created.Unix(), Expires: s.Expires.Unix(), TFA: s.TFA, Tenant: t, XSRF: s.XSRF})
	if err != nil {
		return "", err
	}
	return u.signRS256(body, (&jose.SignerOptions{}).WithType("JWT"))
}

func (u *Users) signRS256(body []byte, options *jose.SignerOptions) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: u.key}, options)
	if err != nil {
		return "", err
	}
	object, err := signer.Sign(body)
	if err != nil {
		return "", err
	}
	return object.CompactSerialize()
}

// tokenHeader is the one header that our tokens have. Nothing else is read, so that no header can choose a key, a place to fetch one from, or
// an algorithm.
var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "."

var errToken = errors.New("not a token of this platform")

// parse verifies a token's header, signature, form and times and returns its claims. trusted tells whether the signature was right, so that
// the claims of a token that is refused say who it was for.
func (u *Users) parse(token string) (c claims, trusted bool, err error) {
	if len(token) > maxToken || !strings.HasPrefix(token, tokenHeader) {
		return c, false, errToken
	}
	body, err := verifyRS256(token, &u.key.PublicKey)
	if err != nil {
		return c, false, err
	}
	if c, err = parseClaims(body); err != nil {
		return c, false, err
	}
	now := u.d.Clock.Now()
	switch {
	case c.ID == "" || c.Subject == "" || !c.Tenant.Valid() || c.Issuer != string(c.Tenant) || c.Audience != string(c.Tenant):
		return c, true, errToken
	case !now.Before(time.Unix(c.Expires, 0)) || now.Before(time.Unix(c.NotSoon, 0).Add(-clockSkew)):
		return c, true, errors.New("the token is not valid at this time")
	}
	return c, true, nil
}

// verifyRS256 returns what an RS256 signature in compact form covers. Only RS256 is accepted, so that neither "none" nor a symmetric algorithm
// can be smuggled in.
func verifyRS256(token string, key *rsa.PublicKey) ([]byte, error) {
	object, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, err
	}
	return object.Verify(key)
}

// parseClaims reads exactly one object with exactly our members, each once.
func parseClaims(body []byte) (c claims, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errToken
	}
	again, err := json.Marshal(c)
	if err != nil || !bytes.Equal(again, body) { // we sign what Marshal writes: another order, a repeated or missing member is not ours
		return c, errToken
	}
	return c, nil
}
