package c8yrest_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestUndoNeedsWhatTheChangeNeeds changes something of every kind, and lets people look at it and take it back who may and who may not.
func TestUndoNeedsWhatTheChangeNeeds(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	change := func(set, method, path, body string) {
		t.Helper()
		h := http.Header{"X-Isobar-Change-Set": {set}, "Content-Type": {"application/json"}}
		if a := s.send(t, "admin", method, fill(path, s.ids), h, fill(body, s.ids)); a.status >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
	}
	change("option", "PUT", "/tenant/options/c/credentials.k", `{"value":"open-sesame"}`)
	change("secret", "PUT", "/tenant/options/c/credentials.k", `{"value":"abracadabra"}`)
	change("alarm", "PUT", "/alarm/alarms/{alarm}", `{"status":"CLEARED"}`)
	change("event", "PUT", "/event/events/{event}", `{"text":"other"}`)
	change("link", "POST", "/inventory/managedObjects/{foreign}/childAssets", `{"managedObject":{"id":"{child}"}}`)
	change("far", "POST", "/inventory/managedObjects/{foreign}/childAssets", `{"managedObject":{"id":"{global}"}}`)
	change("operation", "PUT", "/devicecontrol/operations/{op}", `{"status":"FAILED"}`)
	change("mixed", "PUT", "/alarm/alarms/{alarm}", `{"text":"other"}`)
	change("mixed", "PUT", "/tenant/options/c/plain", `{"value":"v"}`)

	// per set: the status of reading it and of taking it back, for nobody special, a reader, and the owner of the device
	type people struct{ nothing, reader, owner [2]int }
	none, only, both := [2]int{404, 404}, [2]int{200, 403}, [2]int{200, 200}
	for set, want := range map[string]people{
		"option":    {none, only, none},
		"secret":    {none, only, none},
		"operation": {none, [2]int{200, 409}, [2]int{200, 409}},
		"far":       {[2]int{200, 403}, only, [2]int{200, 403}}, // the child is global
		"mixed":     {none, only, only},                         // the owner sees the alarm and not the option
		"alarm":     {none, [2]int{200, 409}, [2]int{200, 409}}, // changed by mixed since, which whoever sees it may know
		"event":     {none, only, both},
		"link":      {none, only, both}, // the child is the owner's
	} {
		for as, statuses := range map[string][2]int{"nothing:Secret-123": want.nothing, "reader:Secret-123": want.reader, s.as[owner]: want.owner} {
			a := s.send(t, as, "GET", "/isobar/changes/"+set, nil, "")
			if a.status != statuses[0] || strings.Contains(a.body, "sesame") || strings.Contains(a.body, "abra") || strings.Contains(a.body, "sealed") {
				t.Errorf("%s reads %s: %d, want %d: %.300s", as, set, a.status, statuses[0], a.body)
			}
			if statuses == both {
				continue
			}
			if a := s.send(t, as, "POST", "/isobar/changes/"+set+"/undo", nil, ""); a.status != statuses[1] {
				t.Errorf("%s takes back %s: %d, want %d: %.300s", as, set, a.status, statuses[1], a.body)
			}
		}
	}
	for _, set := range []string{"event", "link"} {
		if a := s.send(t, s.as[owner], "POST", "/isobar/changes/"+set+"/undo", nil, ""); a.status != 200 {
			t.Errorf("the owner takes back %s: %d %.300s", set, a.status, a.body)
		}
	}
	for _, path := range []string{"/isobar/changes?pageSize=100", "/isobar/changes?kind=option"} {
		if a := s.send(t, s.as[owner], "GET", path, nil, ""); strings.Contains(a.body, `"secret"`) {
			t.Errorf("the owner sees changes of options: %.300s", a.body)
		}
	}

	// A locked option stays, for the members of the tenant.
	s.must(t, "admin", "PUT", "/tenant/options/c/plain", `{"value":"w"}`)
	locked, _ := lookup([]byte(s.must(t, "admin", "GET", "/isobar/changes?kind=option", "").body), ".changeSets.0.id")
	if a := s.send(t, "management", "PUT", "/tenant/options/c/plain/editable?targetTenant=main", http.Header{"Content-Type": {"application/json"}}, `{"editable":false}`); a.status >= 300 {
		t.Fatalf("the option could not be locked: %d %s", a.status, a.body)
	}
	if a := s.send(t, "admin", "POST", "/isobar/changes/"+locked+"/undo", nil, ""); a.status != 403 || !strings.Contains(a.body, "not editable") {
		t.Errorf("took back a change of a locked option: %d %s", a.status, a.body)
	}
}
