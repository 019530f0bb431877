package packet

// Ack is one of PUBACK, PUBREC, PUBREL and PUBCOMP, which share their form (MQTT 5.0 sections 3.4 to 3.7).
type Ack struct {
	Type     Type
	PacketID uint16
	Code     Reason // Success for 3.x.
	Props    Properties
}

// Kind is the type that was set.
func (p *Ack) Kind() Type { return p.Type }

// AppendTo appends the packet in its shortest form.
func (p *Ack) AppendTo(b []byte, v Version) []byte {
	if v != V5 || p.Props.empty() {
		return AppendAck(b, v, p.Type, p.PacketID, p.Code)
	}
	b, start := open(b, p.Type, ackFlags(p.Type))
	b = append(appendUint16(b, p.PacketID), byte(p.Code))
	return seal(p.Props.appendTo(b, p.Type), start)
}

// AppendAck appends an acknowledgement without properties. It is the hot path: it does not allocate.
func AppendAck(b []byte, v Version, t Type, id uint16, code Reason) []byte {
	first := byte(t)<<4 | ackFlags(t)
	if v != V5 || code == Success {
		return append(b, first, 2, byte(id>>8), byte(id))
	}
	return append(b, first, 3, byte(id>>8), byte(id), byte(code))
}

// Decode fills p from a packet body without allocating unless there are properties. p may be used again and again.
func (p *Ack) Decode(h Header, body []byte, v Version) error {
	c := cursor{b: body}
	p.Type, p.Code = h.Type, Success
	p.Props.Reset()
	if h.Flags != ackFlags(h.Type) && (v != V31 || h.Type != PUBREL) {
		return malformed("reserved flags of an acknowledgement are wrong")
	}
	p.PacketID = c.packetID()
	if v == V5 && len(c.b) > 0 {
		p.Code = Reason(c.byte())
		if !ackCode(h.Type, p.Code) {
			c.fail(protocol("reason code is not allowed in this acknowledgement"))
		}
		if len(c.b) > 0 {
			p.Props.decode(&c, h.Type)
		}
	}
	c.end()
	return c.result()
}

// ackFlags: PUBREL carries 0b0010 (MQTT-3.6.1-1), the others zero. In 3.1 a resent PUBREL may also set DUP.
func ackFlags(t Type) byte {
	if t == PUBREL {
		return 2
	}
	return 0
}

func ackCode(t Type, r Reason) bool {
	switch r {
	case Success:
		return true
	case PacketIDNotFound:
		return t == PUBREL || t == PUBCOMP
	case NoMatchingSubscribers, UnspecifiedError, ImplementationError, NotAuthorized, TopicNameInvalid, PacketIDInUse,
		QuotaExceeded, PayloadFormatInvalid:
		return t == PUBACK || t == PUBREC
	default:
		return false
	}
}

// Ack returns the code in a form that PUBACK and PUBREC may carry: a failure they do not know becomes UnspecifiedError.
func (r Reason) Ack() Reason {
	switch {
	case ackCode(PUBACK, r):
		return r
	case r.Failed():
		return UnspecifiedError
	default:
		return Success
	}
}
