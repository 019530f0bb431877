package protect

import (
	"crypto/tls"

	"golang.org/x/crypto/acme"
)

// suites are those of TLS 1.2 with authenticated encryption and forward secrecy, all of them. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
}

// curves are the key exchanges: the hybrids with ML-KEM, then the classic ones for clients that know no other.
var curves = []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384}

// Config returns the configuration of one TLS listener that offers the given protocols in ALPN, the preferred one first. A client that
// offers none is welcome. The caller may change what it got before it listens: what asks clients for certificates belongs into ClientAuth and
// VerifyConnection there, per listener, since browsers must not be asked.
func (c *Certificates) Config(protocols ...string) *tls.Config {
	if c.acme != nil {
		protocols = append(protocols[:len(protocols):len(protocols)], acme.ALPNProto) // how the authority asks for proof on this port
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites, CurvePreferences: curves, NextProtos: protocols, GetCertificate: c.get}
}
