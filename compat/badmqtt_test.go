package compat_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestBadLines sends what devices should not send over SmartREST and JSON. The device is told, and stays connected.
func TestBadLines(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 2_000) + "1" + strings.Repeat("}", 2_000)
	long := strings.Repeat("x", 15_000)
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			s := rig.Start(t, engine.options(t))
			d := s.Register(t, "lines-1")
			c := s.Connect(t, d, "s/e", "error", "s/dt")
			n := 0
			for _, x := range []struct {
				topic, answer string
				payloads      []string
			}{
				{"s/us", "s/e", []string{"x", "99999999999999999999", "-1", "100.5", "200", "200,,", "200,a", "200,a,b", "200,a,b,x", "200,a,b,NaN", "200,a,b,1e999", "200,a,b,1,V,yesterday",
					"201", "201,t,,a,b", "211,hot", "301", "305", "305,t,AWFUL", "400", "400,t,x,yesterday", "402,91x", "401,x,y,z", "504", "504,x", "504,-1", "504,99999999999999999999", "506,0", "501", "100,\"unclosed", "\"", "101",
					"102", "102,x", "117", "117,x", "117,99999999999999999999", "\xff\xfe", "400,t,a\x00b", "400,\x00,x", "200,a,b,1,\x00", "400," + long, "999,x", "10,999,GET", "15,x", "  ", "301,\xff", "200;a;b;1"}},
				{"s/us/other/deeper/x", "s/e", []string{"x"}},
				{"s/us/\u00a0", "s/e", []string{"x"}},
				{"s/nothing", "s/e", []string{"x", ""}},
				{"s/", "s/e", []string{"x"}},
				{"t/us", "s/e", []string{"x", "200,a,b,NaN"}},
				{"c/us", "s/e", []string{"x"}},
				{"q/us", "s/e", []string{"x"}},
				{"s/ds", "s/e", []string{"510,someone"}},
				{"s/e", "s/e", []string{"x"}},
				{"s/ut/none", "s/dt", []string{""}},
				{"measurement/measurements/create", "error", []string{"", "{", "[]", "12", `{"type":1}`, `{"type":"t","time":"yesterday","c":{"v":{"value":1}}}`, `{"type":"t","c":{"v":{"value":1e999}}}`, `{"type":"a\u0000b","c":{"v":{"value":1}}}`, "\xff", deep,
					`{"type":"t","externalSource":1}`, `{"type":"t","externalSource":{"externalId":"nobody","type":"c8y_Serial"}}`, `{"type":"t","externalSource":{"externalId":"a\u0000"}}`, `{"c":{"v":{"value":1}}}`}},
				{"measurement/measurements/createBulk", "error", []string{`{"measurements":1}`, `{"measurements":[1]}`, `{"measurements":[{"type":1}]}`}},
				{"measurement/measurements/explode", "error", []string{"{}"}},
				{"event/events/create", "error", []string{"", "{}", `{"type":"t","text":1,"time":"2026-01-01T00:00:00Z"}`, `{"type":"t","text":"x","time":1}`, `{"type":"t","text":"\ud800","time":"2026-01-01T00:00:00Z"}`}},
				{"event/events/update/x", "error", []string{`{"text":"x"}`}},
				{"event/events/update/99999999999999999999", "error", []string{`{"text":"x"}`}},
				{"alarm/alarms/create", "error", []string{"{}", `{"type":"t","text":"x","severity":"AWFUL","time":"2026-01-01T00:00:00Z"}`}},
				{"alarm/alarms/update/-1", "error", []string{`{"status":"CLEARED"}`}},
				{"inventory/managedObjects/update/nobody", "error", []string{`{"name":"x"}`}},
				{"inventory/managedObjects/update/" + d.Serial, "error", []string{"[]", `{"name":1}`, `{"a b":1}`}},
				{"inventory/nothing/create", "error", []string{"{}"}},
			} {
				for _, payload := range x.payloads {
					n++
					// The answer to the bad line comes before that to the good one that follows.
					token := c.Publish(x.topic, 1, false, payload)
					if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
						t.Fatalf("%s %.60q is not acknowledged: %v\n%s", x.topic, payload, token.Error(), lastLine(s.Err.String()))
					}
					c.Send(t, "s/us", fmt.Sprintf("98765,%d", n))
					answered := false
					for {
						m := <-c.In
						if m.Topic == "s/e" && strings.HasPrefix(m.Text, "40,98765") {
							break
						}
						answered = answered || m.Topic == x.answer
					}
					if !answered && strings.TrimSpace(payload) != "" {
						t.Errorf("%s %.60q: nothing on %s", x.topic, payload, x.answer)
					}
				}
			}
			t.Logf("%d payloads", n)
			if !c.IsConnected() {
				t.Error("the connection is lost")
			}
			alive(t, s, d.ID)
		})
	}
}

