package c8yrest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"net"
	"net/http"
	netmail "net/mail"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/isobar-iot/isobar/app"
)

// mailbox is a mail server that keeps what it gets.
type mailbox struct{ bodies chan string }

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return m, nil }
func (*mailbox) Mail(string, *smtp.MailOptions) error          { return nil }
func (*mailbox) Rcpt(string, *smtp.RcptOptions) error          { return nil }
func (*mailbox) Reset()                                        {}
func (*mailbox) Logout() error                                 { return nil }
func (m *mailbox) Data(r io.Reader) error {
	msg, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
	m.bodies <- string(b)
	return err
}

// startWithMail runs a platform that sends mail to a mailbox.
func startWithMail(t *testing.T) (*server, *mailbox) {
	t.Helper()
	box := &mailbox{make(chan string, 10)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	post := smtp.NewServer(box)
	go func() { _ = post.Serve(l) }()
	t.Cleanup(func() { _ = post.Close() })
	config := app.Config{Data: t.TempDir(), HTTP: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: adminPassword, BootstrapPassword: bootstrapPassword,
		Mail: app.MailConfig{SMTP: "smtp://" + l.Addr().String(), From: "isobar@example.com", PublicURL: "https://iot.example.com"}}
	pf, err := app.Start(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: "http://" + pf.Addr("http"), client: &http.Client{}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := pf.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s, box
}

func (s *server) expect(t *testing.T, want int, as, method, path, body string, header http.Header) answer {
	t.Helper()
	if header == nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	a := s.send(t, as, method, path, header, body)
	if a.status != want {
		t.Fatalf("%s %s as %s: %d, want %d: %s", method, path, as, a.status, want, a.body)
	}
	return a
}

func TestPasswordResetByMail(t *testing.T) {
	s, box := startWithMail(t)
	s.expect(t, 201, "admin", "POST", "/user/main/users", `{"userName":"ann","email":"ann@example.com","sendPasswordResetEmail":true}`, nil)
	link := func() url.Values {
		t.Helper()
		text := <-box.bodies
		u, err := url.Parse(strings.TrimSpace(text[strings.Index(text, "https://"):][:strings.Index(text[strings.Index(text, "https://"):], "\r\n")]))
		if err != nil || u.Host != "iot.example.com" {
			t.Fatalf("%s %v", text, err)
		}
		return u.Query()
	}
	use := func(want int, q url.Values, password string) {
		t.Helper()
		s.expect(t, want, "anonymous", "PUT", "/user/passwordReset?tenantId="+q.Get("tenantId"), fmt.Sprintf(`{"token":%q,"email":%q,"newPassword":%q}`, q.Get("token"), q.Get("email"), password), nil)
	}
	invitation := link()
	s.expect(t, 200, "anonymous", "GET", "/user/passwordReset/validate?"+invitation.Encode(), "", nil)
	use(200, invitation, "Secret-123")
	use(422, invitation, "Secret-456")
	s.expect(t, 200, "ann:Secret-123", "GET", "/user/currentUser", "", nil)
	// What the request calls us is not what the link says; who is not there gets the same answer.
	forged := http.Header{"Content-Type": {"application/json"}, "Host": {"evil.example"}, "X-Forwarded-Host": {"evil.example"}}
	known := s.expect(t, 200, "anonymous", "POST", "/user/passwordReset?tenantId=main", `{"email":"ann@example.com"}`, forged)
	unknown := s.expect(t, 200, "anonymous", "POST", "/user/passwordReset?tenantId=main", `{"email":"eve@example.com"}`, forged)
	if known.body != unknown.body || len(known.header) != len(unknown.header) {
		t.Errorf("%+v %+v", known, unknown)
	}
	use(200, link(), "Secret-456")
	s.expect(t, 401, "ann:Secret-123", "GET", "/user/currentUser", "", nil)
}

// totp is RFC 6238, written a second time.
func totp(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(at.Unix()/30))
	h := hmac.New(sha1.New, key)
	h.Write(step[:])
	sum := h.Sum(nil)
	i := sum[19] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[i:i+4])&0x7FFFFFFF)%1_000_000)
}

