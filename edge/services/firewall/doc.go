// Package firewall decides which network addresses may connect, how often at once, and finds out a client's real address behind proxies and balancers.
//
// Every listener of the platform - HTTP, HTTPS, MQTT, MQTTS; WebSockets come through the first two - is wrapped by Firewall.Listener. What it
// refuses is closed before a byte is answered and before TLS, and counted in isobar_firewall_refused_connections_total by listener and reason:
//
//	denied         the address lists say no
//	address_limit  one address has too many connections
//	total_limit    the listener has too many connections
//	proxy_header   a trusted proxy sent a PROXY header that is none, or none in time
//
// # Lists
//
// Rules are networks to allow and to deny, from flags and from a file that is read again when it changes; a file that cannot be understood leaves the old
// rules standing. Deny wins. Without any allow line everything else is let in; with one, only what it names, this machine not excepted. IPv4 addresses in the
// form of IPv6 (::ffff:192.0.2.1) and addresses with a zone (fe80::1%eth0) are compared as what they are. When rules change, connections that they now
// deny end.
//
// # Proxies
//
// Nobody is believed who says that he speaks for another, except trusted proxies. From these, a listener takes a PROXY header (version 1 or 2) if it is
// told to, and Origin takes X-Forwarded-For, -Proto and -Host or Forwarded (RFC 7239); from everybody else Origin removes them, so that handlers behind it
// may read them without asking. The lists apply to the client's address that was found so, not to that of a proxy that introduced it by a PROXY header.
//
// It opens no port and never looks into what a connection carries after the PROXY header.
package firewall
