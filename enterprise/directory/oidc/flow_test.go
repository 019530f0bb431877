package oidc_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/isobar-iot/isobar/enterprise/directory/oidc"
)

func people() accounts {
	return accounts{
		"ada":  {"preferred_username": "ada", "given_name": "Ada", "family_name": "Byron", "email": "ada@example.com", "email_verified": true, "groups": []string{"staff", "ops"}, "office": "site-7", "level": 5},
		"bob":  {"preferred_username": "bob", "given_name": "Bob", "groups": []string{"staff"}, "level": 1},
		"eve":  {"preferred_username": "eve", "groups": []string{"guests"}},
		"carl": {"preferred_username": "carl", "groups": []string{"staff"}},
		"root": {"preferred_username": "a/b", "groups": []string{"staff"}},
	}
}

func is(operator, path string, value any) map[string]any {
	return map[string]any{"operator": operator, "parameterPath": path, "value": value}
}

// option is a login option for one of the provider's clients, with rules for an object.
func (r *rig) option(client, object string) map[string]any {
	mappings := []any{
		map[string]any{"when": map[string]any{"operator": "AND", "childPredicates": []any{is("IN", "groups", "staff")}}, "thenGroups": []int{2}},
		map[string]any{"when": map[string]any{"operator": "AND", "childPredicates": []any{is("IN", "groups", "ops"), is("GTE", "level", "5")}}, "thenGroups": []int{3}},
	}
	dynamic := map[string]any{"mappings": mappings}
	if object != "" {
		dynamic["inventoryMappings"] = []any{map[string]any{"when": is("EQ", "office", "site-*"), "thenInventoryRoles": []any{map[string]any{"managedObject": object, "roleIds": []int{1}}}}}
	}
	return map[string]any{"type": "OAUTH2", "providerName": "Acme", "issuer": r.issuer, "clientId": client, "clientSecret": "secret of " + client,
		"userIdConfig": map[string]any{"jwtField": "preferred_username"}, "onNewUser": map[string]any{"dynamicMapping": dynamic}}
}

// enable stores a login option and returns its id and where a login starts.
func (r *rig) enable(t *testing.T, option map[string]any) (id, start string) {
	t.Helper()
	id = fmt.Sprint(r.admin(t, 200, "POST", "/tenant/loginOptions", option)["id"])
	for _, o := range r.admin(t, 200, "GET", "/tenant/loginOptions", nil)["loginOptions"].([]any) {
		if o := o.(map[string]any); o["id"] == id {
			return id, fmt.Sprint(o["initRequest"])
		}
	}
	t.Fatal("the login option is not in the public list")
	return "", ""
}

// audited reports whether a refusal of single sign-on with this reason is in the audit.
func (r *rig) audited(t *testing.T, why string) bool {
	t.Helper()
	for _, a := range r.admin(t, 200, "GET", "/audit/auditRecords?pageSize=500&revert=true", nil)["auditRecords"].([]any) {
		if a := a.(map[string]any); a["activity"] == "User login failed" && strings.Contains(fmt.Sprint(a["text"]), why) {
			return true
		}
	}
	return false
}

