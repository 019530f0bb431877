package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/kit/seal"
)

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSeal(t *testing.T) {
	for name, x := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string // a part of the only line; empty: no damage
	}{
		"nothing":                   {func(*testing.T, string) {}, ""},
		"another file":              {func(t *testing.T, dir string) { write(t, dir, "keys/a.pem", "new") }, ""},
		"a byte":                    {func(t *testing.T, dir string) { write(t, dir, "db", "abX") }, "db was changed"},
		"the length":                {func(t *testing.T, dir string) { write(t, dir, "db", "ab") }, "db has 2 bytes instead of 3"},
		"deeper":                    {func(t *testing.T, dir string) { write(t, dir, "store/log", "lag") }, "store/log was changed"},
		"a file with own sums":      {func(t *testing.T, dir string) { write(t, dir, "store/1.sst", "tXbles") }, ""},
		"its length":                {func(t *testing.T, dir string) { write(t, dir, "store/1.sst", "table") }, "store/1.sst has 5 bytes"},
		"a file gone":               {func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "store/1.sst")) }, "store/1.sst is missing"},
		"the seal":                  {func(t *testing.T, dir string) { write(t, dir, seal.Name, "{") }, "seal.json is damaged"},
		"a file taken off the seal": {func(t *testing.T, dir string) { write(t, dir, seal.Name, `{"files":[],"sum":1}`) }, "seal.json is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "db", "abc")
			write(t, dir, "store/log", "log")
			write(t, dir, "store/1.sst", "tables")
			write(t, dir, "keys/a.pem", "old")
			if err := seal.Write(dir, []string{"db", "store", "none"}, ".sst"); err != nil {
				t.Fatal(err)
			}
			x.change(t, dir)
			damage, sealed, err := seal.Check(dir)
			if err != nil || !sealed {
				t.Fatal(sealed, err)
			}
			if got := strings.Join(damage, "\n"); x.want == "" && got != "" || x.want != "" && (len(damage) != 1 || !strings.Contains(got, x.want)) {
				t.Errorf("got %q, want %q", got, x.want)
			}
			if err := seal.Break(dir); err != nil {
				t.Fatal(err)
			}
			if _, sealed, err := seal.Check(dir); sealed || err != nil {
				t.Error("still sealed", err)
			}
		})
	}
}
