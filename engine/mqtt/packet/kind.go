package packet

import "fmt"

// Type is the control packet type, the upper four bits of the first byte (MQTT 5.0 section 2.1.2).
type Type byte

// The fifteen control packet types.
const (
	CONNECT Type = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH
)

// String names the type as the specification does.
func (t Type) String() string {
	names := [...]string{"RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
		"SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("TYPE(%d)", byte(t))
}

// Version is the protocol level as it stands in CONNECT.
type Version byte

// The protocol levels that the codec speaks.
const (
	V31  Version = 3 // MQTT 3.1, protocol name MQIsdp.
	V311 Version = 4 // MQTT 3.1.1, OASIS 2014.
	V5   Version = 5 // MQTT 5.0, OASIS 2019.
)

// MaxRemaining is the largest remaining length that four bytes can say (MQTT 5.0 section 2.1.4).
const MaxRemaining = 268_435_455

// Header is the fixed header of a packet.
type Header struct {
	Type      Type
	Flags     byte // The lower four bits of the first byte.
	Remaining int
}

// Packet is implemented by every control packet of this package.
type Packet interface {
	// Kind tells the control packet type.
	Kind() Type
	// AppendTo appends the encoded packet for the given protocol level. Fields that the level does not know are left out.
	// Text longer than 65,535 bytes cannot be said in MQTT and is cut there.
	AppendTo(b []byte, v Version) []byte
}

// Ping is a PINGREQ, or a PINGRESP when Response is set.
type Ping struct{ Response bool }

// Kind is PINGREQ or PINGRESP.
func (p *Ping) Kind() Type {
	if p.Response {
		return PINGRESP
	}
	return PINGREQ
}

// AppendTo appends the two bytes of the packet.
func (p *Ping) AppendTo(b []byte, _ Version) []byte { return append(b, byte(p.Kind())<<4, 0) }
