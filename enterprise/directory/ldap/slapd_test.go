package ldap_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// slapd is OpenLDAP's server, as Debian has it, on loopback.
type slapd struct {
	plain, tls string // addresses
	ca         string // PEM
	cmd        *exec.Cmd
}

const (
	suffix       = "dc=example,dc=org"
	rootDN       = "cn=root," + suffix
	rootPassword = "root of the test"
)

const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile %[1]s/pid
TLSCACertificateFile %[1]s/ca.pem
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
# nothing without encryption, as in a well-kept directory
security ssf=128
database mdb
suffix %[2]s
directory %[1]s/db
rootdn "%[3]s"
rootpw "%[4]s"
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=isobar,%[2]s" read by self read by users search by anonymous auth by * none
`

func startSlapd(t *testing.T) *slapd {
	t.Helper()
	program, err := exec.LookPath("slapd")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/slapd"); err != nil {
			t.Skip("slapd is not installed")
		}
	}
	dir := t.TempDir()
	s := &slapd{plain: freeAddress(t), tls: freeAddress(t)}
	s.ca = certificates(t, dir)
	write(t, filepath.Join(dir, "slapd.conf"), fmt.Appendf(nil, slapdConf, dir, suffix, rootDN, rootPassword))
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s.cmd = exec.Command(program, "-d", "0", "-f", filepath.Join(dir, "slapd.conf"), "-h", "ldap://"+s.plain+" ldaps://"+s.tls)
	s.cmd.Stderr = &log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	l := s.root(t, &log)
	defer l.Close()
	for _, e := range entries() {
		if err := l.Add(e); err != nil {
			t.Fatalf("%s: %v", e.DN, err)
		}
	}
	return s
}

func (s *slapd) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
}

// root connects as the one who may write.
func (s *slapd) root(t *testing.T, log *bytes.Buffer) *ldap.Conn {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(s.ca))
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(20 * time.Millisecond) {
		l, err := ldap.DialURL("ldaps://"+s.tls, ldap.DialWithTLSConfig(tlsConfig(pool)))
		if err == nil {
			if err = l.Bind(rootDN, rootPassword); err == nil {
				return l
			}
			l.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("slapd did not start: %v\n%s", err, log)
		}
	}
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// certificates makes an authority and a certificate for loopback.
func certificates(t *testing.T, dir string) string {
	t.Helper()
	now := time.Now()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			parent, signer = template, key
		}
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(now.UnixNano()), now.Add(-time.Hour), now.Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	ca, caKey, caPEM := make(&x509.Certificate{Subject: pkix.Name{CommonName: "authority of the test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	_, key, certPEM := make(&x509.Certificate{Subject: pkix.Name{CommonName: "slapd"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ca.pem"), caPEM)
	write(t, filepath.Join(dir, "cert.pem"), certPEM)
	write(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return string(caPEM)
}

func dn(uid string) string { return "uid=" + uid + ",ou=people," + suffix }

func groupDN(cn string) string { return "cn=" + ldap.EscapeDN(cn) + ",ou=groups," + suffix }

func entries() []*ldap.AddRequest {
	add := func(dn string, attributes ...[]string) *ldap.AddRequest {
		r := ldap.NewAddRequest(dn, nil)
		for _, a := range attributes {
			r.Attribute(a[0], a[1:])
		}
		return r
	}
	person := func(uid, mail, kind string) *ldap.AddRequest {
		return add(dn(uid), []string{"objectClass", "inetOrgPerson"}, []string{"cn", uid}, []string{"sn", "Byron"}, []string{"givenName", "Person " + uid}, []string{"mail", mail},
			[]string{"employeeType", kind}, []string{"userPassword", "password of " + uid}, []string{"telephoneNumber", "+49 1"})
	}
	group := func(cn string, members ...string) *ldap.AddRequest {
		return add(groupDN(cn), []string{"objectClass", "groupOfNames"}, []string{"cn", cn}, append([]string{"member"}, members...))
	}
	unit := func(name string) *ldap.AddRequest {
		return add("ou="+name+","+suffix, []string{"objectClass", "organizationalUnit"}, []string{"ou", name})
	}
	return []*ldap.AddRequest{
		add(suffix, []string{"objectClass", "dcObject", "organization"}, []string{"o", "Example"}, []string{"dc", "example"}), unit("people"), unit("groups"),
		add("cn=isobar,"+suffix, []string{"objectClass", "organizationalRole", "simpleSecurityObject"}, []string{"cn", "isobar"}, []string{"userPassword", "password of isobar"}),
		person("ada", "ada@example.org", "active"), person("bob", "bob@example.org", "active"), person("dora", "dora@example.org", "disabled"),
		person("gus", "gus@example.org", "active"), person("lou", "lou@example.org", "active"), person("twin1", "twin@example.org", "active"), person("twin2", "twin@example.org", "active"),
		add(dn("nopass"), []string{"objectClass", "inetOrgPerson"}, []string{"cn", "nopass"}, []string{"sn", "x"}, []string{"employeeType", "active"}),
		group("staff", dn("ada"), dn("bob"), dn("dora"), dn("lou"), dn("twin1"), dn("twin2"), dn("nopass")), group("Ops, night", dn("ada")),
	}
}
