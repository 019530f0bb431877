package access_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/c2sp/wycheproof"
	"github.com/go-jose/go-jose/v4"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func compact(t *testing.T, alg jose.SignatureAlgorithm, key any, options *jose.SignerOptions, body []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestAttacksOnTokens refuses what is wrong with a token, whoever signed it.
func TestAttacksOnTokens(t *testing.T) {
	each(t, func(f *fixture) {
		token, s, err := f.form("admin", adminPassword+"ta", "")
		f.must(err)
		if _, err := f.users.Token(f.ctx, token); err != nil {
			f.Fatal(err)
		}
		b64 := base64.RawURLEncoding
		parts := strings.Split(token, ".")
		body, err := b64.DecodeString(parts[1])
		f.must(err)
		head := func(h string) string { return b64.EncodeToString([]byte(h)) + "." + parts[1] + "." }
		public, err := x509.MarshalPKIXPublicKey(f.users.PublicKey())
		f.must(err)
		publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
		other, err := rsa.GenerateKey(rand.Reader, 2048)
		f.must(err)
		jwt := (&jose.SignerOptions{}).WithType("JWT")
		now := f.clock.Now()
		real := func(edit func(c map[string]any)) string { // signed by us, but with other claims
			var c map[string]any
			f.must(json.Unmarshal(body, &c))
			edit(c)
			raw, err := json.Marshal(c)
			f.must(err)
			return f.users.SignWith(map[jose.HeaderKey]any{"typ": "JWT"}, raw)
		}
		raw := func(s string) string { return f.users.SignWith(map[jose.HeaderKey]any{"typ": "JWT"}, []byte(s)) }
		edited := func(from, to string) string { return raw(strings.Replace(string(body), from, to, 1)) }
		if _, err := f.users.Token(f.ctx, raw(string(body))); err != nil {
			f.Fatalf("the same claims signed again are good: %v", err)
		}
		attacks := map[string]string{
			"signed with another key":              compact(f.T, jose.RS256, other, jwt, body),
			"HS256 with the public key (PEM)":      compact(f.T, jose.HS256, publicPEM, jwt, body),
			"HS256 with the public key (DER)":      compact(f.T, jose.HS256, public, jwt, body),
			"RS512 with another key":               compact(f.T, jose.RS512, other, jwt, body),
			"a key in the header":                  compact(f.T, jose.RS256, other, &jose.SignerOptions{EmbedJWK: true}, body),
			"jku":                                  compact(f.T, jose.RS256, other, jwt.WithHeader("jku", "https://evil.example/keys"), body),
			"x5u":                                  compact(f.T, jose.RS256, other, (&jose.SignerOptions{}).WithHeader("x5u", "https://evil.example/cert"), body),
			"kid":                                  compact(f.T, jose.RS256, jose.JSONWebKey{Key: other, KeyID: "../../../dev/null"}, nil, body),
			"our key, with a kid":                  f.users.SignWith(map[jose.HeaderKey]any{"typ": "JWT", "kid": "1"}, body),
			"our key, with crit":                   f.users.SignWith(map[jose.HeaderKey]any{"typ": "JWT", "b64x": true}, body),
			"another type":                         f.users.SignWith(map[jose.HeaderKey]any{"typ": "at+jwt"}, body),
			"no type":                              f.users.SignWith(nil, body),
			"expired":                              real(func(c map[string]any) { c["exp"] = now.Add(-time.Second).Unix() }),
			"expires at this moment":               edited(fmt.Sprint(s.Expires.Unix()), fmt.Sprint(now.Unix())),
			"not yet":                              edited(fmt.Sprintf(`"nbf":%d`, now.Unix()), fmt.Sprintf(`"nbf":%d`, now.Add(time.Hour).Unix())),
			"another tenant":                       edited(`"ten":"ta"`, `"ten":"tb"`),
			"another tenant throughout":            raw(strings.ReplaceAll(string(body), `"ta"`, `"tb"`)),
			"another user":                         edited(`"sub":"admin"`, `"sub":"root"`),
			"no user":                              edited(`"sub":"admin"`, `"sub":""`),
			"another XSRF token":                   edited(s.XSRF, strings.Repeat("A", len(s.XSRF))),
			"a session that is none":               edited(s.ID, strings.Repeat("A", len(s.ID))),
			"no session":                           edited(`"jti":"`+s.ID+`"`, `"jti":""`),
			"a claim twice":                        edited(`"ten":"ta"`, `"ten":"tb","ten":"ta"`),
			"a claim in another case":              edited(`"ten":"ta"`, `"TEN":"ta"`),
			"a claim too much":                     edited(`"ten":"ta"`, `"ten":"ta","admin":true`),
			"a number as a text":                   edited(fmt.Sprint(s.Expires.Unix()), `"`+fmt.Sprint(s.Expires.Unix())+`"`),
			"a number beyond its range":            edited(fmt.Sprint(s.Expires.Unix()), "1e400"),
			"an infinite life":                     edited(fmt.Sprint(s.Expires.Unix()), "9223372036854775807"),
			"bytes behind":                         raw(string(body) + `{}`),
			"blanks":                               raw(string(body) + ` `),
			"an array":                             raw("[" + string(body) + "]"),
			"null":                                 raw("null"),
			"nothing":                              raw(""),
			"nested":                               raw(token),
			"cut":                                  token[:len(token)-4],
			"cut by one":                           token[:len(token)-1],
			"a blank behind":                       token + " ",
			"padded":                               token + "=",
			"another part":                         token + ".AAAA",
			"no signature":                         parts[0] + "." + parts[1] + ".",
			"two parts":                            parts[0] + "." + parts[1],
			"the signature of nothing":             parts[0] + ".." + parts[2],
			"JSON serialization":                   `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
			"huge":                                 parts[0] + "." + strings.Repeat("A", 1<<20) + "." + parts[2],
			"huge and signed":                      raw(`{"jti":"` + strings.Repeat("A", 10_000) + `"}`),
			"empty":                                "",
			"dots":                                 "..",
			"not UTF-8":                            "\xff.\xff.\xff",
			"a one-time code":                      "ta.AAAA",
			"another alphabet":                     strings.NewReplacer("-", "+", "_", "/").Replace(parts[0]+"."+parts[1]+".") + "____" + parts[2],
			"the body changed under the signature": parts[0] + "." + b64.EncodeToString([]byte(strings.Replace(string(body), `"tfa":false`, `"tfa":true`, 1))) + "." + parts[2],
		}
		for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "rs256", "HS256", "PS256", "ES256", "RS256 "} {
			attacks["alg "+alg] = head(`{"alg":"`+alg+`","typ":"JWT"}`) + parts[2]
			attacks["alg "+alg+" without a signature"] = head(`{"alg":"` + alg + `","typ":"JWT"}`)
		}
		for name, bad := range attacks {
			for range 2 { // also not from a cache
				if p, err := f.users.Token(f.ctx, bad); !fault.Is(err, fault.Unauthenticated) {
					f.Errorf("%s: %+v %v", name, p, err)
				}
			}
		}
		if !f.ledger.has("management Token refused") || !f.ledger.has("ta Token refused") {
			f.Error("refused tokens are not audited")
		}
		if n := f.ledger.count("management Token refused"); n > 20 {
			f.Errorf("%d records: the audit can be flooded", n)
		}
		if _, err := f.users.Token(f.ctx, token); err != nil {
			f.Errorf("the good one: %v", err)
		}
	})
}

// TestReplayedTokens refuses good tokens whose time is over for other reasons than time.
func TestReplayedTokens(t *testing.T) {
	no := false
	next := "Next-password-1"
	for name, end := range map[string]func(f *fixture, p iot.Principal) error{
		"after the logout":         func(f *fixture, p iot.Principal) error { return f.users.Logout(f.ctx, p) },
		"after everybody's logout": func(f *fixture, _ iot.Principal) error { return f.users.LogoutAll(f.ctx, f.admin()) },
		"after a new password": func(f *fixture, p iot.Principal) error {
			_, err := f.users.Update(f.ctx, f.admin(), p.User, access.UserPatch{Password: &next})
			return err
		},
		"disabled": func(f *fixture, p iot.Principal) error {
			_, err := f.users.Update(f.ctx, f.admin(), p.User, access.UserPatch{Enabled: &no})
			return err
		},
		"deleted": func(f *fixture, p iot.Principal) error { return f.users.Delete(f.ctx, f.admin(), p.User) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(f *fixture) {
				f.person("bob", "Bob-password-1")
				token, _, err := f.form("bob", "Bob-password-1", "")
				f.must(err)
				p, err := f.users.Token(f.ctx, token)
				f.must(err)
				f.must(end(f, p))
				_, err = f.users.Token(f.ctx, token)
				f.refused(name, err, fault.Unauthenticated)
			})
		})
	}
}

func TestASuspendedTenantsTokensAreRefused(t *testing.T) {
	each(t, func(f *fixture) {
		token, err := f.users.DeviceToken(f.ctx, iot.Principal{Tenant: "suspended", User: "admin"})
		f.must(err)
		_, err = f.users.Token(f.ctx, token)
		f.refused("suspended", err, fault.Unauthenticated)
	})
}

// TestWycheproof runs the RS256 vectors of project Wycheproof against the check of signatures.
func TestWycheproof(t *testing.T) {
	file, err := wycheproof.TestVectors.Open("json_web_signature_test.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var vectors struct {
		TestGroups []struct {
			Public json.RawMessage
			Tests  []struct {
				ID      int `json:"tcId"`
				Comment string
				JWS     json.RawMessage
				Result  string
			}
		}
	}
	if err := json.NewDecoder(file).Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	var valid, invalid int
	for _, g := range vectors.TestGroups {
		var key jose.JSONWebKey
		if len(g.Public) == 0 || json.Unmarshal(g.Public, &key) != nil {
			continue
		}
		public, ok := key.Key.(*rsa.PublicKey)
		if !ok {
			continue
		}
		if key.Algorithm != "RS256" || key.Use == "enc" {
			continue // the key itself forbids what we would use it for, which only a JWK can say
		}
		for _, c := range g.Tests {
			var token string
			if json.Unmarshal(c.JWS, &token) != nil {
				continue // another serialization than the compact one
			}
			_, err := access.VerifyRS256(token, public)
			switch {
			case c.Result == "valid":
				if valid++; err != nil {
					t.Errorf("%d %s: %v", c.ID, c.Comment, err)
				}
			case c.Result == "invalid":
				if invalid++; err == nil {
					t.Errorf("%d %s: accepted", c.ID, c.Comment)
				}
			}
		}
	}
	if valid < 3 || invalid < 200 {
		t.Fatalf("only %d valid and %d invalid vectors were run", valid, invalid)
	}
}

func TestABusyPlatformRefusesPeopleAtOnceAndServesMachines(t *testing.T) {
	each(t, func(f *fixture) {
		device, password, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "d1")
		f.must(err)
		release := f.users.Saturate()
		defer release()
		for _, name := range []string{"admin", "nobody"} {
			err := f.from(name, "guess", "192.0.2.1")
			if f.refused(name, err, fault.Exhausted); fault.RetryAfter(err) == 0 {
				f.Error("no hint when to try again")
			}
		}
		f.must(f.from(string(device), password, "192.0.2.1"))
	})
}

func FuzzToken(f *testing.F) {
	users, token := fuzzUsers(f)
	for _, s := range []string{token, "", "..", token[:40], "eyJhbGciOiJub25lIn0.e30.", strings.Replace(token, ".", "..", 1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := users.Token(t.Context(), s)
		if err == nil && s != token || err != nil && !fault.Is(err, fault.Unauthenticated) {
			t.Fatalf("%q: %+v %v", s, p, err)
		}
	})
}

func FuzzResetToken(f *testing.F) {
	users, _ := fuzzUsers(f)
	for _, s := range []string{"", ".", "e30.AAAA", base64.RawURLEncoding.EncodeToString([]byte(`{"k":"f","t":"ta","u":"admin","e":9999999999}`)) + ".AAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := users.ValidReset(t.Context(), "", s, "", ""); !fault.Is(err, fault.Invalid) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