func TestSecondFactorOverREST(t *testing.T) {
	s := start(t)
	s.expect(t, 201, "admin", "POST", "/user/main/users", `{"userName":"ann","email":"ann@example.com","password":"Secret-123"}`, nil)
	s.expect(t, 200, "admin", "PUT", "/tenant/options/two-factor-authentication/enforced", `{"value":"true"}`, nil)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	login := func(want int, code string) answer {
		t.Helper()
		return s.expect(t, want, "anonymous", "POST", "/tenant/oauth?tenant_id=main", "grant_type=PASSWORD&username=ann&password=Secret-123&tfa_code="+code, form)
	}
	half := login(401, "undefined")
	cookies := http.Header{"Content-Type": {"application/json"}, "Cookie": {"authorization=" + half.cookie("authorization")}, "X-Xsrf-Token": {half.cookie("XSRF-TOKEN")}}
	made := s.expect(t, 200, "anonymous", "POST", "/user/currentUser/totpSecret", "", cookies)
	secret, _ := lookup([]byte(made.body), ".rawSecret")
	s.expect(t, 403, "anonymous", "POST", "/user/currentUser/totpSecret/verify", `{"code":"`+totp(t, secret, time.Now().Add(-time.Hour))+`"}`, cookies)
	code := totp(t, secret, time.Now())
	s.expect(t, 204, "anonymous", "POST", "/user/currentUser/totpSecret/verify", `{"code":"`+code+`"}`, cookies)
	s.expect(t, 204, "anonymous", "POST", "/user/currentUser/totpSecret/activity", `{"isActive":true}`, cookies)
	s.expect(t, 401, "anonymous", "GET", "/user/currentUser", "", cookies)
	login(401, "undefined")
	full := login(200, code) // as login forms do: the code with which it was verified
	login(401, code)
	cookies.Set("Cookie", "authorization="+full.cookie("authorization"))
	cookies.Set("X-Xsrf-Token", full.cookie("XSRF-TOKEN"))
	if me := s.expect(t, 200, "anonymous", "GET", "/user/currentUser", "", cookies); !strings.Contains(me.body, `"twoFactorAuthenticationEnabled":true`) {
		t.Error(me.body)
	}
	s.expect(t, 401, "ann:Secret-123", "GET", "/user/currentUser", "", nil)
}

// TestALoginTakesNoSessionOver: a token that the browser had before (session fixation) is not the one that it has afterwards, and the XSRF token of
// one session is none for another.
func TestALoginTakesNoSessionOver(t *testing.T) {
	s := start(t)
	body := "grant_type=PASSWORD&username=admin&password=" + adminPassword
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	evil := s.expect(t, 200, "anonymous", "POST", "/tenant/oauth?tenant_id=main", body, form)
	planted := "authorization=" + evil.cookie("authorization") + "; XSRF-TOKEN=" + evil.cookie("XSRF-TOKEN")
	good := s.expect(t, 200, "anonymous", "POST", "/tenant/oauth?tenant_id=main", body, http.Header{"Content-Type": form["Content-Type"], "Cookie": {planted}})
	if good.cookie("authorization") == evil.cookie("authorization") || good.cookie("XSRF-TOKEN") == evil.cookie("XSRF-TOKEN") {
		t.Error("the session was there before the login")
	}
	for xsrf, want := range map[string]int{good.cookie("XSRF-TOKEN"): 200, evil.cookie("XSRF-TOKEN"): 401, "": 401, strings.ToLower(good.cookie("XSRF-TOKEN")): 401} {
		s.expect(t, want, "anonymous", "GET", "/user/currentUser", "", http.Header{"Cookie": {"authorization=" + good.cookie("authorization")}, "X-Xsrf-Token": {xsrf}})
	}
	audit := s.expect(t, 200, "admin", "GET", "/audit/auditRecords?type=UserAuthentication&pageSize=100", "", nil)
	if !strings.Contains(audit.body, "XSRF token refused") {
		t.Error("not audited")
	}
}
