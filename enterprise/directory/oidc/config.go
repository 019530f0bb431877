package oidc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/enterprise/directory"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Type is the type of the login option.
const Type = "OAUTH2"

// config is what this package reads of a login option. Other members of the document stay as they are.
type config struct {
	Name         string  `json:"providerName"`
	Template     string  `json:"template"`
	ClientID     string  `json:"clientId"`
	ClientSecret string  `json:"clientSecret"` // sealed where it is stored
	Issuer       string  `json:"issuer"`
	Audience     string  `json:"audience"`
	Button       string  `json:"buttonName"`
	Visible      *bool   `json:"visibleOnLoginPage"`
	Redirect     string  `json:"redirectToPlatform"`
	Scope        string  `json:"scope"` // ours: beside openid
	UserInfo     bool    `json:"useUserInfo"`
	CA           string  `json:"caCertificates"`          // ours
	AuthMethod   string  `json:"tokenEndpointAuthMethod"` // ours
	Authorize    request `json:"authorizationRequest"`
	Token        request `json:"tokenRequest"`
	Logout       request `json:"logoutRequest"`
	Signature    struct {
		JWKS struct {
			URL string `json:"jwksUrl"`
		} `json:"jwks"`
		AAD struct {
			URL string `json:"publicKeyDiscoveryUrl"`
		} `json:"aad"`
		Manual json.RawMessage `json:"manual"`
		ADFS   json.RawMessage `json:"adfsManifest"`
	} `json:"signatureVerificationConfig"`
	UserID struct {
		Field       string `json:"jwtField"`
		Constant    string `json:"constantValue"`
		UseConstant bool   `json:"useConstantValue"`
	} `json:"userIdConfig"`
	Fields struct {
		FirstName string `json:"firstNameClaimName"`
		LastName  string `json:"lastNameClaimName"`
		Email     string `json:"emailClaimName"`
		Phone     string `json:"phoneNumberClaimName"`
	} `json:"accessTokenToUserDataMapping"`
	OnNewUser struct {
		Rules directory.Rules `json:"dynamicMapping"`
	} `json:"onNewUser"`
	External struct {
		Enabled bool `json:"enabled"`
	} `json:"externalTokenConfig"`
}

