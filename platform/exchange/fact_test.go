package exchange

import (
	"bytes"
	"testing"

	"github.com/isobar-iot/isobar/iot"
)

// FuzzDecodeNotification: what lies in a stream is read or refused, and what is read is written as it was.
func FuzzDecodeNotification(f *testing.F) {
	n := Notification{API: Events, Action: iot.Created, Source: 7, Doc: []byte("{\"a\":\n1}")}
	f.Add(n.encode())
	for _, s := range []string{"", "\n\n\n", "events\nCREATE\n7\n", "events\nCREATE\n007\n{}", "events\nCREATE\n-7\n{}", "a\nb\n99999999999999999999\nc"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeNotification(3, b)
		if n.ID != 3 {
			t.Errorf("the number is %d", n.ID)
		}
		if err != nil {
			return
		}
		again, err := decodeNotification(3, n.encode())
		if err != nil || again.API != n.API || again.Action != n.Action || again.Source != n.Source || !bytes.Equal(again.Doc, n.Doc) {
			t.Errorf("%q is read as %+v, and what is written of it as %+v, %v", b, n, again, err)
		}
	})
}

// FuzzDecode: a note of any content is read or refused.
func FuzzDecode(f *testing.F) {
	for _, kind := range []string{"inventory", "event", "alarm", "operation", "measurement", "other"} {
		f.Add("isobar.t."+kind+".CREATE.1", []byte(`{"Action":"CREATE","Object":{"ID":1},"Event":{},"Alarm":{},"Operation":{},"Measurements":[{"Source":1,"Time":5,"Type":"t"}]}`))
	}
	f.Add("", []byte("{"))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		facts, err := decode(subject, data)
		if err != nil {
			return
		}
		for i := range facts {
			for _, keep := range [][]string{nil, {"x"}, nil} { // one after the other: none changes what the next gets
				if _, err := facts[i].doc(keep); err != nil {
					t.Skip()
				}
			}
		}
	})
}
