package packet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decodeAll reads one packet from b with the Reader.
func decodeAll(b []byte, v Version) (Packet, error) {
	r := NewReader(bytes.NewReader(b), 64, 1<<20)
	h, body, err := r.Next()
	if err != nil {
		return nil, err
	}
	return Decode(h, bytes.Clone(body), v)
}

func props(change func(*Properties), ids ...PropertyID) (p Properties) {
	change(&p)
	p.Mark(ids...)
	return p
}

var golden = []struct {
	name string
	v    Version
	hex  string
	p    Packet
}{
	{"connect 3.1 with user and password", V31, "10 1d 00 06 4d 51 49 73 64 70 03 c2 00 3c 00 02 64 31 00 04 74 31 2f 75 00 05 73 33 63 72 74",
		&Connect{Version: V31, Clean: true, KeepAlive: 60, ClientID: "d1", HasUser: true, User: "t1/u", HasPassword: true, Password: []byte("s3crt")}},
	{"connect 3.1.1 with will", V311, "10 18 00 04 4d 51 54 54 04 2e 00 0a 00 02 64 31 00 04 73 2f 75 73 00 02 6f 66",
		&Connect{Version: V311, Clean: true, KeepAlive: 10, ClientID: "d1", Will: &Will{Topic: "s/us", Payload: []byte("of"), QoS: 1, Retain: true}}},
	{"connect 5 with session expiry and receive maximum", V5, "10 16 00 04 4d 51 54 54 05 00 00 05 08 11 00 00 0e 10 21 00 05 00 01 61",
		&Connect{Version: V5, KeepAlive: 5, ClientID: "a", Props: props(func(p *Properties) { p.SessionExpiry = 3600; p.ReceiveMaximum = 5 }, PropSessionExpiry, PropReceiveMaximum)}},
	{"connack 3.1.1 session present", V311, "20 02 01 00", &Connack{SessionPresent: true}},
	{"connack 5 refused", V5, "20 07 00 87 04 1f 00 01 6e", &Connack{Code: NotAuthorized, Props: props(func(p *Properties) { p.ReasonString = "n" }, PropReasonString)}},
	{"publish 3.1.1 QoS 0", V311, "30 08 00 04 73 2f 75 73 68 69", &Publish{Topic: []byte("s/us"), Payload: []byte("hi")}},
	{"publish 3.1.1 QoS 2 dup retain", V311, "3d 06 00 01 61 00 07 78", &Publish{Topic: []byte("a"), QoS: 2, Dup: true, Retain: true, PacketID: 7, Payload: []byte("x")}},
	{"publish 5 with alias only", V5, "32 09 00 00 00 01 03 23 00 03 31", &Publish{Topic: []byte{}, QoS: 1, PacketID: 1, Payload: []byte("1"), Props: props(func(p *Properties) { p.TopicAlias = 3 }, PropTopicAlias)}},
	{"publish 5 with user properties and identifiers", V5, "30 15 00 01 61 11 0b 01 0b 80 01 26 00 01 6b 00 01 76 26 00 00 00 00",
		&Publish{Topic: []byte("a"), Payload: []byte{}, Props: props(func(p *Properties) {
			p.SubscriptionIDs = []uint32{1, 128}
			p.User = []UserProperty{{"k", "v"}, {"", ""}}
		}, PropSubscriptionID, PropUser)}},
	{"puback", V311, "40 02 01 02", &Ack{Type: PUBACK, PacketID: 258}},
	{"puback 5 with code", V5, "40 03 00 01 97", &Ack{Type: PUBACK, PacketID: 1, Code: QuotaExceeded}},
	{"pubrec", V5, "50 02 00 01", &Ack{Type: PUBREC, PacketID: 1}},
	{"pubrel", V311, "62 02 00 01", &Ack{Type: PUBREL, PacketID: 1}},
	{"pubcomp 5 not found", V5, "70 03 00 01 92", &Ack{Type: PUBCOMP, PacketID: 1, Code: PacketIDNotFound}},
	{"subscribe 3.1.1", V311, "82 0a 00 0a 00 01 61 01 00 01 23 02", &Subscribe{PacketID: 10, Filters: []Subscription{{Filter: "a", QoS: 1}, {Filter: "#", QoS: 2}}}},
	{"subscribe 5 with all options", V5, "82 09 00 0a 02 0b 05 00 01 61 2d", &Subscribe{PacketID: 10,
		Filters: []Subscription{{Filter: "a", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}},
		Props:   props(func(p *Properties) { p.SubscriptionIDs = []uint32{5} }, PropSubscriptionID)}},
	{"suback", V311, "90 04 00 0a 01 80", &Suback{PacketID: 10, Codes: []Reason{1, 0x80}}},
	{"suback 5", V5, "90 04 00 0a 00 87", &Suback{PacketID: 10, Codes: []Reason{NotAuthorized}}},
	{"unsubscribe", V311, "a2 05 00 0b 00 01 61", &Unsubscribe{PacketID: 11, Filters: []string{"a"}}},
	{"unsuback", V311, "b0 02 00 0b", &Unsuback{PacketID: 11}},
	{"unsuback 5", V5, "b0 04 00 0b 00 11", &Unsuback{PacketID: 11, Codes: []Reason{NoSubscriptionExisted}}},
	{"pingreq", V311, "c0 00", &Ping{}},
	{"pingresp", V311, "d0 00", &Ping{Response: true}},
	{"disconnect 3.1.1", V311, "e0 00", &Disconnect{}},
	{"disconnect 5 taken over", V5, "e0 01 8e", &Disconnect{Code: SessionTakenOver}},
	{"auth", V5, "f0 07 18 05 15 00 02 53 43", &Auth{Code: ContinueAuthentication, Props: props(func(p *Properties) { p.AuthMethod = "SC" }, PropAuthMethod)}},
}

