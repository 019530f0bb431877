package compat_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// natsServer starts a NATS server that is not ours and returns its URL.
func natsServer(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	t.Cleanup(s.Shutdown)
	return s.ClientURL()
}

// bayeux is a realtime session over WebSocket.
type bayeux struct {
	t    *testing.T
	conn *websocket.Conn
	id   string
	data chan map[string]any
}

// listen subscribes to a channel and returns when the subscription is confirmed.
func listen(t *testing.T, u rig.User, channel string) *bayeux {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	conn, _, err := websocket.Dial(ctx, strings.Replace(u.URL, "http", "ws", 1)+"/notification/realtime", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { cancel(); _ = conn.CloseNow() })
	b := &bayeux{t: t, conn: conn, data: make(chan map[string]any, 10_000)}
	token := base64.StdEncoding.EncodeToString([]byte(u.Name + ":" + u.Password))
	b.call(ctx, map[string]any{"id": "1", "channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0", "supportedConnectionTypes": []string{"websocket"},
		"ext": map[string]any{"com.cumulocity.authn": map[string]string{"token": token}}})
	b.call(ctx, map[string]any{"id": "2", "channel": "/meta/subscribe", "clientId": b.id, "subscription": channel})
	if err := wsjson.Write(ctx, conn, []any{map[string]any{"id": "3", "channel": "/meta/connect", "clientId": b.id, "connectionType": "websocket"}}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			var messages []map[string]any
			if wsjson.Read(ctx, conn, &messages) != nil {
				return
			}
			for _, m := range messages {
				if on, _ := m["channel"].(string); strings.HasPrefix(on, strings.TrimSuffix(channel, "*")) {
					b.data <- m
				}
			}
		}
	}()
	return b
}

func (b *bayeux) call(ctx context.Context, m map[string]any) {
	b.t.Helper()
	if err := wsjson.Write(ctx, b.conn, []any{m}); err != nil {
		b.t.Fatal(err)
	}
	for {
		var answers []map[string]any
		if err := wsjson.Read(ctx, b.conn, &answers); err != nil {
			b.t.Fatal(err)
		}
		for _, a := range answers {
			if a["id"] != m["id"] {
				continue
			}
			if a["successful"] != true {
				b.t.Fatalf("%v: %v", m["channel"], a)
			}
			if id, ok := a["clientId"].(string); ok {
				b.id = id
			}
			return
		}
	}
}

// next returns the inner object of the next message of the channel.
func (b *bayeux) next() (action string, data map[string]any) {
	b.t.Helper()
	select {
	case m := <-b.data:
		outer, _ := m["data"].(map[string]any)
		inner, _ := outer["data"].(map[string]any)
		action, _ = outer["realtimeAction"].(string)
		return action, inner
	case <-time.After(10 * time.Second):
		b.t.Fatal("no realtime message arrived")
		return "", nil
	}
}

