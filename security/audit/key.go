package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/isobar-iot/isobar/kit/secret"
)

const keyIDSize = 32 // characters

// Signer signs heads, stubs and checkpoints. It is safe for concurrent use.
type Signer struct {
	ID  string // fingerprint of the public key: 32 hexadecimal digits
	key ed25519.PrivateKey
}

// NewSigner returns the signer with a private key.
func NewSigner(key ed25519.PrivateKey) (*Signer, error) {
	id, err := fingerprint(key.Public().(ed25519.PublicKey))
	return &Signer{ID: id, key: key}, err
}

func (s *Signer) sign(m message) []byte { return ed25519.Sign(s.key, m) }

// Public returns the public key.
func (s *Signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func fingerprint(k ed25519.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:keyIDSize/2]), nil
}

// OpenKey reads the private key (PKCS #8 in PEM) from a file, or makes it if there is none: readable by its owner only, with the public half
// beside it in a file that ends in .pub. If only the public half of an older key is there, it is kept under another name, because it is still
// needed to verify what that key has signed.
func OpenKey(file string) (*Signer, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(file); err != nil {
			return nil, fmt.Errorf("make the audit key: %w", err)
		}
		info, err = os.Stat(file)
	}
	if err != nil {
		return nil, fmt.Errorf("audit key: %w", err)
	}
	if info.Mode().Perm()&0o027 != 0 {
		return nil, fmt.Errorf("audit key: %s has the mode %o and could be read or changed by others; set it to 600", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("audit key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("audit key: %s holds no PEM block", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("audit key: %s: %w", file, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("audit key: %s holds no Ed25519 key", file)
	}
	s, err := NewSigner(private)
	if err != nil {
		return nil, err
	}
	return s, s.publish(publicFile(file))
}

func publicFile(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) + ".pub" }

// PublicFiles lists the public keys that lie beside a private key: its own, those of its predecessors, and those of other nodes that
// somebody has put there under a name that begins like its own.
func PublicFiles(file string) ([]string, error) {
	return filepath.Glob(escapeGlob(strings.TrimSuffix(file, filepath.Ext(file))) + "*.pub")
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

func makeKey(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return secret.WriteNew(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// publish writes the public half, unless it is there.
func (s *Signer) publish(file string) error {
	der, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	old, err := os.ReadFile(file)
	switch {
	case err == nil && bytes.Equal(old, text):
		return nil
	case err == nil:
		name := file + ".unreadable"
		if keys, err := ReadKeys(file); err == nil {
			for id := range keys {
				name = strings.TrimSuffix(file, ".pub") + "-" + id + ".pub"
			}
		}
		if err := os.Rename(file, name); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		// A folder of secrets may be mounted so that only the key can be read; then there is nothing to compare and nothing can be written.
		return nil
	}
	if err := secret.WriteNew(file, text, 0o644); err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("public half of the audit key: %w", err)
	}
	return nil
}

// Keys are public keys by their fingerprint.
type Keys map[string]ed25519.PublicKey

// ReadKeys reads public keys (PEM, one or more per file).
func ReadKeys(files ...string) (Keys, error) {
	keys := Keys{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		found := false
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				break
			}
			key, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("public key: %s: %w", file, err)
			}
			public, ok := key.(ed25519.PublicKey)
			if !ok {
				return nil, fmt.Errorf("public key: %s holds a key that is not Ed25519", file)
			}
			if err := keys.Add(public); err != nil {
				return nil, err
			}
			found = true
		}
		if !found {
			return nil, fmt.Errorf("public key: %s holds none", file)
		}
	}
	return keys, nil
}

// Add adds a key.
func (k Keys) Add(key ed25519.PublicKey) error {
	id, err := fingerprint(key)
	if err == nil {
		k[id] = key
	}
	return err
}

// errUnknownKey is what check says of a signature by a key that it does not know.
var errUnknownKey = errors.New("it names a key whose public half was not given")

func (k Keys) check(id string, m message, signature []byte) error {
	key, ok := k[id]
	switch {
	case !ok:
		return fmt.Errorf("%w (%.40q)", errUnknownKey, id)
	case !ed25519.Verify(key, m, signature):
		return errors.New("its signature is not valid")
	}
	return nil
}
