package bus_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
)

func open(t *testing.T, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(bus.Config{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func roundTrip(t *testing.T, from, to *bus.Bus) {
	t.Helper()
	got := make(chan string, 10)
	stop, err := to.Subscribe(bus.All("event", ">"), func(tenant iot.TenantID, subject string, data []byte) {
		if string(data) == "panic" {
			panic("boom")
		}
		got <- string(tenant) + " " + subject + " " + string(data)
	})
	if err != nil {
		t.Fatal(err)
	}
	from.Publish(bus.Subject("a", "event", "CREATE", "1"), []byte("panic"))
	from.Publish(bus.Subject("a", "event", "CREATE", "x y.z"), []byte("hello"))
	from.Publish(bus.Subject("a", "alarm", "CREATE", "1"), []byte("not for us"))
	select {
	case s := <-got:
		if s != "a isobar.a.event.CREATE.x_y_z hello" {
			t.Errorf("got %q", s)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("nothing arrived")
	}
	stop()
}

func TestEmbedded(t *testing.T) {
	a, b := open(t, ""), open(t, "")
	roundTrip(t, a, a)
	roundTrip(t, b, b) // two platforms live in one process
}

func TestExternalServerJoinsTwoNodes(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(5 * time.Second) {
		t.Fatal("NATS did not start")
	}
	defer s.Shutdown()
	roundTrip(t, open(t, s.ClientURL()), open(t, s.ClientURL()))
}