func (r *rig) assignments(t *testing.T, user string) string {
	t.Helper()
	b, err := json.Marshal(r.admin(t, 200, "GET", "/user/main/users/"+user+"/roles/inventory", nil)["inventoryAssignments"])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLoginThroughAProvider(t *testing.T) {
	r := start(t, people())
	object := fmt.Sprint(r.admin(t, 201, "POST", "/inventory/managedObjects", map[string]any{"name": "site"})["id"])
	option := r.option("rs", object)
	option["logoutRequest"] = map[string]any{"url": r.issuer + "/session/end"}
	id, begin := r.enable(t, option)

	b := r.browser(t)
	back := b.logIn(t, begin+"&originUri="+url.QueryEscape(r.url+"/apps/home/index.html?x=1#/device/7"), "ada")
	res, page := b.get(t, back.String())
	if res.StatusCode != 302 || res.Header.Get("Location") != "/apps/home/index.html?x=1#/device/7" {
		t.Fatalf("%s to %q\n%s", res.Status, res.Header.Get("Location"), page)
	}
	cookies := map[string]*http.Cookie{}
	for _, c := range res.Cookies() {
		cookies[c.Name] = c
	}
	if c := cookies["authorization"]; c == nil || !c.HttpOnly || cookies["XSRF-TOKEN"] == nil {
		t.Errorf("cookies %v", res.Header["Set-Cookie"])
	}
	status, me := b.me(t)
	if status != 200 || me["userName"] != "ada" || me["firstName"] != "Ada" || me["email"] != "ada@example.com" || groups(me) != "2,3" {
		t.Errorf("%d %v has groups %s", status, me, groups(me))
	}
	if custom, _ := me["customProperties"].(map[string]any); custom["userOrigin"] != "OAUTH2" {
		t.Errorf("custom properties %v", me["customProperties"])
	}
	if got := r.assignments(t, "ada"); !strings.Contains(got, `"managedObject":"`+object+`"`) || !strings.Contains(got, `"id":1`) {
		t.Errorf("inventory roles %s", got)
	}

	replay(t, r, begin, "bob")

	// Rights follow the provider at the next login, those that an administrator has given as well.
	next := people()
	next["ada"]["groups"] = []string{"staff"}
	next["ada"]["office"] = "home"
	r.change(t, next)
	b = r.browser(t)
	b.get(t, b.logIn(t, begin, "ada").String())
	if _, me := b.me(t); groups(me) != "2" {
		t.Errorf("groups afterwards %s", groups(me))
	}
	if got := r.assignments(t, "ada"); got != "[]" && got != "null" {
		t.Errorf("inventory roles afterwards %s", got)
	}

	// With manageRolesOnlyFromAccessMapping, what no rule can give stays.
	dynamic := option["onNewUser"].(map[string]any)["dynamicMapping"].(map[string]any)
	dynamic["configuration"] = map[string]any{"manageRolesOnlyFromAccessMapping": true}
	r.admin(t, 200, "PUT", "/tenant/loginOptions/"+id+"?terminateUserSessions=false", map[string]any{"onNewUser": option["onNewUser"]})
	r.admin(t, 201, "POST", "/user/main/groups/1/users", map[string]any{"user": map[string]any{"self": r.url + "/user/main/users/ada"}})
	r.admin(t, 201, "POST", "/user/main/groups/3/users", map[string]any{"user": map[string]any{"self": r.url + "/user/main/users/ada"}})
	b = r.browser(t)
	b.get(t, b.logIn(t, begin, "ada").String())
	if _, me := b.me(t); groups(me) != "1,2" {
		t.Errorf("groups with rules that manage only their own: %s", groups(me))
	}

	// A logout tells where the provider logs out.
	req, err := http.NewRequest(http.MethodPost, r.url+"/user/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-XSRF-TOKEN", b.cookies(t)["XSRF-TOKEN"].Value)
	res, text := send(t, b.Client, req)
	var out struct{ URL string }
	if err := json.Unmarshal([]byte(text), &out); err != nil || res.StatusCode != 200 || !strings.HasPrefix(out.URL, r.issuer+"/session/end?client_id=rs&post_logout_redirect_uri=") {
		t.Errorf("logout: %d %s", res.StatusCode, text)
	}
	if status, _ := b.me(t); status != 401 {
		t.Errorf("after the logout: %d", status)
	}
	if !bytes.Contains([]byte(fmt.Sprint(r.admin(t, 200, "GET", "/audit/auditRecords?pageSize=500", nil))), []byte("User 'ada' logged in")) {
		t.Error("no audit record of the login")
	}
}

// replay logs in, and then sends the same answer of the provider again, with the cookie that belongs to it.
func replay(t *testing.T, r *rig, begin, name string) {
	t.Helper()
	b := r.browser(t)
	back := b.logIn(t, begin, name)
	c := b.pending(t)
	if res, page := b.get(t, back.String()); res.StatusCode != 302 {
		t.Fatalf("%s\n%s", res.Status, page)
	}
	for name := range b.cookies(t) {
		if strings.HasPrefix(name, "isobar-sso-") {
			t.Errorf("the cookie %s is still there after the login", name)
		}
	}
	b.replace(t, c)
	b.replace(t, &http.Cookie{Name: "authorization", MaxAge: -1})
	if res, page := b.get(t, back.String()); res.StatusCode != 401 {
		t.Errorf("a second time: %s\n%s", res.Status, page)
	}
	if !r.audited(t, "its answer was sent twice") {
		t.Error("not audited")
	}
}

func TestLoginsThatAreRefused(t *testing.T) {
	r := start(t, people())
	_, begin := r.enable(t, r.option("rs", ""))
	r.admin(t, 201, "POST", "/user/main/users", map[string]any{"userName": "carl", "email": "c@example.com", "password": "Secret-12345"})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name, value string) func(url.Values) { return func(q url.Values) { q.Set(name, value) } }
	for _, c := range []struct {
		name, user string
		query      func(url.Values)                     // changes what the provider sent the browser back with
		pending    func(*oidc.Pending)                  // changes the cookie
		cookie     func(string) string                  // the sealed cookie itself
		token      func(t *testing.T, id string) string // changes the ID token
		status     int
		audit      string
	}{
		{name: "another state", query: func(q url.Values) { s := q.Get("state"); q.Set("state", s[:len(s)-1]+string('A'+('Z'-s[len(s)-1])%20)) }, status: 401, audit: "the state is not that of the login"},
		{name: "no state", query: set("state", ""), status: 401, audit: "it was not started in this browser"},
		{name: "a cookie that was changed", cookie: func(s string) string { return s[:len(s)-2] + "AA" }, status: 401, audit: "it was not started in this browser"},
		{name: "another code", query: set("code", "made-up"), status: 401, audit: "the provider refused the code"},
		{name: "an error of the provider", query: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, status: 401, audit: "the provider refused"},
		{name: "another issuer", query: set("iss", "https://thief.example.com"), status: 401, audit: "the answer is of another provider"},
		{name: "no issuer, though the provider says who it is", query: func(q url.Values) { q.Del("iss") }, status: 401, audit: "the answer is of another provider"},
		{name: "another tenant", query: set("tenant_id", "management"), status: 401, audit: "it was started for another tenant"},
		{name: "too late", pending: func(p *oidc.Pending) { p.Expires -= 601 }, status: 401, audit: "it took too long"},
		{name: "another nonce", pending: func(p *oidc.Pending) { p.Nonce = "x" }, status: 401, audit: "the ID token has another nonce"},
		{name: "another PKCE verifier", pending: func(p *oidc.Pending) { p.Verifier = strings.Repeat("x", 43) }, status: 401, audit: "the provider refused the code"},
		{name: "an option that is gone", pending: func(p *oidc.Pending) { p.Option = "gone" }, status: 401, audit: "the login option has been removed"},
		{name: "a changed claim", token: payload(func(c map[string]any) { c["preferred_username"] = "admin" }), status: 401, audit: "the ID token is not valid"},
		{name: "no signature", token: none, status: 401, audit: "the ID token is not valid"},
		{name: "a foreign key with a known name", token: signed(key), status: 401, audit: "the ID token is not valid"},
		{name: "the public key as a secret", token: hmacSigned, status: 401, audit: "the ID token is not valid"},
		{name: "no ID token", token: func(*testing.T, string) string { return "" }, status: 401, audit: "the ID token is not valid"},
		{name: "nobody whom a rule applies to", user: "eve", status: 403, audit: "Access is denied"},
		{name: "an account that is managed here", user: "carl", status: 409, audit: "exists and is not managed by this directory"},
		{name: "a name that cannot be one here", user: "root", status: 422, audit: "the user name must not contain"},
	} { // at most 20: more in a minute are only counted in the audit
		t.Run(c.name, func(t *testing.T) {
			if c.user == "" {
				c.user = "ada"
			}
			b := r.browser(t)
			back := b.logIn(t, begin, c.user)
			if c.query != nil {
				q := back.Query()
				c.query(q)
				back.RawQuery = q.Encode()
			}
			if k := b.pending(t); c.pending != nil || c.cookie != nil {
				if c.cookie == nil {
					c.cookie = func(s string) string {
						changed, err := oidc.Change(r.vault, s, c.pending)
						if err != nil {
							t.Fatal(err)
						}
						return changed
					}
				}
				k.Value = c.cookie(k.Value)
				b.replace(t, k)
			}
			if c.token != nil {
				f := tokens(t, c.token)
				r.tamper.Store(&f)
				defer r.tamper.Store(nil)
			}
			res, page := b.get(t, back.String())
			if res.StatusCode != c.status || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || res.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s, not %d\n%v\n%s", res.Status, c.status, res.Header, page)
			}
			if status, _ := b.me(t); status != 401 {
				t.Errorf("it is logged in: %d", status)
			}
			if !r.audited(t, c.audit) {
				t.Errorf("no audit record with %q", c.audit)
			}
		})
	}
	if n := len(r.admin(t, 200, "GET", "/user/main/users?pageSize=100", nil)["users"].([]any)); n != 2 {
		t.Errorf("%d users, not only admin and carl", n)
	}
}

