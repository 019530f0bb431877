package compat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// engines are what a platform stores its data with.
var engines = []struct {
	name    string
	options func(t *testing.T) rig.Options
}{
	{"SQLite and Pebble", func(t *testing.T) rig.Options { return rig.Options{Data: t.TempDir()} }},
	{"PostgreSQL", func(t *testing.T) rig.Options { return rig.Options{Data: t.TempDir(), Postgres: rig.Postgres(t)} }},
}

// noDefects fails the test if the server's log tells of a defect of ours.
func noDefects(t *testing.T, s *rig.Server) {
	t.Helper()
	for line := range strings.Lines(s.Err.String()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "level=ERROR") || strings.Contains(line, "DATA RACE") {
			t.Errorf("the log says: %s", line)
		}
	}
}

type jsonRaw = json.RawMessage

// text returns the text of an event.
func text(t *testing.T, raw jsonRaw) string {
	t.Helper()
	var e struct{ Text string }
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e.Text
}
