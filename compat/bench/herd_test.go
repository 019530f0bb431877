package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// choosyGate refuses who is not called "d-" and a number.
type choosyGate struct{ openGate }

func (g choosyGate) Connect(ctx context.Context, r *mqtt.ConnectRequest) (mqtt.Handler, error) {
	if !strings.HasPrefix(r.ClientID, "d-") || string(r.Password) != "of "+r.ClientID {
		return nil, &mqtt.Refusal{Reason: packet.NotAuthorized}
	}
	return g.openGate.Connect(ctx, r)
}

func TestAFleetThatComesBackCountsWhoIsServedAndWhoIsNot(t *testing.T) {
	s, err := mqtt.New(mqtt.Config{Gate: choosyGate{}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(context.Background(), l) //nolint:errcheck // It ends with the test.
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	logins := []loadgen.Login{{ClientID: "stranger", User: "main/u", Password: "of stranger"}}
	for i := range 20 {
		id := fmt.Sprint("d-", i)
		logins = append(logins, loadgen.Login{ClientID: id, User: "main/u", Password: "of " + id})
	}
	r := loadgen.ComeBack(l.Addr().String(), logins, time.Minute)
	if r.Refused != 1 || r.First == nil || !strings.Contains(r.First.Error(), "stranger") || r.Served.Count() != 20 {
		t.Errorf("%d refused (%v), %d served; want 1 and 20", r.Refused, r.First, r.Served.Count())
	}
	if r.Last <= 0 || r.Last < r.Served.Quantile(0.5)/2 {
		t.Errorf("the last was served after %s, half of them after %s", r.Last, r.Served.Quantile(0.5))
	}
	r.Close()
	if late := loadgen.ComeBack(l.Addr().String(), logins[1:3], 0); late.Refused != 2 {
		t.Errorf("without time %d of 2 were refused", late.Refused)
	}
}

func TestALimitOnFilesThatIsTooLowIsSaid(t *testing.T) {
	if err := loadgen.RaiseFiles(10); err != nil {
		t.Error(err)
	}
	err := loadgen.RaiseFiles(1 << 40)
	if err == nil {
		t.Skip("there is no limit here")
	}
	if !strings.Contains(err.Error(), "hard limit") {
		t.Errorf("%v does not say what stands in the way", err)
	}
}
