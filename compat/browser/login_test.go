package browser

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/app"
	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// foreign is an application that asks for a login as those do that leave it to /apps/public/login/: it goes there if nobody is logged in, or if its address
// carries what is meant for the login, remembers where it was, and prefers kept Basic credentials to the cookie.
const foreign = `<!doctype html><title>foreign</title><body>foreign<script>
(async () => {
	const kept = localStorage.getItem('_tcy8') || sessionStorage.getItem('_tcy8');
	const xsrf = /XSRF-TOKEN=([^;]+)/.exec(document.cookie);
	const headers = { UseXBasic: 'true', Accept: 'application/vnd.com.nsn.cumulocity.user+json' };
	if (kept) headers.Authorization = 'Basic ' + kept;
	else if (xsrf) headers['X-XSRF-TOKEN'] = xsrf[1];
	const answer = await fetch('/user/currentUser', { headers });
	const query = new URLSearchParams(location.search);
	if (!answer.ok || ['email', 'token', 'code', 'session_state', 'error', 'error_description'].some((name) => query.has(name))) {
		sessionStorage.setItem('c8yRedirectAfterLoginPath', location.pathname + location.search + location.hash);
		location.href = '/apps/public/login/' + location.search;
	} else document.body.dataset.user = (await answer.json()).userName;
})();
</script>`

// TestLogin logs in for an application that somebody else built, over HTTP and HTTPS.
func TestLogin(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser")
	}
	for _, file := range []string{embedded, modules, "/usr/bin/chromium"} {
		if _, err := os.Stat(file); err != nil {
			t.Fatal("run `make ui` and `make prerequisites`: ", err)
		}
	}
	plain, secure := secured(t)
	uploadForeign(t, plain)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	walk := exec.CommandContext(ctx, "node", "login.mjs")
	walk.Env = append(os.Environ(), "ISOBAR_HTTP="+plain, "ISOBAR_HTTPS="+secure, "ISOBAR_PASSWORD="+password, "ISOBAR_SHOTS="+t.ArtifactDir())
	walk.WaitDelay = 5 * time.Second
	out, err := walk.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(errors.Join(err, ctx.Err()))
	}
}

// secured runs the platform with HTTP and HTTPS and returns both addresses.
func secured(t *testing.T) (plain, secure string) {
	t.Helper()
	folder := t.TempDir()
	cert, key := selfSigned(t, folder)
	var addresses [2]string
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses[i] = l.Addr().String()
		_ = l.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		args := []string{"server", "--data", filepath.Join(folder, "data"), "--http", addresses[0], "--https", addresses[1], "--tls-cert", cert, "--tls-key", key, "--mqtt", "127.0.0.1:0", "--log-level", "warn"}
		ended <- app.Main(ctx, args, []string{"ISOBAR_ADMIN_PASSWORD=" + password}, strings.NewReader(""), io.Discard, t.Output())
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("the platform ended with code %d", code)
		}
	})
	plain, secure = "http://"+addresses[0], "https://"+addresses[1]
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(plain + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return plain, secure
			}
		}
		if time.Now().After(end) {
			t.Fatal("the platform did not become ready: ", err)
		}
	}
}

func selfSigned(t *testing.T, folder string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: raw}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// uploadForeign puts the application at /apps/foreign/.
func uploadForeign(t *testing.T, base string) {
	t.Helper()
	archive := rig.Zip(t, map[string]string{"index.html": foreign, "cumulocity.json": `{"name":"foreign","contextPath":"foreign","key":"foreign-key"}`})
	send := func(method, path, kind string, body io.Reader) (id string) {
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("main/admin", password)
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Accept", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var made struct{ ID string }
		if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode > 201 {
			t.Fatalf("%s %s: %v %s", method, path, err, res.Status)
		}
		return made.ID
	}
	id := send("POST", "/application/applications", "application/json", strings.NewReader(`{"name":"foreign","key":"foreign-key","type":"HOSTED","contextPath":"foreign","resourcesUrl":"/"}`))
	version := send("POST", "/application/applications/"+id+"/binaries", "application/zip", bytes.NewReader(archive))
	send("PUT", "/application/applications/"+id, "application/json", strings.NewReader(`{"activeVersionId":"`+version+`"}`))
}
