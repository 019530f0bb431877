package app

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/security/protect"
)

// Config is what a server needs to know. Every field is a flag, ISOBAR_<NAME> and a key of the configuration file.
type Config struct {
	Data     string
	HTTP     string
	HTTPS    string
	MTLS     string // HTTPS for devices, which show their certificate
	MQTT     string
	MQTTS    string
	TLSCert  string
	TLSKey   string
	Postgres string
	// DiskReserve is the free space in MiB below which new data is refused; 0: chosen by the size of the disk, negative: not guarded.
	DiskReserve    int
	NATS           string
	AllowPlaintext protect.Permission
	ACME           protect.ACME
	Edge           EdgeConfig
	AuditKey       string
	Mail           MailConfig
	Services       ServicesConfig
	Files          FilesConfig
	// RetentionDays is after how many days a rule of retention removes everything of tenants that are created from now on; 0: they have no rule.
	RetentionDays int
	// OIDCAllowInsecure lets tenants name providers and LDAP servers on this machine, also without encryption.
	OIDCAllowInsecure bool
	LogLevel          string
	LogFormat         string

	// Secrets are no flags, so that they do not show in the list of processes.
	AdminPassword     string
	BootstrapPassword string
}

func (c *Config) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Data, "data", "./data", "folder for everything that is kept")
	f.StringVar(&c.HTTP, "http", "127.0.0.1:8080", "address for HTTP; empty: none")
	f.StringVar(&c.HTTPS, "https", "", "address for HTTPS")
	f.StringVar(&c.MTLS, "mtls", "", "address for HTTPS with client certificates, where devices get their tokens")
	f.StringVar(&c.MQTT, "mqtt", "127.0.0.1:1883", "address for MQTT; empty: none")
	f.StringVar(&c.MQTTS, "mqtts", "", "address for MQTT over TLS")
	f.StringVar(&c.TLSCert, "tls-cert", "", "file with the certificate chain (PEM)")
	f.StringVar(&c.TLSKey, "tls-key", "", "file with the private key (PEM)")
	f.StringVar(&c.Postgres, "postgres", "", "URL of a PostgreSQL database; empty: SQLite and Pebble in the data folder")
	f.IntVar(&c.DiskReserve, "disk-reserve", 0, "MiB of the disk below which new data is refused, so that nothing breaks when it is full; 0: a twentieth of the disk, from 12 MiB to 1 GiB; negative: no guard")
	f.StringVar(&c.AuditKey, "audit-key", "", "file with the private key that signs audit records, made if it is not there; empty: keys/audit.pem in the data folder")
	f.StringVar(&c.NATS, "nats", "", "URL of a NATS server; empty: embedded")
	f.StringSliceVar(&c.ACME.Domains, "acme-domain", nil, "names to get certificates for from an authority that speaks ACME, instead of tls-cert and tls-key")
	f.StringVar(&c.ACME.Email, "acme-email", "", "where the authority may write to")
	f.StringVar(&c.ACME.Directory, "acme-directory", "", "URL of the authority's directory; empty: Let's Encrypt")
	f.StringVar(&c.ACME.Cache, "acme-cache", "", "folder for certificates and the account's key; empty: acme in the data folder")
	f.StringVar(&c.ACME.CAFile, "acme-ca", "", "file with the roots that the authority's own server is checked against (PEM); empty: those of the machine")
	f.Var(&c.AllowPlaintext, "allow-plaintext", "allow unencrypted listeners beyond this machine for a time (=24h, the default) or until a date (=2026-12-01): anybody on the way can read and change everything")
	f.Lookup("allow-plaintext").NoOptDefVal = "24h"
	c.Edge.flags(f)
	c.Mail.flags(f)
	c.Services.flags(f)
	c.Files.flags(f)
	f.IntVar(&c.RetentionDays, "retention-days", 0, "give tenants that are created a rule of retention that removes everything after so many days, up to 3650; 0: none, everything is kept")
	f.BoolVar(&c.OIDCAllowInsecure, "oidc-allow-insecure", false, "for tests: let tenants name providers of single sign-on and LDAP servers on this machine, also without encryption")
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", "text", "text or json")
	f.String("config", "", "file with lines of the form name = value")
}

