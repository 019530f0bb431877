package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Argon2id parameters: the OWASP minimum (19 MiB, 2 passes), about 20 ms here. The form is the usual
// $argon2id$v=19$m=19456,t=2,p=1$salt$key.
const (
	argonMemory = 19 * 1024
	argonTime   = 2
	argonLanes  = 1
	keyLen      = 32
	saltLen     = 16
)

// fastPrefix starts the hashes of secrets that we made.
const fastPrefix = "$sha256$"

var b64 = base64.RawStdEncoding

// hashPassword hashes a password that a person chose.
func hashPassword(pw string) string {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	key := argon2.IDKey([]byte(pw), salt, argonTime, argonMemory, argonLanes, keyLen)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", argonMemory, argonTime, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// hashSecret hashes a secret that we generated with at least 128 random bits. Guessing it is hopeless at any speed,
// so that a fleet of devices can reconnect at once without burning seconds of CPU for each.
func hashSecret(secret string) string {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt)
	sum := sha256.Sum256(append(salt, secret...))
	return fastPrefix + b64.EncodeToString(salt) + "$" + b64.EncodeToString(sum[:])
}

// verify compares in constant time.
func verify(hash, pw string) bool {
	parts := strings.Split(hash, "$")
	switch {
	case len(parts) == 4 && parts[1] == "sha256":
		salt, err1 := b64.DecodeString(parts[2])
		want, err2 := b64.DecodeString(parts[3])
		sum := sha256.Sum256(append(salt, pw...))
		return err1 == nil && err2 == nil && subtle.ConstantTimeCompare(sum[:], want) == 1
	case len(parts) == 6 && parts[1] == "argon2id":
		var m, t uint32
		var p uint8
		if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil {
			return false
		}
		salt, err1 := b64.DecodeString(parts[4])
		want, err2 := b64.DecodeString(parts[5])
		if err1 != nil || err2 != nil || len(want) == 0 {
			return false
		}
		return subtle.ConstantTimeCompare(argon2.IDKey([]byte(pw), salt, t, m, p, uint32(len(want))), want) == 1
	}
	return false
}

// RandomPassword returns a secret of 160 random bits that also satisfies the password policy.
func RandomPassword() string { return "Ib-1" + rand.Text() }
