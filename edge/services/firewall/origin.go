package firewall

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// The headers by which a proxy says for whom it speaks.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
	forwardedRFC   = "Forwarded"
)

// Origin finds out from where a request really comes, and lets it through if the rules do. Behind it, RemoteAddr and Host are those of the client,
// X-Forwarded-Proto and -Host are either absent or one good value from a trusted proxy, and the other headers of proxies are gone. Who is denied, as the client
// of a proxy that may connect, is answered by denied.
func (f *Firewall) Origin(next, denied http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o origin
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && f.Trusted(peer.Addr()) {
			o = f.origin(r.Header)
		}
		for _, name := range []string{forwardedFor, forwardedProto, forwardedHost, forwardedRFC} {
			delete(r.Header, name)
		}
		if o.client.IsValid() && o.client != plain(peer.Addr()) {
			if !f.Allows(o.client) {
				f.refused.WithLabelValues("forwarded", reasonDenied).Inc()
				denied.ServeHTTP(w, r)
				return
			}
			r.RemoteAddr = net.JoinHostPort(o.client.String(), "0")
		}
		if o.proto != "" {
			r.Header.Set(forwardedProto, o.proto)
		}
		if o.host != "" {
			r.Header.Set(forwardedHost, o.host)
			r.Host = o.host
		}
		next.ServeHTTP(w, r)
	})
}

// origin is what a trusted proxy says. Zero fields were not said.
type origin struct {
	client      netip.Addr
	proto, host string
}

// origin reads the headers of a trusted proxy. The standard one counts only where none of the others is: a proxy that sets those passes on what a client wrote
// into this one.
func (f *Firewall) origin(h http.Header) (o origin) {
	hops, proto, host := list(h, forwardedFor), first(list(h, forwardedProto)), first(list(h, forwardedHost))
	if len(hops) == 0 && proto == "" && host == "" {
		hops, proto, host = parseForwarded(h)
	}
	// From the right: each hop was written by the one after it, so that the first one that is no proxy of ours is the client. What stands left of it
	// the client may have made up.
	for i := len(hops) - 1; i >= 0; i-- {
		a, ok := hop(hops[i])
		if !ok {
			break
		}
		o.client = a
		if !f.Trusted(a) {
			break
		}
	}
	if proto = strings.ToLower(proto); proto == "http" || proto == "https" {
		o.proto = proto
	}
	if validHost(host) {
		o.host = host
	}
	return o
}

// list returns the values of a header that is a comma-separated list, also when it is repeated.
func list(h http.Header, name string) (out []string) {
	for _, v := range h.Values(name) {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// hop reads an address with or without a port.
func hop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return plain(a), err == nil
}

// parseForwarded reads RFC 7239: elements separated by commas, pairs by semicolons, values perhaps in quotes. Obfuscated names are no addresses and end
// the chain, as they should.
func parseForwarded(h http.Header) (hops []string, proto, host string) {
	for _, element := range list(h, forwardedRFC) {
		address := "unknown"
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "for":
				address = value
			case "proto":
				if proto == "" {
					proto = value
				}
			case "host":
				if host == "" {
					host = value
				}
			}
		}
		hops = append(hops, address)
	}
	return hops, proto, host
}

// validHost reports whether a text can be put into a link as host[:port].
func validHost(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(".-_:[]", rune(c)) {
			return false
		}
	}
	return true
}