// load fills what no flag has set, from the environment and then from the file.
func (c *Config) load(cmd *cobra.Command, env map[string]string) error {
	file, err := readFile(first(flagValue(cmd, "config"), env["ISOBAR_CONFIG"]))
	if err != nil {
		return err
	}
	used := map[string]bool{"config": true}
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		used[f.Name] = true
		if f.Changed {
			return
		}
		v, ok := env["ISOBAR_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))]
		from := "environment"
		if !ok {
			v, ok = file[f.Name]
			from = "configuration file"
		}
		if ok {
			if err := f.Value.Set(v); err != nil {
				errs = append(errs, fmt.Errorf("%s from the %s: %w", f.Name, from, err))
			}
			f.Changed = true // given, wherever: what asks whether a setting is the default need not look again
		}
	})
	for name := range file {
		if !used[name] {
			errs = append(errs, fmt.Errorf("the configuration file has an unknown name %q", name))
		}
	}
	c.AdminPassword, c.BootstrapPassword = env["ISOBAR_ADMIN_PASSWORD"], env["ISOBAR_BOOTSTRAP_PASSWORD"]
	c.Mail.Password = env["ISOBAR_SMTP_PASSWORD"]
	errs = append(errs, c.Files.secrets(env))
	return errors.Join(errs...)
}

func flagValue(cmd *cobra.Command, name string) string {
	v, err := cmd.Flags().GetString(name)
	if err != nil {
		return ""
	}
	return v
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func readFile(name string) (map[string]string, error) {
	out := map[string]string{}
	if name == "" {
		return out, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%s:%d: a line must have the form name = value", name, n)
		}
		out[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"`)
	}
	return out, s.Err()
}

// Check says what cannot work. It does no I/O.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		bad("data: a folder is needed")
	}
	if c.HTTP == "" && c.HTTPS == "" {
		bad("http, https: at least one is needed")
	}
	for _, l := range []struct{ name, addr string }{{"http", c.HTTP}, {"mqtt", c.MQTT}, {"https", c.HTTPS}, {"mqtts", c.MQTTS}, {"mtls", c.MTLS}} {
		if l.addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(l.addr)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
			bad("%s: %q is not of the form host:port", l.name, l.addr)
			continue
		}
		if !strings.HasSuffix(l.name, "s") && !c.AllowPlaintext.Given() && !loopback(host) {
			bad("%s: %q is reachable from other machines without encryption; use --%ss with --tls-cert and --tls-key, or allow it with --allow-plaintext", l.name, l.addr, l.name)
		}
	}
	acme, files := len(c.ACME.Domains) > 0, c.TLSCert != "" || c.TLSKey != ""
	switch {
	case acme && files:
		bad("acme-domain, tls-cert: certificates come either from an authority or from files")
	case (c.HTTPS != "" || c.MQTTS != "" || c.MTLS != "") && !acme && (c.TLSCert == "" || c.TLSKey == ""):
		bad("https, mqtts: tls-cert and tls-key are needed, or acme-domain")
	case acme && c.HTTPS == "":
		bad("acme-domain: https is needed, where the authority asks")
	}
	for _, name := range c.ACME.Domains {
		if !strings.Contains(name, ".") || strings.ContainsAny(name, "*/: ") {
			bad("acme-domain: %q is not a full host name; wildcards are not possible", name)
		}
	}
	if c.RetentionDays < 0 || c.RetentionDays > retention.MaxAge {
		bad("retention-days: must be a number of days from 0 to %d", retention.MaxAge)
	}
	c.Edge.check(bad)
	c.Mail.check(bad)
	c.Files.check(bad)
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		bad("log-level: must be debug, info, warn or error")
	}
	if !slices.Contains([]string{"text", "json"}, c.LogFormat) {
		bad("log-format: must be text or json")
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
