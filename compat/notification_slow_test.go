package compat_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

const (
	slowTopics = 5
	slowBytes  = 10 << 10 // of a fact
	// slowMemory bounds the resident memory of the program, in MiB, with any number of consumers that read nothing: twice the 256 MiB that they may hold, and what it takes itself.
	slowMemory = 800
)

// TestConsumersThatReadNothing lets facts come for consumers that read nothing. The memory stays bounded, and those that read later get everything, once and in order.
func TestConsumersThatReadNothing(t *testing.T) {
	facts, consumers := size(t, "ISOBAR_SLOW_FACTS", 2_000, 500), size(t, "ISOBAR_SLOW_CONSUMERS", 50, 10)
	if facts > slowTopics*24_000 {
		t.Fatalf("a topic keeps 256 MiB: at most %d facts", slowTopics*24_000)
	}
	server := rig.Start(t, rig.Options{Args: unlimited})
	admin := server.Admin()
	var devices []string
	for i := range slowTopics {
		d := admin.Create(t, "/inventory/managedObjects", map[string]any{"name": fmt.Sprint("slow", i), "c8y_IsDevice": map[string]any{}})
		devices = append(devices, d)
		subscribeTo(t, server, map[string]any{"context": "mo", "source": map[string]string{"id": d}, "subscription": fmt.Sprint("slow", i), "subscriptionFilter": map[string]any{"apis": []string{"events"}}})
	}
	connect := func(i int) *websocket.Conn {
		token := tokenOf(t, server, map[string]any{"subscription": fmt.Sprint("slow", i%slowTopics), "subscriber": fmt.Sprint("s", i)})
		conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/notification2/consumer/?token="+token, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadLimit(1 << 20)
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn
	}
	var conns []*websocket.Conn
	for i := range consumers {
		conns = append(conns, connect(i))
	}
	began, before := time.Now(), rssOf(server)
	most := publishFacts(t, server, devices, facts)
	t.Logf("%d facts of %d bytes for %d consumers in %s: %d MiB resident before, at most %d MiB meanwhile", facts, slowBytes, consumers, time.Since(began).Round(time.Second), before, most)
	var wg sync.WaitGroup
	for i, conn := range conns[:min(2*slowTopics, consumers)] { // two of each topic catch up
		wg.Go(func() { catchUp(t, conn, i%slowTopics, facts/slowTopics) })
	}
	wg.Wait()
	if now := rssOf(server); max(most, now) > slowMemory {
		t.Errorf("%d MiB are resident, and were %d MiB: more than %d MiB", now, most, slowMemory)
	} else {
		t.Logf("caught up after %s, %d MiB resident", time.Since(began).Round(time.Second), now)
	}
	noDefects(t, server)
}

// publishFacts publishes numbered events from one writer for each device, and returns how much memory was resident at most.
func publishFacts(t *testing.T, server *rig.Server, devices []string, facts int) (most int) {
	t.Helper()
	admin, filler := server.Admin(), strings.Repeat("x", slowBytes)
	var wg sync.WaitGroup
	var failed atomic.Bool
	done := make(chan struct{})
	for i, d := range devices {
		wg.Go(func() {
			for n := range facts / len(devices) {
				a, err := admin.Do("POST", "/event/events", map[string]any{"source": map[string]string{"id": d}, "type": "compat_Slow", "text": strconv.Itoa(n), "time": "2026-01-01T00:00:00Z", "compat_Fill": filler})
				if err != nil || a.Status != 201 {
					t.Errorf("event %d of %d: %v %d %s", n, i, err, a.Status, a.Body)
					failed.Store(true)
				}
				if failed.Load() {
					return
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return max(most, rssOf(server))
		case <-time.After(100 * time.Millisecond):
			most = max(most, rssOf(server))
		}
	}
}

// catchUp reads and acknowledges the events of a topic until it has all of them.
func catchUp(t *testing.T, conn *websocket.Conn, topic, facts int) {
	for want := range facts {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_, frame, err := conn.Read(ctx)
		cancel()
		if err != nil {
			t.Errorf("topic %d, after %d events: %v", topic, want, err)
			return
		}
		n, err := parseNote(frame)
		if err != nil || n.marker() != strconv.Itoa(want) {
			t.Errorf("topic %d: event %s instead of %d: %v", topic, n.marker(), want, err)
			return
		}
		if err := conn.Write(context.Background(), websocket.MessageText, []byte(n.ack)); err != nil {
			t.Errorf("topic %d, event %d: %v", topic, want, err)
			return
		}
	}
}