func TestGolden(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			if got := c.p.AppendTo([]byte("x"), c.v); !bytes.Equal(got[1:], b) {
				t.Errorf("encoded\n% x, want\n% x", got[1:], b)
			}
			p, err := decodeAll(b, c.v)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(p, c.p) {
				t.Errorf("decoded\n%+v, want\n%+v", p, c.p)
			}
		})
	}
}

var malformedTable = []struct {
	name string
	v    Version
	hex  string
	code Reason
}{
	{"type 0", V311, "00 00", MalformedPacket},
	{"remaining length of five bytes", V311, "30 80 80 80 80 01", MalformedPacket},
	{"remaining length longer than needed", V311, "c0 80 00", MalformedPacket},
	{"larger than the limit", V311, "30 ff ff ff 7f", PacketTooLarge},
	{"auth in 3.1.1", V311, "f0 00", MalformedPacket},
	{"auth with a wrong code", V5, "f0 01 80", ProtocolError},
	{"publish QoS 3", V311, "36 05 00 01 61 00 01", MalformedPacket},
	{"publish dup QoS 0", V311, "38 03 00 01 61", MalformedPacket},
	{"publish packet id 0", V311, "32 05 00 01 61 00 00", ProtocolError},
	{"publish empty topic", V311, "30 02 00 00", ProtocolError},
	{"publish empty topic 5", V5, "30 03 00 00 00", ProtocolError},
	{"publish wildcard", V311, "30 03 00 01 23", TopicNameInvalid},
	{"publish U+0000", V311, "30 03 00 01 00", MalformedPacket},
	{"publish surrogate", V311, "30 05 00 03 ed a0 80", MalformedPacket},
	{"publish overlong UTF-8", V311, "30 04 00 02 c0 80", MalformedPacket},
	{"publish topic cut off", V311, "30 03 00 05 61", MalformedPacket},
	{"publish without packet id", V311, "32 03 00 01 61", MalformedPacket},
	{"publish property twice", V5, "30 08 00 01 61 04 01 00 01 00", ProtocolError},
	{"publish unknown property", V5, "30 06 00 01 61 02 07 00", MalformedPacket},
	{"publish property 127", V5, "30 06 00 01 61 02 7f 00", MalformedPacket},
	{"publish property of connect", V5, "30 09 00 01 61 05 11 00 00 00 01", MalformedPacket},
	{"publish property block cut off", V5, "30 04 00 01 61 05", MalformedPacket},
	{"publish property reaches out of its block", V5, "30 09 00 01 61 02 02 00 00 00 01", MalformedPacket},
	{"publish payload format 2", V5, "30 06 00 01 61 02 01 02", ProtocolError},
	{"publish alias 0", V5, "30 07 00 01 61 03 23 00 00", TopicAliasInvalid},
	{"publish response topic wildcard", V5, "30 08 00 01 61 04 08 00 01 23", ProtocolError},
	{"publish subscription identifier 0", V5, "30 06 00 01 61 02 0b 00", ProtocolError},
	{"puback flags", V311, "41 02 00 01", MalformedPacket},
	{"puback id 0", V311, "40 02 00 00", ProtocolError},
	{"puback too long", V311, "40 03 00 01 00", MalformedPacket},
	{"puback 5 wrong code", V5, "40 03 00 01 92", ProtocolError},
	{"pubrel flags", V311, "60 02 00 01", MalformedPacket},
	{"subscribe flags", V311, "80 06 00 01 00 01 61 00", MalformedPacket},
	{"subscribe without filter", V311, "82 02 00 01", ProtocolError},
	{"subscribe id 0", V311, "82 06 00 00 00 01 61 00", ProtocolError},
	{"subscribe QoS 3", V311, "82 06 00 01 00 01 61 03", ProtocolError},
	{"subscribe reserved bits", V311, "82 06 00 01 00 01 61 04", MalformedPacket},
	{"subscribe 5 reserved bits", V5, "82 07 00 01 00 00 01 61 40", MalformedPacket},
	{"subscribe 5 retain handling 3", V5, "82 07 00 01 00 00 01 61 30", ProtocolError},
	{"subscribe 5 two identifiers", V5, "82 0b 00 01 04 0b 01 0b 02 00 01 61 00", ProtocolError},
	{"subscribe shared no local", V5, "82 10 00 01 00 00 0a 24 73 68 61 72 65 2f 67 2f 61 04", ProtocolError},
	{"subscribe bad filter", V311, "82 07 00 01 00 02 61 23 00", TopicFilterInvalid},
	{"subscribe empty filter", V311, "82 05 00 01 00 00 00", TopicFilterInvalid},
	{"unsubscribe without filter", V311, "a2 02 00 01", ProtocolError},
	{"unsubscribe flags", V311, "a0 05 00 01 00 01 61", MalformedPacket},
	{"disconnect flags", V5, "e1 00", MalformedPacket},
	{"auth flags", V5, "f1 00", MalformedPacket},
	{"unsubscribe bad filter", V311, "a2 06 00 01 00 02 23 61", TopicFilterInvalid},
	{"pingreq with body", V311, "c0 01 00", MalformedPacket},
	{"pingreq flags", V311, "c1 00", MalformedPacket},
	{"disconnect with body in 3.1.1", V311, "e0 01 00", MalformedPacket},
	{"connect unknown name", V311, "10 0c 00 04 4d 51 54 58 04 02 00 00 00 00", UnsupportedVersion},
	{"connect level 6", V311, "10 0c 00 04 4d 51 54 54 06 02 00 00 00 00", UnsupportedVersion},
	{"connect reserved flag", V311, "10 0c 00 04 4d 51 54 54 04 03 00 00 00 00", MalformedPacket},
	{"connect will QoS without will", V311, "10 0c 00 04 4d 51 54 54 04 0a 00 00 00 00", MalformedPacket},
	{"connect will QoS 3", V311, "10 11 00 04 4d 51 54 54 04 1e 00 00 00 00 00 01 61 00 00", MalformedPacket},
	{"connect will topic wildcard", V311, "10 11 00 04 4d 51 54 54 04 06 00 00 00 00 00 01 2b 00 00", TopicNameInvalid},
	{"connect password without user", V311, "10 0e 00 04 4d 51 54 54 04 42 00 00 00 00 00 00", ProtocolError},
	{"connect left over", V311, "10 0d 00 04 4d 51 54 54 04 02 00 00 00 00 00", MalformedPacket},
	{"connect receive maximum 0", V5, "10 10 00 04 4d 51 54 54 05 02 00 00 03 21 00 00 00 00", ProtocolError},
	{"connect packet size 0", V5, "10 12 00 04 4d 51 54 54 05 02 00 00 05 27 00 00 00 00 00 00", ProtocolError},
	{"connect auth data alone", V5, "10 10 00 04 4d 51 54 54 05 02 00 00 03 16 00 00 00 00", ProtocolError},
}