// tokens changes the ID token in the answers of the provider.
func tokens(t *testing.T, change func(*testing.T, string) string) func(*http.Response) error {
	return func(res *http.Response) error {
		if res.Request.URL.Path != "/token" || res.StatusCode != 200 {
			return nil
		}
		var answer map[string]any
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return err
		}
		answer["id_token"] = change(t, answer["id_token"].(string))
		b, err := json.Marshal(answer)
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		res.Header.Set("Content-Length", fmt.Sprint(len(b)))
		return err
	}
}

func payload(change func(map[string]any)) func(*testing.T, string) string {
	return func(t *testing.T, token string) string {
		parts := strings.Split(token, ".")
		b, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Error(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(b, &claims); err != nil {
			t.Error(err)
		}
		change(claims)
		if b, err = json.Marshal(claims); err != nil {
			t.Error(err)
		}
		parts[1] = base64.RawURLEncoding.EncodeToString(b)
		return strings.Join(parts, ".")
	}
}

func none(_ *testing.T, token string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(token, ".")[1] + "."
}

func sign(t *testing.T, token string, alg jose.SignatureAlgorithm, key any) string {
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Error(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "rsa"))
	if err != nil {
		t.Error(err)
		return ""
	}
	o, err := s.Sign(body)
	if err != nil {
		t.Error(err)
		return ""
	}
	out, err := o.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return out
}

