package packet

// Publish is the PUBLISH packet. After decoding, Topic, Payload and CorrelationData are views into the decoded buffer.
type Publish struct {
	Dup      bool
	QoS      byte
	Retain   bool
	Topic    []byte // Empty only in 5.0 together with a topic alias.
	PacketID uint16 // Zero when QoS is 0.
	Payload  []byte
	Props    Properties
}

// Kind is PUBLISH.
func (p *Publish) Kind() Type { return PUBLISH }

// AppendTo appends the packet.
func (p *Publish) AppendTo(b []byte, v Version) []byte { return appendPublish(b, p, p.Topic, v) }

// AppendTopic appends the packet with another topic name, which spares the sender of a string the conversion.
func (p *Publish) AppendTopic(b []byte, topic string, v Version) []byte {
	return appendPublish(b, p, topic, v)
}

func appendPublish[T ~string | ~[]byte](b []byte, p *Publish, topic T, v Version) []byte {
	flags := p.QoS << 1
	if p.Dup {
		flags |= 8
	}
	if p.Retain {
		flags |= 1
	}
	b, start := open(b, PUBLISH, flags)
	b = appendText(b, topic)
	if p.QoS > 0 {
		b = appendUint16(b, p.PacketID)
	}
	if v == V5 {
		b = p.Props.appendTo(b, PUBLISH)
	}
	return seal(append(b, p.Payload...), start)
}

// Decode fills p from a packet body, without allocating unless properties hold text. p may be used again and again.
func (p *Publish) Decode(flags byte, body []byte, v Version) error {
	c := cursor{b: body}
	p.Dup, p.QoS, p.Retain = flags&8 != 0, flags>>1&3, flags&1 != 0
	p.PacketID = 0
	p.Props.Reset()
	if p.QoS == 3 {
		return malformed("publish with QoS 3")
	}
	if p.Dup && p.QoS == 0 {
		return malformed("publish with DUP and QoS 0")
	}
	p.Topic = c.text()
	if p.QoS > 0 {
		p.PacketID = c.packetID()
	}
	if v == V5 {
		p.Props.decode(&c, PUBLISH)
	}
	p.Payload = c.b
	if c.err != nil {
		return c.err
	}
	if len(p.Topic) == 0 && p.Props.Has(PropTopicAlias) {
		return nil
	}
	if len(p.Topic) == 0 {
		return protocol("empty topic name")
	}
	if !validName(p.Topic) {
		return &Error{TopicNameInvalid, "topic name holds wildcards"}
	}
	return nil
}
