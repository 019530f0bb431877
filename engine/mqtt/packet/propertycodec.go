package packet

func (p *Properties) byteField(id PropertyID) *byte {
	switch id {
	case PropPayloadFormat:
		return &p.PayloadFormat
	case PropRequestProblem:
		return &p.RequestProblem
	case PropRequestResponse:
		return &p.RequestResponse
	case PropMaximumQoS:
		return &p.MaximumQoS
	case PropRetainAvailable:
		return &p.RetainAvailable
	case PropWildcardAvailable:
		return &p.WildcardAvailable
	case PropSubIDAvailable:
		return &p.SubIDAvailable
	default:
		return &p.SharedAvailable
	}
}

func (p *Properties) uint16Field(id PropertyID) *uint16 {
	switch id {
	case PropServerKeepAlive:
		return &p.ServerKeepAlive
	case PropReceiveMaximum:
		return &p.ReceiveMaximum
	case PropTopicAliasMaximum:
		return &p.TopicAliasMaximum
	default:
		return &p.TopicAlias
	}
}

func (p *Properties) uint32Field(id PropertyID) *uint32 {
	switch id {
	case PropMessageExpiry:
		return &p.MessageExpiry
	case PropSessionExpiry:
		return &p.SessionExpiry
	case PropWillDelay:
		return &p.WillDelay
	default:
		return &p.MaximumPacketSize
	}
}

func (p *Properties) textField(id PropertyID) *string {
	switch id {
	case PropContentType:
		return &p.ContentType
	case PropResponseTopic:
		return &p.ResponseTopic
	case PropAssignedClientID:
		return &p.AssignedClientID
	case PropAuthMethod:
		return &p.AuthMethod
	case PropResponseInfo:
		return &p.ResponseInfo
	case PropServerReference:
		return &p.ServerReference
	default:
		return &p.ReasonString
	}
}

func (p *Properties) binaryField(id PropertyID) *[]byte {
	if id == PropCorrelationData {
		return &p.CorrelationData
	}
	return &p.AuthData
}

// decode reads the property block of a packet of type t (willScope for the will's).
func (p *Properties) decode(c *cursor, t Type) {
	p.Reset()
	n := int(c.varint())
	in := cursor{b: c.take(n)}
	if c.err != nil {
		return
	}
	for len(in.b) > 0 {
		p.decodeOne(&in, t)
	}
	if in.err != nil {
		c.fail(in.err)
	}
}

func (p *Properties) decodeOne(c *cursor, t Type) {
	raw := c.varint()
	if raw > 42 {
		c.fail(malformed("unknown property"))
		return
	}
	id := PropertyID(raw)
	r := rule(id)
	switch {
	case c.err != nil:
		return
	case r.form == formNone:
		c.fail(malformed("unknown property"))
		return
	case r.scope>>t&1 == 0:
		// Section 2.2.2.2: an identifier that is not valid for its packet type makes the packet malformed.
		c.fail(malformed("property is not allowed in this packet"))
		return
	case p.Has(id) && r.form != formPair && (id != PropSubscriptionID || t == SUBSCRIBE):
		c.fail(protocol("property is included more than once"))
		return
	}
	p.decodeValue(c, id, r.form)
	p.Mark(id)
}

func (p *Properties) decodeValue(c *cursor, id PropertyID, form propertyForm) {
	switch form {
	case formByte:
		v := c.byte()
		*p.byteField(id) = v
		if v > 1 {
			c.fail(protocol("property must be 0 or 1"))
		}
	case formUint16:
		v := c.uint16()
		*p.uint16Field(id) = v
		if v == 0 && id == PropReceiveMaximum {
			c.fail(protocol("receive maximum is zero"))
		}
		if v == 0 && id == PropTopicAlias {
			c.fail(&Error{TopicAliasInvalid, "topic alias is zero"})
		}
	case formUint32:
		v := c.uint32()
		*p.uint32Field(id) = v
		if v == 0 && id == PropMaximumPacketSize {
			c.fail(protocol("maximum packet size is zero"))
		}
	case formVarint:
		v := c.varint()
		if v == 0 {
			c.fail(protocol("subscription identifier is zero"))
			return
		}
		p.SubscriptionIDs = append(p.SubscriptionIDs, v)
	case formText:
		b := c.text()
		if id == PropResponseTopic && c.err == nil && !validName(b) {
			c.fail(protocol("response topic holds wildcards or is empty"))
		}
		*p.textField(id) = string(b)
	case formBinary:
		*p.binaryField(id) = c.binary()
	case formPair:
		k, v := c.text(), c.text()
		if c.err == nil {
			p.User = append(p.User, UserProperty{string(k), string(v)})
		}
	}
}

// appendTo appends the length and the properties that may stand in a packet of type t; others are left out.
func (p *Properties) appendTo(b []byte, t Type) []byte {
	start := len(b)
	b = append(b, 0)
	if p.empty() {
		return b
	}
	for id := PropPayloadFormat; id <= PropSharedAvailable; id++ {
		r := rule(id)
		if r.scope>>t&1 == 1 && (p.Has(id) || r.form == formPair || r.form == formVarint) {
			b = p.appendOne(b, id, r.form)
		}
	}
	n := uint32(len(b) - start - 1)
	if size := varintSize(n); size > 1 {
		b = append(b, make([]byte, size-1)...)
		copy(b[start+size:], b[start+1:])
	}
	appendVarint(b[:start], n)
	return b
}

func (p *Properties) appendOne(b []byte, id PropertyID, form propertyForm) []byte {
	switch form {
	case formByte:
		return append(b, byte(id), *p.byteField(id))
	case formUint16:
		return appendUint16(append(b, byte(id)), *p.uint16Field(id))
	case formUint32:
		v := *p.uint32Field(id)
		return append(b, byte(id), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	case formText:
		return appendText(append(b, byte(id)), *p.textField(id))
	case formBinary:
		return appendText(append(b, byte(id)), *p.binaryField(id))
	case formVarint:
		for _, v := range p.SubscriptionIDs {
			b = appendVarint(append(b, byte(id)), v)
		}
	case formPair:
		for _, u := range p.User {
			b = appendText(appendText(append(b, byte(id)), u.Key), u.Value)
		}
	}
	return b
}
