package mqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

func TestTheGateSeesTheClientCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"device"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	p := &policy{}
	s := start(t, p, nil)
	near, far := net.Pipe()
	go s.ServeConn(context.Background(), tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}))
	nc := tls.Client(near, &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true})
	c := wrap(t, nc, packet.V311)
	defer near.Close()
	c.connect("a", true, nil)
	state := p.last("a").req.TLS
	if state == nil || len(state.PeerCertificates) != 1 || state.PeerCertificates[0].DNSNames[0] != "device" {
		t.Fatalf("TLS state %+v", state)
	}
	c.quiet()
	near.Close()
	within(t, p.last("a").closed)
}
