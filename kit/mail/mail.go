// Package mail sends plain-text messages over SMTP (RFC 5321). It wraps a library, so that the rest of the platform knows only Send.
//
// The connection is encrypted: from its first byte with smtps://, by STARTTLS with smtp://, where a server that offers none is refused, unless
// it runs on this machine.
package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	mail "github.com/wneessen/go-mail"
)

const timeout = 20 * time.Second

// Sender sends messages. It is safe for concurrent use: each message has its own connection.
type Sender struct {
	host    string
	options []mail.Option
	from    string
}

// New makes a sender from a URL of the form smtp[s]://user:password@host:port. password overrides the one in the URL. from is the address of the
// sender, also with a name before it: Isobar <isobar@example.com>. Nothing is connected yet.
func New(server, password, from string) (*Sender, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, errors.New("smtp: not a URL of the form smtp[s]://user:password@host:port") // the error of the parser would show the password
	}
	if u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, errors.New("smtp: not a URL of the form smtp[s]://user:password@host:port")
	}
	if err := mail.NewMsg().From(from); err != nil {
		return nil, fmt.Errorf("mail-from: %q is not an address of the form name@host", from)
	}
	s := &Sender{host: u.Hostname(), from: from, options: []mail.Option{mail.WithTimeout(timeout)}}
	port := 587
	switch {
	case u.Scheme == "smtps":
		port = 465
		s.options = append(s.options, mail.WithSSL())
	case local(u.Hostname()):
		port = 25
		s.options = append(s.options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		s.options = append(s.options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil {
			return nil, fmt.Errorf("smtp: %q is not a port", p)
		}
	}
	s.options = append(s.options, mail.WithPort(port))
	if name := u.User.Username(); name != "" {
		if password == "" {
			password, _ = u.User.Password()
		}
		auth := mail.SMTPAuthAutoDiscover
		if u.Scheme == "smtp" && local(u.Hostname()) {
			auth = mail.SMTPAuthPlainNoEnc // the automatic choice never takes PLAIN where STARTTLS may be missing
		}
		s.options = append(s.options, mail.WithSMTPAuth(auth), mail.WithUsername(name), mail.WithPassword(password))
	}
	_, err = mail.NewClient(s.host, s.options...)
	return s, err
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send hands a message over to the server.
func (s *Sender) Send(ctx context.Context, to, subject, text string) error {
	m := mail.NewMsg()
	if err := m.From(s.from); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := m.To(to); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	m.Subject(subject)
	m.SetDate()
	m.SetMessageID()
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no machine answers it
	m.SetBodyString(mail.TypeTextPlain, text)
	c, err := mail.NewClient(s.host, s.options...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}
