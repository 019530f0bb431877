package packet

// Decode decodes the body of any control packet. The version is the one that CONNECT agreed on; CONNECT itself carries
// its own. Views in the result live as long as body. The hot packets also have Decode methods that reuse their receiver.
func Decode(h Header, body []byte, v Version) (Packet, error) {
	switch h.Type {
	case PUBLISH:
		p := &Publish{}
		return p, p.Decode(h.Flags, body, v)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		p := &Ack{}
		return p, p.Decode(h, body, v)
	}
	if err := checkFlags(h, v); err != nil {
		return nil, err
	}
	c := &cursor{b: body}
	p := decodeBody(h, c, v)
	return p, c.result()
}

func checkFlags(h Header, v Version) error {
	want := byte(0)
	if h.Type == SUBSCRIBE || h.Type == UNSUBSCRIBE {
		want = 2
	}
	if h.Flags == want {
		return nil
	}
	// MQTT 3.1 lets a resent SUBSCRIBE and UNSUBSCRIBE carry DUP and does not reserve the flags of the others.
	if v == V31 && (want == 0 || h.Flags&^8 == want) {
		return nil
	}
	return malformed("reserved header flags are wrong")
}

func decodeBody(h Header, c *cursor, v Version) Packet {
	switch h.Type {
	case CONNECT:
		p := &Connect{}
		p.decode(c)
		return p
	case CONNACK:
		p := &Connack{}
		p.decode(c, v)
		return p
	case SUBSCRIBE:
		p := &Subscribe{}
		p.decode(c, v)
		return p
	case SUBACK:
		p := &Suback{}
		p.decode(c, v)
		return p
	case UNSUBSCRIBE:
		p := &Unsubscribe{}
		p.decode(c, v)
		return p
	case UNSUBACK:
		p := &Unsuback{}
		p.decode(c, v)
		return p
	case DISCONNECT:
		p := &Disconnect{}
		p.decode(c, v)
		return p
	case PINGREQ, PINGRESP:
		c.end()
		return &Ping{Response: h.Type == PINGRESP}
	}
	if h.Type == AUTH && v == V5 {
		p := &Auth{}
		p.decode(c)
		return p
	}
	c.fail(malformed("packet type is not known in this version"))
	return nil
}
