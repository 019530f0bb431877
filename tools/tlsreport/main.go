// Command tlsreport turns the JSON files of testssl.sh into a page of the documentation, and fails on any finding of MEDIUM or above.
// tools/tls-report.sh runs it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// finding is one line of testssl.sh.
type finding struct{ ID, Severity, Finding string }

// bad are the severities that fail, the worst first. WARN and FATAL mean that something was not tested.
var bad = []string{"FATAL", "CRITICAL", "HIGH", "MEDIUM", "WARN"}

// ours are findings about the machine that tests, not about the server: its openssl has no engines for ciphers that only Russia uses.
var ours = []string{"engine_problem"}

// told are the findings that the page shows one by one: what was negotiated, and what a reader looks for.
var told = []string{"SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "ALPN", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW", "cipherlist_3DES_IDEA",
	"cipherlist_AVERAGE", "cipherlist_OBSOLETED", "cipherlist_STRONG", "cipherlist_STRONG_NOFS", "cipherlist_STRONG_FS", "FS", "FS_ciphers", "FS_ECDHE_curves", "PFS", "PFS_ciphers", "PFS_ECDHE_curves", "cipher_order", "cipher_negotiated",
	"protocol_negotiated", "fallback_SCSV", "secure_renego", "secure_client_renego", "cert_chain_of_trust", "cert_trust", "HSTS_time", "HSTS_subdomains", "cookie_secure", "security_headers", "heartbleed", "CCS", "ticketbleed", "ROBOT", "CRIME_TLS",
	"BREACH", "POODLE_SSL", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4"}

func main() {
	version := flag.String("version", "", "of the program that was tested")
	tool := flag.String("tool", "", "version of testssl.sh")
	out := flag.String("out", "", "page to write")
	flag.Parse()
	page, err := report(*version, *tool, time.Now(), flag.Args())
	if *out != "" && page != "" {
		err = errors.Join(err, os.WriteFile(*out, []byte(page), 0o644))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tls-report:", err)
		os.Exit(1)
	}
	fmt.Println("tls-report: nothing of MEDIUM or above")
}

// report makes the page from arguments of the form NAME=FILE. The page comes also with an error about findings.
func report(version, tool string, at time.Time, args []string) (string, error) {
	if len(args) == 0 {
		return "", errors.New("nothing to report")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# What testssl.sh says of our TLS\n\nMade by `make tls-report` on %s: Isobar %s built with %s, testssl.sh %s of Debian.\n\n", at.UTC().Format(time.DateOnly), version, runtime.Version(), tool)
	b.WriteString("The certificate is ECDSA P-256, 90 days, signed for this run by a throw-away authority that testssl.sh was told to trust (`--add-ca`); it names a\nrevocation list as a real one would. " +
		"What follows is about our listeners, not about that certificate.\nThe run fails on any finding of MEDIUM or above, and on anything that could not be tested (WARN, FATAL), but for the\nremark that the testing machine's own openssl has no GOST engine, which is left out here.\n\n" +
		"This version of testssl.sh gives no grades and does not know the hybrid key exchange with ML-KEM; tests of our own do (`security/protect`).\nThe LOW findings: Go tells clients to keep session tickets " +
		"for seven days (the key that new ones are made with changes daily); a CAA record is a matter of the\ndomain's DNS.\n\n")
	b.WriteString("    testssl --quiet --warnings batch --ip 127.0.0.1 --add-ca ca.pem --jsonfile FILE localhost:PORT\n\n## Summary\n\n| Listener | findings | CRITICAL | HIGH | MEDIUM | WARN | LOW | INFO | OK |\n|---|---|---|---|---|---|---|---|---|\n")
	var failed []error
	var details strings.Builder
	for _, arg := range args {
		name, file, _ := strings.Cut(arg, "=")
		findings, err := read(file)
		if err != nil {
			return "", err
		}
		counts := map[string]int{}
		findings = slices.DeleteFunc(findings, func(f finding) bool { return slices.Contains(ours, f.ID) })
		for _, f := range findings {
			counts[f.Severity]++
			if slices.Contains(bad, f.Severity) {
				failed = append(failed, fmt.Errorf("%s: %s %s: %s", name, f.Severity, f.ID, f.Finding))
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n", name, len(findings), counts["CRITICAL"]+counts["FATAL"], counts["HIGH"], counts["MEDIUM"], counts["WARN"], counts["LOW"], counts["INFO"], counts["OK"])
		describe(&details, name, findings)
	}
	return b.String() + details.String(), errors.Join(failed...)
}

func read(file string) ([]finding, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []finding
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(all) < 50 {
		return nil, fmt.Errorf("%s: only %d findings: the test did not end", file, len(all))
	}
	return all, nil
}

func describe(b *strings.Builder, name string, findings []finding) {
	fmt.Fprintf(b, "\n## %s\n\n| What | Severity | Finding |\n|---|---|---|\n", name)
	for _, f := range findings {
		if slices.Contains(told, f.ID) || f.Severity == "LOW" || slices.Contains(bad, f.Severity) || strings.HasPrefix(f.ID, "cipher-") || strings.HasPrefix(f.ID, "cipher_x") {
			fmt.Fprintf(b, "| %s | %s | %s |\n", f.ID, f.Severity, strings.ReplaceAll(strings.Join(strings.Fields(f.Finding), " "), "|", "\\|"))
		}
	}
}
