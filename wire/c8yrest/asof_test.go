package c8yrest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// TestNothingAnswersWithThePresentUnderATime walks all routes: asOf is either understood or refused.
func TestNothingAnswersWithThePresentUnderATime(t *testing.T) {
	s := start(t)
	understood := 0
	for _, rt := range c8yrest.Routes() {
		if rt.Dated || rt.Passing {
			understood++
			continue
		}
		path := placeholder.ReplaceAllString(rt.Path, "1")
		if a := s.send(t, "admin", rt.Method, path+"?asOf=2020-01-01", nil, ""); a.status != 422 || !strings.Contains(a.body, "asOf") {
			t.Errorf("%s %s: %d %s", rt.Method, rt.Path, a.status, a.body)
		}
	}
	if understood != 19 {
		t.Errorf("%d routes take the parameter", understood)
	}
}

// TestReadsOfThePast changes documents and reads what they were, at the times that the answers name.
func TestReadsOfThePast(t *testing.T) {
	s := start(t)
	made := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"one","type":"acme_Was"}`, "Accept", "application/json")
	id, _ := lookup([]byte(made.body), ".id")
	born, _ := lookup([]byte(made.body), ".lastUpdated")
	path := "/inventory/managedObjects/" + id
	later := func(change func() answer) string { // changes until the clock has moved on
		for deadline := time.Now().Add(10 * time.Second); ; {
			at, _ := lookup([]byte(change().body), ".lastUpdated")
			if at != born && at != "" {
				return at
			}
			if time.Now().After(deadline) {
				t.Fatal("the clock stands still")
			}
		}
	}
	n := 0
	changed := later(func() answer {
		n++
		return s.must(t, 200, "PUT", path, `{"type":"acme_Is","n":`+strings.Repeat("1", n)+`}`, "Accept", "application/json")
	})
	at := func(text string) string { return "asOf=" + strings.ReplaceAll(text, "+", "%2B") }
	for query, want := range map[string]string{
		"?type=acme_Was&" + at(born): id, "?type=acme_Was&" + at(changed): "", "?type=acme_Is&" + at(born): "", "?type=acme_Is&" + at(changed): id,
		"?type=acme_Was&ids=" + id + "&" + at(born): id, "?type=acme_Is&ids=" + id + "&" + at(born): "",
	} {
		a := s.send(t, "admin", "GET", "/inventory/managedObjects"+query, nil, "")
		got, _ := lookup([]byte(a.body), ".managedObjects.0.id")
		if a.status != http.StatusOK || got != want {
			t.Errorf("%s: %d %q, want %q", query, a.status, got, want)
		}
		count := s.send(t, "admin", "GET", "/inventory/managedObjects/count"+query, nil, "")
		if wanted := map[bool]string{true: "1", false: "0"}[want != ""]; count.status != http.StatusOK || strings.TrimSpace(count.body) != wanted {
			t.Errorf("count%s: %d %s, want %s", query, count.status, count.body, wanted)
		}
	}
	s.must(t, 200, "POST", "/tenant/options", `{"category":"c","key":"credentials.k","value":"open-sesame"}`)
	s.must(t, 200, "POST", "/tenant/options", `{"category":"c","key":"credentials.k","value":"abracadabra"}`)
	for _, o := range []string{"/tenant/options", "/tenant/options/c", "/tenant/options/c/credentials.k"} {
		for _, when := range []string{iot.FormatTime(time.Now()), "2099-01-01"} {
			a := s.send(t, "admin", "GET", o+"?"+at(when), nil, "")
			if a.status != http.StatusOK || !strings.Contains(a.body, "Encrypted") || strings.Contains(a.body, "sesame") || strings.Contains(a.body, "abra") || strings.Contains(a.body, "sealed") {
				t.Errorf("%s as of %s: %d %s", o, when, a.status, a.body)
			}
		}
	}
}
