package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238 with SHA-1 is what every authenticator application implements; HMAC does not need collision resistance
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"net/url"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// One-time passwords by time (RFC 6238 over RFC 4226). It is a page of code with vectors in the RFC; a library would not tell which step a code
// belongs to, which the refusal of a second use needs.
const (
	totpStep   = 30 * time.Second
	totpDigits = 6
	totpSecret = 20 // bytes, as long as the hash (RFC 4226 section 4)
	totpDrift  = 1  // steps that a clock may be off, to either side
)

// oneTimePassword returns the code of a counter (RFC 4226 section 5.3).
func oneTimePassword(h func() hash.Hash, secret []byte, counter uint64, digits int) string {
	mac := hmac.New(h, secret)
	_ = binary.Write(mac, binary.BigEndian, counter)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0F
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7FFF_FFFF
	limit := uint32(1)
	for range digits {
		limit *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%limit)
}

// totpStepOf returns the step whose code was given, among those that a clock may show now; ok is false if it is none of them.
func totpStepOf(secret []byte, code string, now time.Time) (step int64, ok bool) {
	at := now.Unix() / int64(totpStep/time.Second)
	for s := at - totpDrift; s <= at+totpDrift; s++ {
		if s >= 0 && subtle.ConstantTimeCompare([]byte(oneTimePassword(sha1.New, secret, uint64(s), totpDigits)), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

func newTOTPSecret() []byte {
	secret := make([]byte, totpSecret)
	_, _ = rand.Read(secret)
	return secret
}

var totpText = base32.StdEncoding.WithPadding(base32.NoPadding)

// otpauth is the address by which authenticator applications take a secret over.
func otpauth(t iot.TenantID, name iot.UserName, secret []byte) string {
	const issuer = "Isobar"
	label := url.PathEscape(issuer + ":" + string(t) + "/" + string(name))
	return "otpauth://totp/" + label + "?" + url.Values{"secret": {totpText.EncodeToString(secret)}, "issuer": {issuer}}.Encode()
}
