package firewall_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/edge/services/firewall"
)

func TestRules(t *testing.T) {
	for name, c := range map[string]struct{ rules, in, out string }{
		"none lets everybody in":            {"", "192.0.2.1 ::1 fe80::1%eth0", ""},
		"a comment is no rule":              {"# deny 0.0.0.0/0\n\n  \t\n", "192.0.2.1", ""},
		"deny":                              {"deny 192.0.2.0/24 # those", "192.0.3.1 2001:db8::1", "192.0.2.0 192.0.2.255"},
		"deny one address":                  {"deny 192.0.2.1", "192.0.2.2", "192.0.2.1"},
		"allow shuts all others out":        {"allow 10.0.0.0/8\r\nallow 2001:db8::/32\r\n", "10.1.2.3 2001:db8:1::1", "11.0.0.1 127.0.0.1 ::1 2001:db9::1"},
		"deny wins":                         {"allow 10.0.0.0/8\ndeny 10.1.0.0/16\nallow 10.1.2.3", "10.2.0.1", "10.1.2.3"},
		"the order of lines does not count": {"deny 10.1.2.3\nallow 10.0.0.0/8", "10.2.0.1", "10.1.2.3"},
		"IPv4 in IPv6":                      {"deny 192.0.2.0/24", "::ffff:192.0.3.1", "::ffff:192.0.2.1 ::ffff:c000:0201"},
		"a rule in the form of IPv6":        {"deny ::ffff:192.0.2.0/120", "192.0.3.1", "192.0.2.1 ::ffff:192.0.2.1"},
		"all of IPv6 is not IPv4":           {"deny ::/0", "192.0.2.1 ::ffff:192.0.2.1", "::1 2001:db8::1"},
		"all of IPv4 is not IPv6":           {"deny 0.0.0.0/0", "::1", "192.0.2.1 ::ffff:192.0.2.1"},
		"an address with a zone":            {"deny fe80::/10", "2001:db8::1", "fe80::1 fe80::1%eth0"},
		"bits beyond the prefix":            {"deny 192.0.2.77/24", "192.0.3.1", "192.0.2.1"},
		"everything":                        {"deny 0.0.0.0/0\ndeny ::/0", "", "192.0.2.1 ::1"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := firewall.Parse(c.rules)
			if err != nil {
				t.Fatal(err)
			}
			for want, list := range map[bool]string{true: c.in, false: c.out} {
				for _, a := range strings.Fields(list) {
					if got := r.Allows(netip.MustParseAddr(a)); got != want {
						t.Errorf("%s comes in: %v", a, got)
					}
				}
			}
		})
	}
	for rules, line := range map[string]string{
		"permit 10.0.0.0/8":                    "line 1",
		"deny":                                 "line 1",
		"deny 10.0.0.0/8 10.1.0.0/16":          "line 1",
		"\n\ndeny 10.0.0.0/33":                 "line 3",
		"deny 10.0.0":                          "line 1",
		"allow 10.0.0.0/8\ndeny example.com":   "line 2",
		"deny fe80::1%eth0":                    "line 1",
		"deny ::ffff:0.0.0.0/90":               "mixes IPv4 and IPv6",
		"deny 10.0.0.1/24/8":                   "line 1",
		"allow " + strings.Repeat("1", 10_000): "line 1",
	} {
		if _, err := firewall.Parse(rules); err == nil || !strings.Contains(err.Error(), line) || len(err.Error()) > 200 {
			t.Errorf("%.40q: %v, want %s", rules, err, line)
		}
	}
}

func TestAnAddressThatIsNoneOnlyComesInWhereEverybodyMay(t *testing.T) {
	for rules, want := range map[string]bool{"": true, "deny 10.0.0.1": false, "allow 10.0.0.1": false} {
		r, err := firewall.Parse(rules)
		if err != nil || r.Allows(netip.Addr{}) != want {
			t.Errorf("%q: want %v, %v", rules, want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"allow 10.0.0.0/8\ndeny 10.1.0.0/16 # x", "deny ::ffff:10.0.0.0/104", "deny fe80::1%eth0", "", "allow", "\x00"} {
		f.Add(s, "10.1.2.3")
	}
	f.Fuzz(func(t *testing.T, text, addr string) {
		r, err := firewall.Parse(text)
		if err != nil {
			return
		}
		a, err := netip.ParseAddr(addr)
		if err != nil {
			return
		}
		if a.Is4() && r.Allows(a) != r.Allows(netip.AddrFrom16(a.As16())) {
			t.Errorf("%s is treated differently in the form of IPv6 by %q", a, text)
		}
		if denied, err := firewall.Parse(text + "\ndeny " + a.WithZone("").String()); err != nil || denied.Allows(a) {
			t.Errorf("%s still comes in: %v", a, err)
		}
	})
}

func BenchmarkAllowsWithManyRules(b *testing.B) {
	var s strings.Builder
	for i := range 50_000 {
		s.WriteString("deny " + netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 0}).String() + "/24\n")
	}
	r, err := firewall.Parse(s.String())
	if err != nil {
		b.Fatal(err)
	}
	a := netip.MustParseAddr("192.0.2.1")
	for b.Loop() {
		r.Allows(a)
	}
}
