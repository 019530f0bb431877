package packet

// Will is the message that the server publishes for a client that goes away unasked (MQTT 5.0 section 3.1.2.5).
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Props   Properties
}

// Connect is the CONNECT packet. HasUser and HasPassword tell an empty value from an absent one.
type Connect struct {
	Version     Version
	Clean       bool // Clean session (3.x) or clean start (5.0).
	KeepAlive   uint16
	ClientID    string
	HasUser     bool
	User        string
	HasPassword bool
	Password    []byte
	Will        *Will
	Props       Properties
}

// Kind is CONNECT.
func (p *Connect) Kind() Type { return CONNECT }

// AppendTo appends the packet; the version parameter is ignored, the packet carries its own.
func (p *Connect) AppendTo(b []byte, _ Version) []byte {
	b, start := open(b, CONNECT, 0)
	name := "MQTT"
	if p.Version == V31 {
		name = "MQIsdp"
	}
	b = append(appendText(b, name), byte(p.Version), p.flags())
	b = appendUint16(b, p.KeepAlive)
	if p.Version == V5 {
		b = p.Props.appendTo(b, CONNECT)
	}
	b = appendText(b, p.ClientID)
	if w := p.Will; w != nil {
		if p.Version == V5 {
			b = w.Props.appendTo(b, willScope)
		}
		b = appendText(appendText(b, w.Topic), w.Payload)
	}
	if p.HasUser {
		b = appendText(b, p.User)
	}
	if p.HasPassword {
		b = appendText(b, p.Password)
	}
	return seal(b, start)
}

func (p *Connect) flags() (f byte) {
	if p.Clean {
		f |= 2
	}
	if w := p.Will; w != nil {
		f |= 4 | w.QoS<<3
		if w.Retain {
			f |= 32
		}
	}
	if p.HasPassword {
		f |= 64
	}
	if p.HasUser {
		f |= 128
	}
	return f
}

func (p *Connect) decode(c *cursor) {
	name := string(c.text())
	p.Version = Version(c.byte())
	if c.err != nil {
		return
	}
	known := name == "MQTT" && (p.Version == V311 || p.Version == V5) || name == "MQIsdp" && p.Version == V31
	if !known {
		c.fail(&Error{UnsupportedVersion, "protocol name or level is not supported"})
		return
	}
	f := c.byte()
	p.KeepAlive = c.uint16()
	p.checkFlags(c, f)
	if p.Version == V5 {
		p.Props.decode(c, CONNECT)
		if p.Props.Has(PropAuthData) && !p.Props.Has(PropAuthMethod) {
			c.fail(protocol("authentication data without a method"))
		}
	}
	p.ClientID = string(c.text())
	if f&4 != 0 {
		p.decodeWill(c, f)
	}
	if p.HasUser {
		p.User = string(c.text())
	}
	if p.HasPassword {
		p.Password = append([]byte(nil), c.binary()...)
	}
	c.end()
}

func (p *Connect) checkFlags(c *cursor, f byte) {
	p.Clean, p.HasPassword, p.HasUser = f&2 != 0, f&64 != 0, f&128 != 0
	switch {
	case f&1 != 0:
		c.fail(malformed("reserved connect flag is set"))
	case f&4 == 0 && f&0x38 != 0:
		c.fail(malformed("will flags without a will"))
	case f>>3&3 == 3:
		c.fail(malformed("will with QoS 3"))
	case p.Version != V5 && p.HasPassword && !p.HasUser:
		// MQTT-3.1.2-22 of 3.1.1; 5.0 lifted the rule.
		c.fail(protocol("password without user name"))
	}
}

func (p *Connect) decodeWill(c *cursor, f byte) {
	w := &Will{QoS: f >> 3 & 3, Retain: f&32 != 0}
	if p.Version == V5 {
		w.Props.decode(c, willScope)
		w.Props.CorrelationData = append([]byte(nil), w.Props.CorrelationData...)
	}
	topic := c.text()
	if c.err == nil && !validName(topic) {
		c.fail(&Error{TopicNameInvalid, "will topic is empty or holds wildcards"})
	}
	w.Topic = string(topic)
	w.Payload = append([]byte(nil), c.binary()...)
	p.Will = w
}

// Connack is the CONNACK packet. For 3.x the reason is mapped by Reason.Return.
type Connack struct {
	SessionPresent bool
	Code           Reason // As decoded from 3.x it holds the return code 0-5.
	Props          Properties
}

// Kind is CONNACK.
func (p *Connack) Kind() Type { return CONNACK }

// AppendTo appends the packet.
func (p *Connack) AppendTo(b []byte, v Version) []byte {
	b, start := open(b, CONNACK, 0)
	var present byte
	// MQTT 3.1 has no session present flag: the byte is reserved.
	if p.SessionPresent && v != V31 {
		present = 1
	}
	if v != V5 {
		return seal(append(b, present, p.Code.Return()), start)
	}
	return seal(p.Props.appendTo(append(b, present, byte(p.Code)), CONNACK), start)
}

func (p *Connack) decode(c *cursor, v Version) {
	f := c.byte()
	if f > 1 {
		c.fail(malformed("reserved acknowledge flag is set"))
	}
	p.SessionPresent = f == 1
	p.Code = Reason(c.byte())
	if v == V5 {
		p.Props.decode(c, CONNACK)
	} else if p.Code > 5 {
		c.fail(malformed("unknown return code"))
	}
	c.end()
}