// TestTwoNodes runs two platforms on one PostgreSQL and one NATS server: what one of them is told, the other one knows.
func TestTwoNodes(t *testing.T) {
	postgres, nats := rig.Postgres(t), natsServer(t)
	a := rig.Start(t, rig.Options{Postgres: postgres, NATS: nats})
	b := rig.Start(t, rig.Options{Postgres: postgres, NATS: nats})
	d := a.Register(t, "cluster-1")
	onA, onB := a.Admin(), b.Admin()

	t.Run("an operation made on A reaches the device at B, and A knows how it ends", func(t *testing.T) {
		device := b.Connect(t, d, "s/ds")
		device.Send(t, "s/us", "114,c8y_Restart")
		id := onA.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": d.ID, "c8y_Restart": map[string]any{}})
		if got := strings.TrimSpace(device.Next(t, "s/ds")); got != "510,"+d.Serial {
			t.Fatalf("s/ds: %q", got)
		}
		device.Send(t, "s/us", "501,c8y_Restart\n503,c8y_Restart")
		var op rig.Object
		onA.Want(t, 200, "GET", "/devicecontrol/operations/"+id, nil, &op)
		if op.Status != "SUCCESSFUL" {
			t.Errorf("the operation is %s", op.Status)
		}
		device.Disconnect(100)
	})

	t.Run("what is sent to B is live on A", func(t *testing.T) {
		live := map[string]*bayeux{}
		for _, channel := range []string{"measurements", "events", "alarms", "managedobjects"} {
			live[channel] = listen(t, onA, "/"+channel+"/"+d.ID)
		}
		device := b.Connect(t, d)
		device.Send(t, "s/us", "200,compat_Cluster,x,42\n400,compat_Cluster,hello\n301,compat_Cluster,hot")
		action, m := live["measurements"].next()
		raw, _ := json.Marshal(m["compat_Cluster"])
		if action != "CREATE" || !strings.Contains(string(raw), "42") {
			t.Errorf("measurement: %s %s", action, raw)
		}
		if action, e := live["events"].next(); action != "CREATE" || e["text"] != "hello" {
			t.Errorf("event: %s %v", action, e)
		}
		if action, e := live["alarms"].next(); action != "CREATE" || e["type"] != "compat_Cluster" {
			t.Errorf("alarm: %s %v", action, e)
		}
		onB.Want(t, 200, "PUT", "/inventory/managedObjects/"+d.ID, map[string]any{"compat_Marker": "from B"}, nil)
		for {
			if action, o := live["managedobjects"].next(); action == "UPDATE" && o["compat_Marker"] == "from B" {
				break
			}
		}
		device.Disconnect(100)
	})

	t.Run("a change of a user on A ends what B remembers of the credentials", func(t *testing.T) {
		onA.Want(t, 201, "POST", "/user/main/users", map[string]any{"userName": "cluster-user", "password": "First-Secret-1!", "email": "c@example.com", "groups": nil}, nil)
		admins := map[string]any{"user": map[string]string{"self": a.URL + "/user/main/users/cluster-user"}}
		onA.Want(t, 201, "POST", "/user/main/groups/2/users", admins, nil)
		me := rig.User{URL: b.URL, Name: "main/cluster-user", Password: "First-Secret-1!"}
		status := func(u rig.User) int {
			answer, err := u.Do("GET", "/inventory/managedObjects?pageSize=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			return answer.Status
		}
		for range 3 { // so that B remembers them
			if got := status(me); got != 200 {
				t.Fatalf("before: %d", got)
			}
		}
		onA.Want(t, 200, "PUT", "/user/main/users/cluster-user", map[string]any{"password": "Second-Secret-2!"}, nil)
		began := time.Now()
		rig.Eventually(t, "the old password to be refused on B", func() bool { return status(me) == 401 })
		if took := time.Since(began); took > time.Second {
			t.Errorf("the old password worked for %s", took)
		}
		me.Password = "Second-Secret-2!"
		if got := status(me); got != 200 {
			t.Errorf("the new password: %d", got)
		}
		onA.Want(t, 200, "PUT", "/user/main/users/cluster-user", map[string]any{"enabled": false}, nil)
		rig.Eventually(t, "the disabled user to be refused on B", func() bool { return status(me) == 401 })
	})

	t.Run("an alarm raised on both at the same time is one alarm", func(t *testing.T) {
		errs := make(chan error, 20)
		for i := range cap(errs) {
			u := onA
			if i%2 == 1 {
				u = onB
			}
			go func() {
				_, err := u.Do("POST", "/alarm/alarms", map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Race", "text": "x", "severity": "MAJOR", "time": "2026-01-01T00:00:00Z"})
				errs <- err
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		var got struct{ Alarms []struct{ Count int } }
		onA.Want(t, 200, "GET", "/alarm/alarms?pageSize=100&type=compat_Race&source="+d.ID, nil, &got)
		if len(got.Alarms) != 1 || got.Alarms[0].Count != cap(errs) {
			t.Errorf("alarms: %+v, want one with count %d", got.Alarms, cap(errs))
		}
	})

	t.Run("when A dies, B goes on", func(t *testing.T) {
		a.Kill()
		device := b.Connect(t, d, "s/ds")
		device.Send(t, "s/us", "400,compat_After,still here")
		onB.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": d.ID, "c8y_Restart": map[string]any{}})
		if got := strings.TrimSpace(device.Next(t, "s/ds")); got != "510,"+d.Serial {
			t.Fatalf("s/ds: %q", got)
		}
	})
	noDefects(t, a)
	noDefects(t, b)
}