func signed(key *rsa.PrivateKey) func(*testing.T, string) string {
	return func(t *testing.T, token string) string { return sign(t, token, jose.RS256, key) }
}

func hmacSigned(t *testing.T, token string) string {
	return sign(t, token, jose.HS256, []byte(strings.Repeat("public key", 4)))
}

func TestKindsOfProviders(t *testing.T) {
	for _, c := range []struct {
		client string
		change func(r *rig, option map[string]any)
		lean   bool
		status int
		groups string
	}{
		{client: "es", status: 302, groups: "2,3"},
		{client: "ps", status: 302, groups: "2,3"},
		{client: "post", status: 302, groups: "2,3", change: func(_ *rig, o map[string]any) { o["tokenEndpointAuthMethod"] = "client_secret_post" }},
		{client: "ed", status: 401}, // EdDSA is none of the algorithms that count
		{client: "rs", status: 401, change: func(_ *rig, o map[string]any) { o["clientSecret"] = "wrong" }},
		{client: "rs", status: 401, change: func(_ *rig, o map[string]any) { o["audience"] = "another" }},
		{client: "rs", status: 302, groups: "2,3", change: func(r *rig, o map[string]any) {
			o["authorizationRequest"] = map[string]any{"url": r.issuer + "/auth", "requestParams": map[string]any{"ui_locales": "de"}}
			o["tokenRequest"] = map[string]any{"url": r.issuer + "/token"}
			o["signatureVerificationConfig"] = map[string]any{"jwks": map[string]any{"jwksUrl": r.issuer + "/jwks"}}
			o["tokenEndpointAuthMethod"] = "client_secret_basic"
		}},
		{client: "rs", lean: true, status: 401}, // the ID token has no user name
		{client: "rs", lean: true, status: 302, groups: "2,3", change: func(_ *rig, o map[string]any) { o["useUserInfo"] = true }},
	} {
		t.Run(fmt.Sprintf("%s/%v/%d", c.client, c.lean, c.status), func(t *testing.T) {
			t.Parallel()
			r := start(t, people(), fmt.Sprintf("LEAN=%v", c.lean))
			option := r.option(c.client, "")
			if c.change != nil {
				c.change(r, option)
			}
			_, begin := r.enable(t, option)
			b := r.browser(t)
			res, page := b.get(t, b.logIn(t, begin, "ada").String())
			if res.StatusCode != c.status {
				t.Fatalf("%s, not %d\n%s", res.Status, c.status, page)
			}
			if _, me := b.me(t); groups(me) != c.groups {
				t.Errorf("groups %q", groups(me))
			}
		})
	}
}

