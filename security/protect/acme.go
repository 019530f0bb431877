package protect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACME says which authority is asked for the certificates of which names.
type ACME struct {
	Domains   []string // without wildcards: these need a challenge in the DNS
	Email     string   // where the authority writes; may be empty
	Directory string   // URL; empty: Let's Encrypt
	Cache     string   // folder for the account's key and the certificates
	CAFile    string   // PEM with the roots that the authority's own server is checked against; empty: those of the machine
}

// The first client must not wait for the authority, so certificates are asked for at the start, and after a failure again, less and less often.
const (
	firstPause = time.Minute
	longPause  = time.Hour
	tryTimeout = 2 * time.Minute
)

func (a ACME) manager(log *slog.Logger) (*autocert.Manager, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if a.CAFile != "" {
		pem, err := os.ReadFile(a.CAFile)
		if err != nil {
			return nil, fmt.Errorf("acme-ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("acme-ca: %s holds no certificate", a.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if err := os.MkdirAll(a.Cache, 0o700); err != nil {
		return nil, fmt.Errorf("acme-cache: %w", err)
	}
	client := &acme.Client{DirectoryURL: a.Directory, HTTPClient: &http.Client{Transport: transport, Timeout: 30 * time.Second}, UserAgent: "isobar"}
	log.Info("certificates come from an authority", "names", a.Domains, "directory", a.Directory)
	return &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(a.Cache), HostPolicy: autocert.HostWhitelist(a.Domains...), Client: client, Email: a.Email}, nil
}

// obtain asks for what is due. autocert renews by itself what it gave out once.
func (c *Certificates) obtain(ctx context.Context) {
	for _, name := range c.names {
		now := c.clock.Now()
		c.mu.Lock()
		t := c.tries[name]
		c.mu.Unlock()
		if t.done || now.Before(t.next) || ctx.Err() != nil {
			continue
		}
		err := c.ask(ctx, name)
		t.done = err == nil
		if err != nil {
			t.pause = min(max(2*t.pause, firstPause), longPause)
			t.next = now.Add(t.pause)
			c.log.Error("no certificate from the authority yet", "name", name, "err", err, "again", t.pause)
		} else {
			c.log.Info("a certificate from the authority is in use", "name", name)
		}
		c.mu.Lock()
		c.tries[name] = t
		c.mu.Unlock()
	}
}

// ask does what the first client of a name would: it begins the order and waits for its end.
func (c *Certificates) ask(ctx context.Context, name string) error {
	done := make(chan error, 1)
	go func() { // autocert takes no context and bounds itself to five minutes
		_, err := c.get(&tls.ClientHelloInfo{ServerName: name, CipherSuites: suites, SupportedCurves: []tls.CurveID{tls.CurveP256},
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}})
		done <- err
	}()
	late := time.NewTimer(tryTimeout)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return errors.New("the authority did not finish within " + tryTimeout.String())
	case <-ctx.Done():
		return ctx.Err()
	}
}