// hostile is what a hostile peer writes, and the reason that the server tells in its last packet: CONNACK or DISCONNECT of MQTT 5.
type hostile struct {
	raw    []byte
	reason byte
}

// reasonOf returns the reason code of the last packet.
func reasonOf(answer []byte) (code byte) {
	for len(answer) >= 2 && len(answer) >= 2+int(answer[1]) { // these packets are short
		body := answer[2 : 2+answer[1]]
		switch {
		case answer[0] == 0xe0 && len(body) > 0:
			code = body[0]
		case answer[0] == 0x20 && len(body) > 1:
			code = body[1]
		}
		answer = answer[2+len(body):]
	}
	return code
}

func packets(d rig.Device) map[string]hostile {
	str := func(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }
	length := func(n int) (b []byte) {
		for {
			if n < 128 {
				return append(b, byte(n))
			}
			b, n = append(b, byte(n%128|128)), n/128
		}
	}
	packet := func(first byte, body ...[]byte) []byte {
		all := bytes.Join(body, nil)
		return append(append([]byte{first}, length(len(all))...), all...)
	}
	connect := packet(0x10, str("MQTT"), []byte{4, 0xC2, 0, 60}, str(d.Serial), str(d.User), str(d.Password))
	with := func(p ...[]byte) []byte { return bytes.Join(append([][]byte{connect}, p...), nil) }
	publish := func(topic string, payload []byte) []byte {
		return packet(0x32, str(topic), []byte{0, 1}, payload)
	}
	out := map[string]hostile{}
	for name, raw := range map[string][]byte{
		"HTTP":                                []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"TLS":                                 {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
		"zeros":                               make([]byte, 100),
		"a length without end":                {0x10, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a CONNECT of 256 MB":                 {0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4},
		"a CONNECT of another protocol":       packet(0x10, str("XMPP"), []byte{4, 2, 0, 60}, str("x")),
		"a CONNECT with a reserved flag":      packet(0x10, str("MQTT"), []byte{4, 3, 0, 60}, str("x")),
		"a CONNECT with will QoS 3":           packet(0x10, str("MQTT"), []byte{4, 0x1e, 0, 60}, str("x"), str("w"), str("m")),
		"a CONNECT that is cut":               connect[:len(connect)-3],
		"a CONNECT with broken UTF-8":         packet(0x10, str("MQTT"), []byte{4, 0xC2, 0, 60}, str("\xff\xfe"), str(d.User), str(d.Password)),
		"a CONNECT without user":              packet(0x10, str("MQTT"), []byte{4, 2, 0, 60}, str("nobody")),
		"a CONNECT with a client id of 60 KB": packet(0x10, str("MQTT"), []byte{4, 0xC2, 0, 60}, str(strings.Repeat("x", 60_000)), str(d.User), str(d.Password)),
		"a PUBLISH before CONNECT":            publish("s/us", []byte("100")),
		"a second CONNECT":                    with(connect),
		"a PUBLISH above 16,184 bytes":        with(publish("s/us", make([]byte, 16_184))),
		"a PUBLISH of 256 MB":                 with([]byte{0x32, 0xff, 0xff, 0xff, 0x7f}),
		"a PUBLISH to a wildcard":             with(publish("a/#", nil)),
		"a PUBLISH to no topic":               with(publish("", nil)),
		"a PUBLISH to broken UTF-8":           with(publish("a/\xff", nil)),
		"a PUBLISH to a NUL":                  with(publish("a/\x00", nil)),
		"a PUBLISH with QoS 3":                with(packet(0x36, str("a"), []byte{0, 1})),
		"a PUBLISH with packet id 0":          with(packet(0x32, str("a"), []byte{0, 0})),
		"a SUBSCRIBE to nothing":              with(packet(0x82, []byte{0, 1})),
		"a SUBSCRIBE with wrong flags":        with(packet(0x80, []byte{0, 1}, str("a"), []byte{0})),
		"a SUBSCRIBE with QoS 3":              with(packet(0x82, []byte{0, 1}, str("a"), []byte{3})),
		"a SUBSCRIBE with a broken wildcard":  with(packet(0x82, []byte{0, 1}, str("a#/b"), []byte{0})),
		"a packet of type 0":                  with([]byte{0, 0}),
		"a packet of type 15":                 with([]byte{0xf0, 0}),
		"a PINGREQ with a body":               with([]byte{0xc0, 1, 0}),
		"a CONNACK":                           with([]byte{0x20, 2, 0, 0}),
	} {
		out[name] = hostile{raw: raw}
	}
	connect5 := func(password string) []byte {
		return packet(0x10, str("MQTT"), []byte{5, 0xC2, 0, 60, 0}, str(d.Serial), str(d.User), str(password))
	}
	then5 := func(p ...[]byte) []byte { return bytes.Join(append([][]byte{connect5(d.Password)}, p...), nil) }
	publish5 := func(topic string, properties, payload []byte) []byte {
		return packet(0x32, str(topic), []byte{0, 1, byte(len(properties))}, properties, payload)
	}
	// MQTT 5.0 section 4.13: the reason is told before the end.
	for name, x := range map[string]hostile{
		"v9: a CONNECT":                    {packet(0x10, str("MQTT"), []byte{9, 2, 0, 60}, str("x")), 0x84},
		"v5: a wrong password":             {connect5("wrong"), 0x86},
		"v5: a PUBLISH above 16,184 bytes": {then5(publish5("s/us", nil, make([]byte, 16_184))), 0x95},
		"v5: a PUBLISH to a wildcard":      {then5(publish5("a/#", nil, nil)), 0x90},
		"v5: a PUBLISH with QoS 3":         {then5(packet(0x36, str("a"), []byte{0, 1, 0})), 0x81},
		"v5: a PUBLISH with alias 0":       {then5(publish5("a", []byte{0x23, 0, 0}, nil)), 0x94},
		"v5: a PUBLISH with alias 999":     {then5(publish5("a", []byte{0x23, 3, 0xe7}, nil)), 0x94},
		"v5: a second CONNECT":             {then5(connect5(d.Password)), 0x82},
		"v5: a property that there is not": {then5(publish5("a", []byte{0x7f, 0}, nil)), 0x81},
	} {
		out[name] = x
	}
	return out
}

// TestBadPackets writes broken MQTT. The server ends the connection within its time limits, and no other.
func TestBadPackets(t *testing.T) {
	t.Parallel() // it mostly waits
	s := rig.Start(t, rig.Options{})
	victim := s.Register(t, "victim-1")
	other := s.Connect(t, victim, "s/e")
	t.Run("all", func(t *testing.T) {
		n := 0
		for name := range packets(rig.Device{}) {
			n++
			p := packets(s.Register(t, fmt.Sprintf("packets-%d", n)))[name]
			t.Run(name, func(t *testing.T) {
				t.Parallel() // some of them end only by the time limit for CONNECT
				conn, err := net.DialTimeout("tcp", s.MQTT, 5*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				go func() { _, _ = conn.Write(p.raw) }()
				answer, err := io.ReadAll(io.LimitReader(conn, 1<<20))
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Errorf("still open, answer % x", answer)
				}
				switch {
				case p.reason == 0 && len(answer) > 4: // CONNACK is four bytes, and MQTT 3.1.1 says no more
					t.Errorf("answer % x", answer)
				case p.reason != 0 && reasonOf(answer) != p.reason:
					t.Errorf("answer % x, want the reason %#x", answer, p.reason)
				}
			})
		}
	})
	if !other.IsConnected() {
		t.Fatal("another device lost its connection")
	}
	other.Send(t, "s/us", "400,compat_Alive,x")
	alive(t, s, victim.ID)
}
