package oidc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/app"
	"github.com/isobar-iot/isobar/kit/secret"
)

const adminPassword = "Secret-12345678"

// rig is a platform and a provider, with a proxy between them that may change what the provider answers.
type rig struct {
	url, issuer string
	vault       *secret.Box
	tamper      atomic.Pointer[func(*http.Response) error]
	accounts    io.Writer
	changed     *bufio.Scanner
	proxy       *httptest.Server
}

const providerFolder = "../../../compat/provider"

// nodeModules installs the exact versions of the lock file once; nothing of them runs while it does.
func nodeModules(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	lock, err := os.ReadFile(filepath.Join(providerFolder, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	stamp := filepath.Join(providerFolder, "node_modules", ".installed")
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, lock) {
		return
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = providerFolder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.WriteFile(stamp, lock, 0o600); err != nil {
		t.Fatal(err)
	}
}

type accounts map[string]map[string]any

func start(t *testing.T, people accounts, env ...string) *rig {
	t.Helper()
	nodeModules(t)
	r := &rig{}
	data := t.TempDir()
	pf, err := app.Start(context.Background(), app.Config{Data: data, HTTP: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: adminPassword, OIDCAllowInsecure: true},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := pf.Stop(); err != nil {
			t.Error(err)
		}
	})
	r.url = "http://" + pf.Addr("http")
	if r.vault, err = secret.Open(filepath.Join(data, "keys", "secrets.key")); err != nil {
		t.Fatal(err)
	}
	target := &url.URL{Scheme: "http"}
	r.proxy = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		},
		ModifyResponse: func(res *http.Response) error {
			if f := r.tamper.Load(); f != nil && *f != nil {
				return (*f)(res)
			}
			return nil
		},
	})
	t.Cleanup(r.proxy.Close)
	r.issuer = r.proxy.URL
	target.Host = r.provider(t, people, env)
	return r
}

// provider starts the provider and returns its address.
func (r *rig) provider(t *testing.T, people accounts, env []string) string {
	t.Helper()
	b, err := json.Marshal(people)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "provider.mjs")
	cmd.Dir = providerFolder
	cmd.Env = append(append(os.Environ(), "ISSUER="+r.issuer, "REDIRECT="+r.url+"/tenant/oauth", "ACCOUNTS="+string(b)), env...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends with its input
		_ = cmd.Wait()
	})
	r.accounts = in
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if port, ok := strings.CutPrefix(lines.Text(), "port "); ok {
			r.changed = lines
			return "127.0.0.1:" + port
		}
	}
	t.Fatalf("the provider did not start\n%s", problems.String())
	return ""
}

// change replaces the accounts of the provider, and waits until it has done so.
func (r *rig) change(t *testing.T, people accounts) {
	t.Helper()
	b, err := json.Marshal(people)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.accounts.Write(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
	for r.changed.Scan() {
		if r.changed.Text() == "changed" {
			return
		}
	}
	t.Fatal("the provider has ended")
}

// admin makes a request as the administrator and decodes the answer.
func (r *rig) admin(t *testing.T, want int, method, path string, body any) map[string]any {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, r.url+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("main/admin", adminPassword)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	status, text := send(t, http.DefaultClient, req)
	if status.StatusCode != want {
		t.Fatalf("%s %s: %d, not %d\n%s", method, path, status.StatusCode, want, text)
	}
	var out map[string]any
	if text != "" && json.Unmarshal([]byte(text), &out) != nil {
		t.Fatalf("%s %s: %s", method, path, text)
	}
	return out
}

func send(t *testing.T, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// browser keeps cookies and follows redirects at the provider, but not back to the platform.
type browser struct {
	*http.Client
	r *rig
}

func (r *rig) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{&http.Client{Jar: jar, Timeout: 20 * time.Second}, r}
	b.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), r.url) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	t.Cleanup(b.CloseIdleConnections)
	return b
}

func (b *browser) get(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, b.Client, req)
}

var (
	formAction = regexp.MustCompile(`action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="(\w+)"`)
)

// logIn goes to the provider, fills its forms, and returns the address that it sends the browser back to.
func (b *browser) logIn(t *testing.T, start, name string) *url.URL {
	t.Helper()
	res, page := b.get(t, start)
	for range 6 {
		if back := res.Header.Get("Location"); strings.HasPrefix(back, b.r.url) {
			u, err := url.Parse(back)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		action, prompt := formAction.FindStringSubmatch(page), formPrompt.FindStringSubmatch(page)
		if action == nil || prompt == nil {
			break
		}
		to, err := res.Request.URL.Parse(action[1])
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(url.Values{"prompt": {prompt[1]}, "login": {name}, "password": {"x"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, page = send(t, b.Client, req)
	}
	t.Fatalf("the provider did not send %s back: %s\n%s", name, res.Status, page)
	return nil
}

// cookies of the platform, by name.
func (b *browser) cookies(t *testing.T) map[string]*http.Cookie {
	t.Helper()
	u, err := url.Parse(b.r.url + "/tenant/oauth")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*http.Cookie{}
	for _, c := range b.Jar.Cookies(u) {
		out[c.Name] = c
	}
	return out
}

// pending returns the cookie of the login under way.
func (b *browser) pending(t *testing.T) *http.Cookie {
	t.Helper()
	for name, c := range b.cookies(t) {
		if strings.HasPrefix(name, "isobar-sso-") {
			return c
		}
	}
	t.Fatal("there is no cookie of a login")
	return nil
}

func (b *browser) replace(t *testing.T, c *http.Cookie) {
	t.Helper()
	u, err := url.Parse(b.r.url + "/tenant/oauth")
	if err != nil {
		t.Fatal(err)
	}
	c.Path = "/tenant/oauth"
	b.Jar.SetCookies(u, []*http.Cookie{c})
}

// me asks who the browser is logged in as.
func (b *browser) me(t *testing.T) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.r.url+"/user/currentUser", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := b.cookies(t)["XSRF-TOKEN"]; c != nil {
		req.Header.Set("X-XSRF-TOKEN", c.Value)
	}
	req.Header.Set("Accept", "application/vnd.com.nsn.cumulocity.user+json")
	res, text := send(t, b.Client, req)
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

// groups are the ids of the groups of a user.
func groups(me map[string]any) string {
	var ids []string
	list, _ := me["groups"].(map[string]any)
	refs, _ := list["references"].([]any)
	for _, ref := range refs {
		g, _ := ref.(map[string]any)["group"].(map[string]any)
		ids = append(ids, fmt.Sprint(g["id"]))
	}
	return strings.Join(ids, ",")
}
