// Package packet is the MQTT codec: it turns bytes into the fifteen control packets of MQTT 3.1, 3.1.1 and 5.0 and back.
//
// It owns the wire format and every rule that can be checked by looking at one packet alone: reserved flags, UTF-8,
// remaining length, packet identifiers, topic syntax, which property may stand in which packet and how often.
// It knows no connection state; rules that need it (a second CONNECT, an unknown topic alias) belong to package mqtt.
//
// A refused packet is reported as *Error. Its Code separates bytes that cannot be parsed (MalformedPacket, 0x81) from
// bytes that parse but say something forbidden (ProtocolError, 0x82), see MQTT 5.0 section 1.2 and 4.13.
//
// Ownership: the byte slices in a decoded packet (Publish.Topic, Publish.Payload, binary properties) are views into the
// buffer that was decoded. Who wants to keep them past the next Reader.Next copies them. Strings are copies.
// Encoding appends to a slice of the caller and returns it, so that one buffer can carry many packets.
//
// Nothing here is safe for concurrent use, and nothing here starts a goroutine.
//
//	r := packet.NewReader(conn, 2048, 16184)
//	h, body, err := r.Next()
//	p, err := packet.Decode(h, body, packet.V311)
package packet
