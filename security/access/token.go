package access

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/isobar-iot/isobar/iot"
)

const keyBits = 2048

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
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: u.key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims{ID: s.ID, Issuer: string(t), Audience: string(t), Subject: s.User, Chain: s.ID,
		Issued: s.Created.Unix(), NotSoon: s.Created.Unix(), Expires: s.Expires.Unix(), Tenant: t, XSRF: s.XSRF})
	if err != nil {
		return "", err
	}
	object, err := signer.Sign(body)
	if err != nil {
		return "", err
	}
	return object.CompactSerialize()
}

// parse verifies a token's signature and times and returns its tenant and session. Only RS256 is accepted, so that neither "none"
// nor a symmetric algorithm can be smuggled in.
func (u *Users) parse(token string) (iot.TenantID, string, error) {
	object, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "", "", err
	}
	body, err := object.Verify(&u.key.PublicKey)
	if err != nil {
		return "", "", err
	}
	var c claims
	if err := json.Unmarshal(body, &c); err != nil {
		return "", "", err
	}
	now := u.d.Clock.Now()
	if now.After(time.Unix(c.Expires, 0)) || now.Before(time.Unix(c.NotSoon, 0).Add(-time.Minute)) || c.ID == "" || !c.Tenant.Valid() {
		return "", "", errors.New("the token is not valid at this time")
	}
	return c.Tenant, c.ID, nil
}
