package firewall

import (
	"fmt"
	"net/netip"
	"strings"
)

// Rules are lists of networks. The zero value allows everything. They are immutable once built.
type Rules struct{ allow, deny networks }

// networks is a set of prefixes that is asked by length, so that a list of many thousands costs a lookup per length in use.
type networks struct {
	set     map[netip.Prefix]struct{}
	lengths [2][]int // in use, of IPv4 and of IPv6
}

func (n *networks) add(p netip.Prefix) {
	if n.set == nil {
		n.set = map[netip.Prefix]struct{}{}
	}
	n.set[p] = struct{}{}
	family := &n.lengths[0]
	if p.Addr().Is6() {
		family = &n.lengths[1]
	}
	for _, have := range *family {
		if have == p.Bits() {
			return
		}
	}
	*family = append(*family, p.Bits())
}

func (n *networks) contains(a netip.Addr) bool {
	lengths := n.lengths[0]
	if a.Is6() {
		lengths = n.lengths[1]
	}
	for _, bits := range lengths {
		if p, err := a.Prefix(bits); err == nil {
			if _, ok := n.set[p]; ok {
				return true
			}
		}
	}
	return false
}

// Allows reports whether an address may connect. An address that is none may only where everybody may.
func (r *Rules) Allows(a netip.Addr) bool {
	a = plain(a)
	if !a.IsValid() {
		return len(r.allow.set) == 0 && len(r.deny.set) == 0
	}
	return !r.deny.contains(a) && (len(r.allow.set) == 0 || r.allow.contains(a))
}

// plain takes off the disguises of an address: IPv4 in IPv6, and the zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Parse reads rules, one a line: "allow 10.0.0.0/8", "deny 2001:db8::1". Empty lines and what follows a # do not count.
func Parse(text string) (*Rules, error) {
	r := &Rules{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 2 {
			return nil, fmt.Errorf("line %d: a line must have the form allow NETWORK or deny NETWORK", n)
		}
		if err := r.add(f[0], f[1]); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return r, nil
}

func (r *Rules) add(verb, network string) error {
	p, err := Network(network)
	switch {
	case err != nil:
		return err
	case verb == "allow":
		r.allow.add(p)
	case verb == "deny":
		r.deny.add(p)
	default:
		return fmt.Errorf("%.20q must be allow or deny", verb)
	}
	return nil
}

// Network reads an address or a network in CIDR form. Bits beyond the prefix are cut off; IPv4 in the form of IPv6 becomes IPv4.
func Network(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, aerr := netip.ParseAddr(s)
		if aerr != nil || a.Zone() != "" {
			return p, fmt.Errorf("%.60q is neither an address nor a network such as 10.0.0.0/8", s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%.60q mixes IPv4 and IPv6", s)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// Networks reads a list of networks.
func Networks(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := Network(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