func TestMalformed(t *testing.T) {
	for _, c := range malformedTable {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodeAll(unhex(t, c.hex), c.v)
			var bad *Error
			if !errors.As(err, &bad) || bad.Code != c.code {
				t.Fatalf("error %v, want %s", err, c.code)
			}
		})
	}
}

func TestStreamThatEndsInsideAPacket(t *testing.T) {
	for _, c := range golden {
		b := unhex(t, c.hex)
		for n := 1; n < len(b); n++ {
			if _, err := decodeAll(b[:n], c.v); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut at %d: %v", c.name, n, err)
			}
		}
	}
}

func TestReaderTakesPacketsOfAnySize(t *testing.T) {
	var stream []byte
	sizes := []int{0, 1, 50, 64, 65, 127, 128, 5000, 16383, 16384, 200_000, 3}
	for _, n := range sizes {
		p := Publish{Topic: []byte("a"), Payload: bytes.Repeat([]byte{byte(n)}, n)}
		stream = p.AppendTo(stream, V311)
	}
	r := NewReader(&trickle{stream}, 64, 1<<20)
	for _, n := range sizes {
		h, body, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		var p Publish
		if err := p.Decode(h.Flags, body, V311); err != nil || len(p.Payload) != n || bytes.Count(p.Payload, []byte{byte(n)}) != n {
			t.Fatalf("size %d: %v, %d bytes", n, err, len(p.Payload))
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Fatal(err)
	}
}

// trickle returns a few bytes at a time.
type trickle struct{ b []byte }

func (s *trickle) Read(b []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.b[:min(len(s.b), 1+rand.IntN(3000))])
	s.b = s.b[n:]
	return n, nil
}

