package compat_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestRevocation takes rights away from who is connected. Each way in must end within a second, not only new logins.
func TestRevocation(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	admin := s.Admin()
	d := s.Register(t, "revoked-source")
	user := func(t *testing.T, name string) rig.User {
		t.Helper()
		admin.Want(t, 201, "POST", "/user/main/users", map[string]any{"userName": name, "password": "Compat-User-1!", "email": name + "@example.com"}, nil)
		admin.Want(t, 201, "POST", "/user/main/groups/1/users", map[string]any{"user": map[string]string{"self": s.URL + "/user/main/users/" + name}}, nil)
		return rig.User{URL: s.URL, Name: "main/" + name, Password: "Compat-User-1!"}
	}
	ends := map[string]func(t *testing.T, name string){
		"deleted": func(t *testing.T, name string) { // who owns objects cannot be deleted: they go to somebody else before
			admin.Each(t, "/inventory/managedObjects?owner="+name, "managedObjects", func(raw json.RawMessage) {
				var mo struct{ ID string }
				if err := json.Unmarshal(raw, &mo); err != nil {
					t.Fatal(err)
				}
				admin.Want(t, 200, "PUT", "/inventory/managedObjects/"+mo.ID, map[string]any{"owner": "admin"}, nil)
			})
			admin.Want(t, 204, "DELETE", "/user/main/users/"+name, nil, nil)
		},
		"disabled": func(t *testing.T, name string) {
			admin.Want(t, 200, "PUT", "/user/main/users/"+name, map[string]any{"enabled": false}, nil)
		},
	}
	for how, end := range ends {
		t.Run("the MQTT connection of a device whose user is "+how, func(t *testing.T) {
			device := s.Register(t, "revoked-"+how)
			c := s.Connect(t, device)
			c.Send(t, "s/us", "400,compat_Before,x")
			end(t, "device_"+device.Serial)
			began := time.Now()
			rig.Eventually(t, "the connection to end", func() bool { return !c.IsConnected() })
			if took := time.Since(began); took > time.Second {
				t.Errorf("it ended after %s", took)
			}
		})
		t.Run("the token of a user who is "+how, func(t *testing.T) {
			u := user(t, "token-"+how)
			form := url.Values{"grant_type": {"PASSWORD"}, "username": {"token-" + how}, "password": {u.Password}}.Encode()
			a, err := rig.User{URL: s.URL}.Do("POST", "/tenant/oauth/token?tenant_id=main", form, "Content-Type", "application/x-www-form-urlencoded")
			var login struct {
				Token string `json:"access_token"`
			}
			if err != nil || json.Unmarshal(a.Body, &login) != nil || login.Token == "" {
				t.Fatalf("%v, status %d: %s", err, a.Status, a.Body)
			}
			status := func() int {
				a, err := rig.User{URL: s.URL}.Do("GET", "/inventory/managedObjects", nil, "Authorization", "Bearer "+login.Token)
				if err != nil {
					t.Fatal(err)
				}
				return a.Status
			}
			if got := status(); got != 200 {
				t.Fatalf("before: %d", got)
			}
			end(t, "token-"+how)
			if got := status(); got != 401 {
				t.Errorf("after: status %d", got)
			}
		})
		t.Run("the realtime session of a user who is "+how, func(t *testing.T) {
			u := user(t, "live-"+how)
			theirs, ours := listen(t, u, "/events/"+d.ID), listen(t, admin, "/events/"+d.ID)
			send := func() {
				admin.Create(t, "/event/events", map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Live", "text": "x", "time": "2026-01-01T00:00:00Z"})
				ours.next()
			}
			send()
			theirs.next()
			end(t, "live-"+how)
			late := time.Now().Add(time.Second)
			for time.Now().Before(late) { // within this second it may still get something
				send()
			}
			for len(theirs.data) > 0 {
				<-theirs.data
			}
			for range 20 {
				send()
			}
			if n := len(theirs.data); n > 0 {
				t.Errorf("it received %d events that were made a second later", n)
			}
		})
	}
	noDefects(t, s)
}
