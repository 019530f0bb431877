package session

import (
	"reflect"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

func sample() Entry {
	return Entry{QoS: 2, Retain: true, SubscriptionIDs: []uint32{1, 1 << 27}, Message: &Message{
		Topic: "a/b", Payload: []byte{0, 255}, QoS: 2, Retain: true, PayloadFormat: 1, ContentType: "c", ResponseTopic: "r",
		CorrelationData: []byte{7}, User: []packet.UserProperty{{Key: "k", Value: "v"}}, ExpiresAt: time.Unix(1_800_000_000, 0),
	}}
}

func TestEntryIsReadBackAsWritten(t *testing.T) {
	for _, e := range []Entry{sample(), {QoS: 1, Message: &Message{Topic: "t", Payload: []byte("p")}}} {
		got, err := DecodeEntry(AppendEntry(nil, &e))
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("got %+v %+v, %v", got, got.Message, err)
		}
	}
}

func TestEntryThatIsCutOffIsCorrupt(t *testing.T) {
	e := sample()
	e.Message.Payload = nil
	b := AppendEntry(nil, &e)
	for n := range b {
		if _, err := DecodeEntry(b[:n]); err == nil {
			t.Fatalf("cut at %d is taken", n)
		}
	}
}

// FuzzDecodeEntry: stored bytes of any kind must not panic or make us allocate without end.
func FuzzDecodeEntry(f *testing.F) {
	e := sample()
	f.Add(AppendEntry(nil, &e))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			return
		}
		if again, err := DecodeEntry(AppendEntry(nil, &e)); err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}