// TestRoundTripOfRandomPublishes encodes what a generator makes and compares what comes back.
func TestRoundTripOfRandomPublishes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func() string { return strings.Repeat("ä", rnd.IntN(100)) }
	for range 2000 {
		p := &Publish{QoS: byte(rnd.IntN(3)), Retain: rnd.IntN(2) == 0, Topic: []byte("t/" + text()), Payload: []byte(text())}
		if p.QoS > 0 {
			p.PacketID, p.Dup = uint16(1+rnd.IntN(65535)), rnd.IntN(2) == 0
		}
		for id := PropertyID(1); id <= PropSharedAvailable; id++ {
			r := rule(id)
			if r.scope>>PUBLISH&1 == 0 || rnd.IntN(2) == 0 {
				continue
			}
			p.Props.Mark(id)
			switch r.form {
			case formByte:
				*p.Props.byteField(id) = byte(rnd.IntN(2))
			case formUint16:
				*p.Props.uint16Field(id) = uint16(1 + rnd.IntN(65535))
			case formUint32:
				*p.Props.uint32Field(id) = rnd.Uint32()
			case formText:
				*p.Props.textField(id) = "x" + text()
			case formBinary:
				*p.Props.binaryField(id) = []byte(text())
			case formVarint:
				p.Props.SubscriptionIDs = []uint32{1 + rnd.Uint32N(MaxRemaining), 1 + rnd.Uint32N(200)}
			case formPair:
				p.Props.User = []UserProperty{{text(), text()}, {text(), text()}}
			}
		}
		got, err := decodeAll(p.AppendTo(nil, V5), V5)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("got\n%+v, want\n%+v", got, p)
		}
	}
}

func TestReasonMapsToReturnCodes(t *testing.T) {
	for r, want := range map[Reason]byte{0: 0, UnsupportedVersion: 1, ClientIDNotValid: 2, ServerUnavailable: 3, BadUserOrPassword: 4,
		NotAuthorized: 5, Banned: 5, QuotaExceeded: 3, BadAuthMethod: 5} {
		if r.Return() != want {
			t.Errorf("%s returns %d, want %d", r, r.Return(), want)
		}
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	b := (&Publish{Topic: []byte("s/us"), QoS: 1, PacketID: 1, Payload: []byte("200,c8y_T,T,25")}).AppendTo(nil, V5)
	stream := bytes.NewReader(nil)
	r := NewReader(stream, 2048, 16184)
	var p Publish
	var a Ack
	out := make([]byte, 0, 256)
	n := testing.AllocsPerRun(200, func() {
		stream.Reset(b)
		h, body, err := r.Next()
		if err == nil {
			err = p.Decode(h.Flags, body, V5)
		}
		out = p.AppendTo(out[:0], V5)
		out = AppendAck(out[:0], V5, PUBACK, p.PacketID, Success)
		if err == nil {
			err = a.Decode(Header{Type: PUBACK}, out[2:], V5)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// FuzzDecode: whatever decodes must encode, and decode to the same again.
func FuzzDecode(f *testing.F) {
	for _, c := range golden {
		f.Add(byte(c.v), unhex(f, c.hex))
	}
	for _, c := range malformedTable {
		f.Add(byte(c.v), unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, v byte, b []byte) {
		version := Version(3 + v%3)
		p, err := decodeAll(b, version)
		if err != nil {
			return
		}
		if c, ok := p.(*Connect); ok {
			version = c.Version
		}
		again, err := decodeAll(p.AppendTo(nil, version), version)
		if err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		if !bytes.Equal(p.AppendTo(nil, version), again.AppendTo(nil, version)) {
			t.Fatalf("%+v became %+v", p, again)
		}
	})
}

func BenchmarkDecodePublish(b *testing.B) {
	frame := (&Publish{Topic: []byte("s/us"), QoS: 1, PacketID: 1, Payload: []byte("200,c8y_T,T,25")}).AppendTo(nil, V311)
	var p Publish
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Decode(2, frame[2:], V311); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodePublish(b *testing.B) {
	p := Publish{Topic: []byte("s/us"), QoS: 1, PacketID: 1, Payload: []byte("200,c8y_T,T,25")}
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		buf = p.AppendTo(buf[:0], V5)
	}
}

func BenchmarkReader(b *testing.B) {
	frame := (&Publish{Topic: []byte("s/us"), QoS: 1, PacketID: 1, Payload: []byte("200,c8y_T,T,25")}).AppendTo(nil, V311)
	stream := bytes.NewReader(nil)
	r := NewReader(stream, 2048, 16184)
	b.ReportAllocs()
	for b.Loop() {
		stream.Reset(frame)
		if _, _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