// TestAProviderThatIsDown and does not answer is no reason to say that somebody is not who they are.
func TestAProviderThatIsDown(t *testing.T) {
	r := start(t, people())
	_, begin := r.enable(t, r.option("rs", ""))
	b := r.browser(t)
	back := b.logIn(t, begin, "ada")
	r.proxy.Close()
	if res, page := b.get(t, back.String()); res.StatusCode != 503 {
		t.Errorf("%s\n%s", res.Status, page)
	}
	option := r.option("rs", "")
	option["issuer"] = r.issuer + "/other"
	_, begin = r.enable(t, option)
	if res, page := b.get(t, begin); res.StatusCode != 503 || !strings.Contains(page, "cannot be reached") {
		t.Errorf("%s\n%s", res.Status, page)
	}
}

// TestLoginByForm is the way of clients that take the code themselves.
func TestLoginByForm(t *testing.T) {
	r := start(t, people())
	_, begin := r.enable(t, r.option("rs", ""))
	b := r.browser(t)
	q := b.logIn(t, begin, "ada").Query()
	q.Set("grant_type", "AUTHORIZATION_CODE")
	req, err := http.NewRequest(http.MethodPost, r.url+"/tenant/oauth", strings.NewReader(q.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, text := send(t, b.Client, req)
	if res.StatusCode != 200 || text != "" {
		t.Fatalf("%s %s", res.Status, text)
	}
	if status, me := b.me(t); status != 200 || me["userName"] != "ada" {
		t.Errorf("%d %v", status, me)
	}
}

func TestWhereALoginMayGo(t *testing.T) {
	const base = "https://iot.example.com"
	for _, c := range []struct{ target, want string }{
		{"", "/"}, {"/", "/"}, {"/apps/home/?a=b#/c", "/apps/home/?a=b#/c"}, {base, "/"}, {base + "/apps/", "/apps/"}, {"HTTPS://IOT.example.com/x", "/x"},
		{"https://public.example.com/y", "/y"}, {"http://iot.example.com/", ""}, {"https://iot.example.com.thief.org/", ""}, {"https://iot.example.com@thief.org/", ""},
		{"//thief.org", ""}, {"/\\thief.org", ""}, {"\\\\thief.org", ""}, {"javascript:alert(1)", ""}, {"data:text/html,x", ""}, {base + "//thief.org", ""},
		{"apps", ""}, {"/a\r\nSet-Cookie: x=y", ""}, {"https:/thief.org", ""}, {"https:///thief.org", ""}, {"/a b", ""}, {"/%2f/thief.org", ""}, {"/" + strings.Repeat("x", 3000), ""},
	} {
		got, err := oidc.SameOrigin("https://public.example.com", base, c.target)
		if (err != nil) != (c.want == "") || got != c.want {
			t.Errorf("%q: %q, %v", c.target, got, err)
		}
	}
}
