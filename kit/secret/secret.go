// Package secret keeps secrets that the platform must be able to read again (unlike passwords, which are only compared): second factors,
// credentials for foreign services. They are encrypted with AES-256-GCM under a key that lies in a file apart from the database, so that a
// copy of the database alone gives nothing away.
//
// Several nodes on one database need the same key file. Losing the file loses the secrets, never the data.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const keySize = 32

// version starts every sealed text, so that another algorithm can follow.
const version = "v1."

// ErrBroken says that a sealed text was changed, belongs to something else, or was sealed with another key.
var ErrBroken = errors.New("the secret cannot be opened: it was changed, or sealed with another key")

// Box seals and opens secrets. It is safe for concurrent use.
type Box struct{ aead cipher.AEAD }

// New returns a box with a key of 32 bytes.
func New(key []byte) (*Box, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("the key of secrets has %d bytes instead of %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Box{aead}, err
}

// Open reads the key from a file, making both the file (readable by its owner only) and its folder if there is none. Several processes
// that start at once end up with the same key.
func Open(file string) (*Box, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(file); err != nil {
			return nil, fmt.Errorf("key of secrets: %w", err)
		}
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("key of secrets: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("key of secrets: %s is not base64: restore it from a backup", file)
	}
	return New(key)
}

// create writes a fresh key, unless somebody else was first.
func create(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	return WriteNew(file, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
}

// bind joins the parts that a secret belongs to without ambiguity: each with its length before it.
func bind(owner []string) []byte {
	var b []byte
	for _, o := range owner {
		b = fmt.Appendf(b, "%d:%s", len(o), o)
	}
	return b
}

// Seal encrypts a secret for its owner, such as a tenant and a user. The result is text.
func (b *Box) Seal(plain []byte, owner ...string) string {
	nonce := make([]byte, b.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return version + base64.RawStdEncoding.EncodeToString(b.aead.Seal(nonce, nonce, plain, bind(owner)))
}

// Open decrypts what Seal made for the same owner; ErrBroken for anything else.
func (b *Box) Open(sealed string, owner ...string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, version)
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if !ok || err != nil || len(raw) < b.aead.NonceSize() {
		return nil, ErrBroken
	}
	n := b.aead.NonceSize()
	plain, err := b.aead.Open(nil, raw[:n], raw[n:], bind(owner))
	if err != nil {
		return nil, ErrBroken
	}
	return plain, nil
}
