package simulator

import (
	"reflect"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/smartrest"
)

func TestParseOperation(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       operation
		ok         bool
	}{
		{"restart", "510,dev1", operation{target: "dev1", fragment: "c8y_Restart", args: []string{}}, true},
		{"command", `511,dev1,"leak slow"`, operation{target: "dev1", fragment: "c8y_Command", args: []string{"leak slow"}}, true},
		{"relay of a child", "518,dev1-valve,CLOSED", operation{target: "dev1-valve", fragment: "c8y_Relay", args: []string{"CLOSED"}}, true},
		{"firmware, which is refused later", "515,dev1,core,2,", operation{target: "dev1", fragment: "c8y_Firmware", args: []string{"core", "2", ""}}, true},
		{"reply to 105 is no operation", "106,child1,child2", operation{}, false},
		{"no target", "510", operation{}, false},
		{"empty target", "510,", operation{}, false},
	} {
		got, ok := parseOperation(smartrest.Parse(c.line)[0])
		if ok != c.ok || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, ok)
		}
	}
}

func TestOutboxSharesPublishesAndDropsTheOldest(t *testing.T) {
	var o outbox
	o.line("200", "a")
	o.child("c", "200", "b")
	o.line("200", "c")
	if len(o.queue) != 2 || o.queue[0].payload != "200,a\n200,c" {
		t.Errorf("%+v", o.queue)
	}
	long := strings.Repeat("x", 10_000)
	o.line("400", long)
	o.line("400", long)
	if len(o.queue) != 3 {
		t.Errorf("%d publishes", len(o.queue))
	}
	for range 2 * maxQueued {
		o.line("400", long)
	}
	if len(o.queue) != maxQueued || o.dropped == 0 {
		t.Errorf("%d kept, %d dropped", len(o.queue), o.dropped)
	}
}
