package packet

// Subscription is one entry of SUBSCRIBE. The flags beside QoS exist in 5.0 only (section 3.8.3.1).
type Subscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte // 0 send retained, 1 send when the subscription is new, 2 do not send.
}

// Subscribe is the SUBSCRIBE packet.
type Subscribe struct {
	PacketID uint16
	Filters  []Subscription
	Props    Properties
}

// Kind is SUBSCRIBE.
func (p *Subscribe) Kind() Type { return SUBSCRIBE }

// AppendTo appends the packet.
func (p *Subscribe) AppendTo(b []byte, v Version) []byte {
	b, start := open(b, SUBSCRIBE, 2)
	b = appendUint16(b, p.PacketID)
	if v == V5 {
		b = p.Props.appendTo(b, SUBSCRIBE)
	}
	for _, s := range p.Filters {
		o := s.QoS
		if v == V5 {
			o |= s.RetainHandling << 4
			if s.NoLocal {
				o |= 4
			}
			if s.RetainAsPublished {
				o |= 8
			}
		}
		b = append(appendText(b, s.Filter), o)
	}
	return seal(b, start)
}

func (p *Subscribe) decode(c *cursor, v Version) {
	p.PacketID = c.packetID()
	if v == V5 {
		p.Props.decode(c, SUBSCRIBE)
	}
	for len(c.b) > 0 {
		p.Filters = append(p.Filters, decodeSubscription(c, v))
	}
	if c.err == nil && len(p.Filters) == 0 {
		c.fail(protocol("subscribe without a topic filter"))
	}
}

func decodeSubscription(c *cursor, v Version) Subscription {
	filter := c.text()
	if c.err == nil && !validFilter(filter) {
		c.fail(&Error{TopicFilterInvalid, "topic filter is not valid"})
	}
	o := c.byte()
	s := Subscription{Filter: string(filter), QoS: o & 3}
	if v == V5 {
		s.NoLocal, s.RetainAsPublished, s.RetainHandling = o&4 != 0, o&8 != 0, o>>4&3
	}
	switch {
	case s.QoS == 3:
		c.fail(protocol("subscription with QoS 3"))
	case v != V5 && o > 2 || o&0xC0 != 0:
		c.fail(malformed("reserved subscription bits are set"))
	case s.RetainHandling == 3:
		c.fail(protocol("retain handling 3"))
	case s.NoLocal && len(filter) > 7 && string(filter[:7]) == "$share/":
		c.fail(protocol("no local on a shared subscription"))
	}
	return s
}

// Suback answers SUBSCRIBE, one code per filter. For 3.x every failure becomes 0x80.
type Suback struct {
	PacketID uint16
	Codes    []Reason
	Props    Properties
}

// Kind is SUBACK.
func (p *Suback) Kind() Type { return SUBACK }

// AppendTo appends the packet.
func (p *Suback) AppendTo(b []byte, v Version) []byte {
	b, start := open(b, SUBACK, 0)
	b = appendUint16(b, p.PacketID)
	if v == V5 {
		b = p.Props.appendTo(b, SUBACK)
	}
	for _, r := range p.Codes {
		if v != V5 && r.Failed() {
			r = UnspecifiedError
		}
		b = append(b, byte(r))
	}
	return seal(b, start)
}

func (p *Suback) decode(c *cursor, v Version) {
	p.PacketID = c.packetID()
	if v == V5 {
		p.Props.decode(c, SUBACK)
	}
	p.Codes = decodeCodes(c)
}

// Unsubscribe is the UNSUBSCRIBE packet.
type Unsubscribe struct {
	PacketID uint16
	Filters  []string
	Props    Properties
}

// Kind is UNSUBSCRIBE.
func (p *Unsubscribe) Kind() Type { return UNSUBSCRIBE }

// AppendTo appends the packet.
func (p *Unsubscribe) AppendTo(b []byte, v Version) []byte {
	b, start := open(b, UNSUBSCRIBE, 2)
	b = appendUint16(b, p.PacketID)
	if v == V5 {
		b = p.Props.appendTo(b, UNSUBSCRIBE)
	}
	for _, f := range p.Filters {
		b = appendText(b, f)
	}
	return seal(b, start)
}

func (p *Unsubscribe) decode(c *cursor, v Version) {
	p.PacketID = c.packetID()
	if v == V5 {
		p.Props.decode(c, UNSUBSCRIBE)
	}
	for len(c.b) > 0 {
		f := c.text()
		if c.err == nil && !validFilter(f) {
			c.fail(&Error{TopicFilterInvalid, "topic filter is not valid"})
		}
		p.Filters = append(p.Filters, string(f))
	}
	if c.err == nil && len(p.Filters) == 0 {
		c.fail(protocol("unsubscribe without a topic filter"))
	}
}

// Unsuback answers UNSUBSCRIBE. 3.x carries no codes.
type Unsuback struct {
	PacketID uint16
	Codes    []Reason
	Props    Properties
}

// Kind is UNSUBACK.
func (p *Unsuback) Kind() Type { return UNSUBACK }

// AppendTo appends the packet.
func (p *Unsuback) AppendTo(b []byte, v Version) []byte {
	b, start := open(b, UNSUBACK, 0)
	b = appendUint16(b, p.PacketID)
	if v == V5 {
		b = p.Props.appendTo(b, UNSUBACK)
		for _, r := range p.Codes {
			b = append(b, byte(r))
		}
	}
	return seal(b, start)
}

func (p *Unsuback) decode(c *cursor, v Version) {
	p.PacketID = c.packetID()
	if v == V5 {
		p.Props.decode(c, UNSUBACK)
		p.Codes = decodeCodes(c)
	}
	c.end()
}

func decodeCodes(c *cursor) (codes []Reason) {
	for _, b := range c.take(len(c.b)) {
		codes = append(codes, Reason(b))
	}
	return codes
}
