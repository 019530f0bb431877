package mail_test

import (
	"context"
	"io"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/isobar-iot/isobar/kit/mail"
)

// received is a message as the server got it, one per connection.
type received struct {
	from, to, user string
	msg            string
	out            chan *received
}

func (r *received) NewSession(*smtp.Conn) (smtp.Session, error) { return &received{out: r.out}, nil }
func (r *received) AuthMechanisms() []string                    { return []string{sasl.Plain} }
func (r *received) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "isobar" || password != "p@ss:word" {
			return smtp.ErrAuthFailed
		}
		r.user = user
		return nil
	}), nil
}
func (r *received) Mail(from string, _ *smtp.MailOptions) error { r.from = from; return nil }
func (r *received) Rcpt(to string, _ *smtp.RcptOptions) error   { r.to = to; return nil }
func (r *received) Data(body io.Reader) error {
	b, err := io.ReadAll(body)
	r.msg = string(b)
	r.out <- r
	return err
}
func (*received) Reset()        {}
func (*received) Logout() error { return nil }

func serve(t *testing.T) (addr string, messages chan *received) {
	t.Helper()
	messages = make(chan *received, 10)
	s := smtp.NewServer(&received{out: messages})
	s.AllowInsecureAuth = true // on the loopback of a test
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String(), messages
}

func TestSend(t *testing.T) {
	addr, messages := serve(t)
	s, err := mail.New("smtp://isobar:wrong@"+addr, "p@ss:word", "Isobar <isobar@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	text := "Grüße,\n\nhttps://example.com/?token=abc.def&email=a%40b\n" + strings.Repeat("x", 200) + "\n.\nend\n"
	if err := s.Send(context.Background(), "ann@example.com", "Paßwort", text); err != nil {
		t.Fatal(err)
	}
	got := <-messages
	if got.from != "isobar@example.com" || got.to != "ann@example.com" || got.user != "isobar" {
		t.Errorf("%+v", got)
	}
	m, err := netmail.ReadMessage(strings.NewReader(got.msg))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || strings.ReplaceAll(string(body), "\r\n", "\n") != text {
		t.Errorf("%q %v", body, err)
	}
	if m.Header.Get("Date") == "" || m.Header.Get("Message-ID") == "" || m.Header.Get("Auto-Submitted") == "" {
		t.Errorf("%v", m.Header)
	}
}

func TestRefusals(t *testing.T) {
	addr, messages := serve(t)
	for _, c := range []struct{ server, password, from string }{
		{"http://host", "", "a@b"}, {"smtp://", "", "a@b"}, {"host:25", "", "a@b"}, {"smtp://u:se%zzcret@host", "", "a@b"}, {"smtp://h/path", "", "a@b"}, {"smtp://h", "", "nobody"}, {"smtp://h", "", ""},
	} {
		if _, err := mail.New(c.server, c.password, c.from); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%q %q: %v", c.server, c.from, err)
		}
	}
	wrong, err := mail.New("smtp://isobar:wrong@"+addr, "", "a@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Send(context.Background(), "ann@example.com", "s", "t"); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
	good, err := mail.New("smtp://isobar@"+addr, "p@ss:word", "a@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"", "ann", "ann@example.com\r\nBcc: eve@example.com", "a@b.c, d@e.f"} {
		if err := good.Send(context.Background(), to, "s", "t"); err == nil {
			t.Errorf("sent to %q", to)
		}
	}
	if err := good.Send(context.Background(), "ann@example.com", "s\r\nBcc: eve@example.com", "t"); err == nil {
		if m := <-messages; strings.Contains(m.msg, "\r\nBcc:") {
			t.Errorf("a header was smuggled in: %s", m.msg)
		}
	}
	if len(messages) != 0 {
		t.Error("something was sent")
	}
}