// request is what an administrator may say of one of the requests to the provider. The parameters that the flow itself needs cannot be changed.
type request struct {
	URL     string            `json:"url,omitempty"`
	Method  string            `json:"method,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Params  map[string]string `json:"requestParams,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// reserved are parameters that the flow sets.
var reserved = []string{"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "nonce", "code", "code_challenge",
	"code_challenge_method", "code_verifier", "grant_type", "refresh_token", "scope", "request", "request_uri", "post_logout_redirect_uri"}

const maxParams = 20

// extra returns the parameters that are not ours.
func (r request) extra() url.Values {
	v := url.Values{}
	form, _ := url.ParseQuery(r.Body) // was checked when it was stored
	for name := range form {
		v.Set(name, form.Get(name))
	}
	for name, value := range r.Params {
		v.Set(name, value)
	}
	for name := range v {
		if slices.Contains(reserved, name) || strings.Contains(v.Get(name), "${") {
			v.Del(name)
		}
	}
	return v
}

func (c *config) jwks() string {
	if c.Signature.JWKS.URL != "" {
		return c.Signature.JWKS.URL
	}
	return c.Signature.AAD.URL
}

func parse(doc iot.Doc) (*config, error) {
	var c config
	if err := json.Unmarshal(doc.AppendTo(nil), &c); err != nil {
		return nil, fault.E(fault.Op("oidc.Config"), fault.Invalid, err, "a member of the login option is not of the documented type: "+err.Error())
	}
	return &c, nil
}

// Provider is the kind of login option.
func (s *SSO) Provider() access.Provider {
	return access.Provider{Validate: s.validate, Show: show, Public: public}
}

const secretMember = "clientSecret"

// show leaves out what is secret.
func show(doc iot.Doc) iot.Doc { return doc.Without(secretMember) }

// public is what the login page of a tenant needs. The address at which a login starts is added by the dialect.
func public(_ iot.TenantID, _ string, doc iot.Doc) iot.Doc {
	c, err := parse(doc)
	if err != nil {
		return nil
	}
	visible := "true"
	if c.Visible != nil && !*c.Visible {
		visible = "false"
	}
	out := iot.Doc{}.SetText("grantType", "AUTHORIZATION_CODE").SetText("userManagementSource", "REMOTE").SetText("providerName", c.Name)
	return out.SetText("buttonName", first(c.Button, c.Name)).Set("visibleOnLoginPage", json.RawMessage(visible)).Set("flowControlledByUI", json.RawMessage("false"))
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// owner is what a client secret is sealed for.
func owner(t iot.TenantID) []string { return []string{"login option", string(t), Type} }

// validate implements access.Provider.
func (s *SSO) validate(_ context.Context, t iot.TenantID, patch, old iot.Doc) (iot.Doc, error) {
	const op = fault.Op("oidc.Validate")
	patch, err := lift(patch.Without("self", "initRequest"))
	if err != nil {
		return nil, err
	}
	doc := old.Merge(patch.Without(secretMember)).WithoutNulls()
	c, err := parse(doc)
	if err != nil {
		return nil, err
	}
	if err := s.check(c); err != nil {
		return nil, err
	}
	doc = name(doc, "onNewUser", "dynamicMapping")
	if raw := patch.Get(secretMember); raw != nil {
		plain, ok := patch.Text(secretMember)
		switch {
		case !ok && !iot.IsNull(raw) || len(plain) > maxSecret:
			return nil, fault.Errorf(op, fault.Invalid, "clientSecret must be a text of at most %d bytes", maxSecret)
		case plain == "":
			return doc.Without(secretMember), nil
		}
		return doc.SetText(secretMember, s.d.Vault.Seal([]byte(plain), owner(t)...)), nil
	}
	if c.ClientSecret == "" {
		return doc, nil
	}
	before, err := parse(old)
	if err != nil || before.Issuer != c.Issuer || before.Token.URL != c.Token.URL || before.ClientID != c.ClientID || before.CA != c.CA {
		return nil, fault.E(op, fault.Invalid, "issuer, clientId, caCertificates or the address of the tokenRequest changed: give the clientSecret again, which would be sent there")
	}
	return doc, nil
}

// name gives every rule an id, which it has to the API, and keeps those that there are. path leads to the object with the rules, which was checked.
func name(doc iot.Doc, path ...string) iot.Doc {
	if len(path) > 0 {
		if below, err := iot.ParseDoc(doc.Get(path[0]), iot.MaxDepth); err == nil {
			return doc.Merge(iot.Doc{{Name: path[0], Raw: name(below, path[1:]...).AppendTo(nil)}})
		}
		return doc
	}
	for _, member := range []string{"mappings", "inventoryMappings"} {
		list, err := iot.ParseArray(doc.Get(member), iot.MaxDepth)
		if err != nil {
			continue
		}
		seen := map[string]bool{}
		b := []byte("[")
		for i, raw := range list {
			m, err := iot.ParseDoc(raw, iot.MaxDepth)
			if err != nil {
				return doc
			}
			id, _ := m.Text("id")
			if id == "" || len(id) > maxText || seen[id] {
				id = NewMappingID()
				m = iot.Doc{}.SetText("id", id).Merge(m.Without("id"))
			}
			seen[id] = true
			if i > 0 {
				b = append(b, ',')
			}
			b = m.Without("self").AppendTo(b)
		}
		doc = doc.Merge(iot.Doc{{Name: member, Raw: append(b, ']')}})
	}
	return doc
}

// NewMappingID makes the id of an access mapping. c8y: a UUID (RFC 9562, version 4).
func NewMappingID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

const (
	maxSecret = 4096
	maxText   = 1024
)

// lift takes the client secret out of where templates of other systems have it, so that it is stored sealed and shown nowhere.
func lift(doc iot.Doc) (iot.Doc, error) {
	const op = fault.Op("oidc.Validate")
	for _, member := range []string{"authorizationRequest", "tokenRequest", "refreshRequest", "logoutRequest"} {
		raw := doc.Get(member)
		if raw == nil || iot.IsNull(raw) {
			continue
		}
		members, err := iot.ParseDoc(raw, iot.MaxDepth)
		var r request
		if err != nil || json.Unmarshal(raw, &r) != nil {
			return nil, fault.E(op, fault.Invalid, member+" must be an object with url, method, requestParams, headers and body, as documented")
		}
		for name := range r.Headers {
			if !strings.EqualFold(name, "Accept") && !strings.EqualFold(name, "Content-Type") {
				return nil, fault.E(op, fault.Invalid, member+".headers may only hold Accept and Content-Type; the secret of the client belongs into clientSecret")
			}
		}
		form, err := url.ParseQuery(r.Body)
		if err != nil {
			return nil, fault.E(op, fault.Invalid, member+".body must be a form")
		}
		secret := first(r.Params["client_secret"], form.Get("client_secret"))
		delete(r.Params, "client_secret")
		if form.Has("client_secret") {
			var kept []string
			for part := range strings.SplitSeq(r.Body, "&") {
				if !strings.HasPrefix(part, "client_secret=") {
					kept = append(kept, part)
				}
			}
			members = members.SetText("body", strings.Join(kept, "&"))
		}
		if r.Params != nil {
			b, err := json.Marshal(r.Params)
			if err != nil {
				return nil, fault.E(op, err)
			}
			members = members.Set("requestParams", b)
		}
		doc = doc.Merge(iot.Doc{{Name: member, Raw: members.AppendTo(nil)}})
		if secret != "" && !strings.Contains(secret, "${") && !doc.Has(secretMember) {
			doc = doc.SetText(secretMember, secret)
		}
	}
	return doc, nil
}

// check says what cannot work, and what is not offered here.
func (s *SSO) check(c *config) error {
	const op = fault.Op("oidc.Validate")
	for _, m := range []struct{ name, value string }{{"providerName", c.Name}, {"clientId", c.ClientID}, {"issuer", c.Issuer}} {
		if strings.TrimSpace(m.value) == "" {
			return fault.E(op, fault.Invalid, "Following mandatory fields should be included: "+m.name)
		}
	}
	for _, v := range []string{c.Name, c.ClientID, c.Button, c.Scope, c.Audience, c.UserID.Field, c.UserID.Constant, c.Fields.FirstName, c.Fields.LastName, c.Fields.Email, c.Fields.Phone} {
		if len(v) > maxText {
			return fault.Errorf(op, fault.Invalid, "a text of the login option must not be longer than %d bytes", maxText)
		}
	}
	for _, u := range []struct{ name, value string }{{"issuer", c.Issuer}, {"authorizationRequest.url", c.Authorize.URL}, {"tokenRequest.url", c.Token.URL},
		{"logoutRequest.url", c.Logout.URL}, {"signatureVerificationConfig", c.jwks()}, {"redirectToPlatform", c.Redirect}} {
		if u.value != "" {
			if err := s.d.Door.CheckURL(u.name, u.value); err != nil {
				return err
			}
		}
	}
	if u, err := url.Parse(c.Redirect); c.Redirect != "" && (err != nil || u.Path != Callback || u.RawQuery != "") {
		return fault.E(op, fault.Invalid, "redirectToPlatform must end in "+Callback+": it is where the provider sends the browser back to")
	}
	for _, r := range []request{c.Authorize, c.Token, c.Logout} {
		if len(r.Params) > maxParams {
			return fault.Errorf(op, fault.Invalid, "a request may have at most %d requestParams", maxParams)
		}
	}
	switch {
	case c.Signature.Manual != nil && !iot.IsNull(c.Signature.Manual), c.Signature.ADFS != nil && !iot.IsNull(c.Signature.ADFS):
		return fault.E(op, fault.Invalid, "signatureVerificationConfig: only jwks and aad are offered here; without either the keys are those that the issuer publishes")
	case c.External.Enabled:
		return fault.E(op, fault.Invalid, "externalTokenConfig is not offered here: tokens of other systems open nothing")
	case c.AuthMethod != "" && c.AuthMethod != "client_secret_basic" && c.AuthMethod != "client_secret_post":
		return fault.E(op, fault.Invalid, "tokenEndpointAuthMethod must be client_secret_basic or client_secret_post")
	case c.UserID.UseConstant && c.UserID.Constant == "":
		return fault.E(op, fault.Invalid, "userIdConfig.constantValue is needed with useConstantValue")
	}
	if _, err := directory.Pool(c.CA); err != nil {
		return err
	}
	return c.OnNewUser.Rules.Check()
}
