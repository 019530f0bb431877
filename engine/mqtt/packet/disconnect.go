package packet

// Disconnect is the DISCONNECT packet. 3.x knows no code and no properties.
type Disconnect struct {
	Code  Reason
	Props Properties
}

// Kind is DISCONNECT.
func (p *Disconnect) Kind() Type { return DISCONNECT }

// AppendTo appends the packet in its shortest form.
func (p *Disconnect) AppendTo(b []byte, v Version) []byte {
	if v != V5 {
		return append(b, byte(DISCONNECT)<<4, 0)
	}
	return appendCoded(b, DISCONNECT, p.Code, &p.Props)
}

func (p *Disconnect) decode(c *cursor, v Version) {
	if v == V5 {
		p.Code = decodeCoded(c, DISCONNECT, &p.Props)
	}
	c.end()
}

// Auth is the AUTH packet of 5.0.
type Auth struct {
	Code  Reason
	Props Properties
}

// Kind is AUTH.
func (p *Auth) Kind() Type { return AUTH }

// AppendTo appends the packet in its shortest form.
func (p *Auth) AppendTo(b []byte, _ Version) []byte { return appendCoded(b, AUTH, p.Code, &p.Props) }

func (p *Auth) decode(c *cursor) {
	p.Code = decodeCoded(c, AUTH, &p.Props)
	if c.err == nil && p.Code != Success && p.Code != ContinueAuthentication && p.Code != Reauthenticate {
		c.fail(protocol("reason code is not allowed in AUTH"))
	}
	c.end()
}

func appendCoded(b []byte, t Type, code Reason, props *Properties) []byte {
	if props.empty() && code == Success {
		return append(b, byte(t)<<4, 0)
	}
	b, start := open(b, t, 0)
	b = append(b, byte(code))
	if !props.empty() {
		b = props.appendTo(b, t)
	}
	return seal(b, start)
}

func decodeCoded(c *cursor, t Type, props *Properties) Reason {
	if len(c.b) == 0 {
		return Success
	}
	code := Reason(c.byte())
	if len(c.b) > 0 {
		props.decode(c, t)
	}
	return code
}
