package app

import (
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/mail"
	"github.com/isobar-iot/isobar/security/access"
)

// MailConfig is how the platform writes to people. Without a server it does not.
type MailConfig struct {
	SMTP      string
	From      string
	PublicURL string
	Password  string // from the environment only
}

func (c *MailConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.SMTP, "smtp", "", "mail server to send through, smtp[s]://user@host:port, its password in ISOBAR_SMTP_PASSWORD; empty: no mail is sent")
	f.StringVar(&c.From, "mail-from", "", "address that mail comes from, such as Isobar <isobar@example.com>")
	f.StringVar(&c.PublicURL, "public-url", "", "where people reach the platform, such as https://iot.example.com; links in mail start with it")
}

func (c *MailConfig) check(bad func(format string, args ...any)) {
	if c.SMTP == "" {
		return
	}
	if _, err := mail.New(c.SMTP, c.Password, c.From); err != nil {
		bad("%v", err)
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
		bad("public-url: with smtp, an address such as https://iot.example.com is needed: what a request calls us must not get into mail")
	}
}

// deliver gives the directory of users what it needs to write to people.
func (c *MailConfig) deliver(d *access.Deps) error {
	if c.SMTP == "" {
		return nil
	}
	sender, err := mail.New(c.SMTP, c.Password, c.From)
	if err != nil {
		return err
	}
	d.Mail = sender
	d.ResetLink = func(t iot.TenantID, email, token string) string { // the query is what login pages read
		return strings.TrimSuffix(c.PublicURL, "/") + "/?" + url.Values{"tenantId": {string(t)}, "email": {email}, "token": {token}}.Encode()
	}
	return nil
}
