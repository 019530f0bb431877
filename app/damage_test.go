package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/app"
	"github.com/isobar-iot/isobar/kit/seal"
)

// rounds is how many damages a test does: ISOBAR_SOAK_DAMAGE, or what is usual.
func rounds(t *testing.T, usual int) int {
	if v := os.Getenv("ISOBAR_SOAK_DAMAGE"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("ISOBAR_SOAK_DAMAGE=%q is not a number from 1", v)
		}
		return n
	}
	return usual
}

func run(data string) (*app.Platform, error) {
	return app.Start(context.Background(), app.Config{Data: data, HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: adminPassword},
		slog.New(slog.DiscardHandler))
}

// ask sends a request as administrator and returns the status and the body, without the address of the server.
func ask(t *testing.T, pf *app.Platform, method, path, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+pf.Addr("http")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("main/admin", adminPassword)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.ReplaceAll(string(raw), pf.Addr("http"), "HOST")
}

// questions are what is read and compared.
var questions = []string{"/measurement/measurements?pageSize=2000", "/event/events?pageSize=2000", "/alarm/alarms?pageSize=2000", "/inventory/managedObjects?pageSize=2000",
	"/devicecontrol/operations?pageSize=2000", "/user/main/users?pageSize=2000"}

// folder makes a data folder with a little of everything, stopped cleanly, with tables as well as logs.
func folder(t *testing.T) (data string, want map[string]string) {
	t.Helper()
	data, want = t.TempDir(), map[string]string{}
	for life := range 3 {
		pf, err := run(data)
		if err != nil {
			t.Fatal(err)
		}
		status, made := ask(t, pf, "POST", "/inventory/managedObjects", fmt.Sprintf(`{"name":"pump %d","type":"test","com_cumulocity_model_Agent":{},"c8y_IsDevice":{}}`, life))
		var o struct{ ID string }
		if err := json.Unmarshal([]byte(made), &o); err != nil || status != 201 {
			t.Fatal(status, made)
		}
		for i := range 60 {
			at := time.UnixMilli(1_770_000_000_000 + int64(i)*1000).UTC().Format(time.RFC3339Nano)
			for path, body := range map[string]string{
				"/measurement/measurements": `{"source":{"id":"%s"},"type":"t","time":"%s","t":{"v":{"value":%d,"unit":"C"}}}`,
				"/event/events":             `{"source":{"id":"%s"},"type":"t","time":"%s","text":"event %d"}`,
				"/alarm/alarms":             `{"source":{"id":"%s"},"severity":"MAJOR","time":"%s","text":"x","type":"t%d"}`,
			} {
				if status, made := ask(t, pf, "POST", path, fmt.Sprintf(body, o.ID, at, i)); status != 201 {
					t.Fatal(status, made)
				}
			}
		}
		for _, q := range questions {
			_, want[q] = ask(t, pf, "GET", q, "")
		}
		if err := pf.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	return data, want
}

// outcome of a damage.
type outcome string

const (
	refused  outcome = "refused at the start"
	told     outcome = "told by an error"
	harmless outcome = "harmless"
	wrong    outcome = "WRONG ANSWERS"
)

// consequence starts a platform on a folder and compares what it answers.
func consequence(t *testing.T, data string, want map[string]string) (out outcome, how string) {
	t.Helper()
	pf, err := run(data)
	if err != nil {
		return refused, err.Error()
	}
	defer pf.Stop()
	out = harmless
	for _, q := range questions {
		status, got := ask(t, pf, "GET", q, "")
		switch {
		case status >= 500 || status == http.StatusUnauthorized: // who cannot log in any more is not told anything wrong
			out = told
		case got != want[q]:
			return wrong, fmt.Sprintf("%s: %d\n%.300s\nwant\n%.300s", q, status, got, want[q])
		}
	}
	return out, ""
}

// damage does something to one file and says what.
func damage(t *testing.T, rnd *rand.Rand, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 {
		b = []byte{0}
	}
	what := ""
	switch rnd.IntN(4) {
	case 0:
		n := rnd.IntN(len(b))
		b, what = b[:n], fmt.Sprintf("cut to %d of %d bytes", n, len(b))
	case 1: // a torn write: a block is what it was before it was written, or never was
		at := rnd.IntN(len(b))
		end := min(len(b), at+1+rnd.IntN(4096))
		clear(b[at:end])
		what = fmt.Sprintf("zero from %d to %d of %d", at, end, len(b))
	default:
		bit := rnd.IntN(len(b) * 8)
		b[bit/8] ^= 1 << (bit % 8)
		what = fmt.Sprintf("bit %d of %d bytes", bit, len(b))
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return what
}

// duplicate copies a folder with its permissions.
func duplicate(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range stored(t, from) {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700), os.WriteFile(filepath.Join(to, name), b, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stored lists the files of a folder that hold something.
func stored(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if d.Name() == "ballast" || d.Name() == "LOCK" {
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		names = append(names, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestVerify lets the command look at a whole folder, at one with a changed database, and at one with a changed table and no seal.
func TestVerify(t *testing.T) {
	data, _ := folder(t)
	verify := func(dir string) (int, string) {
		var out bytes.Buffer
		code := app.Main(context.Background(), []string{"verify", "--data", dir}, nil, nil, &out, &out)
		return code, out.String()
	}
	flip := func(name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 8
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := verify(data); code != 0 || !strings.Contains(out, "read series: 180 measurements") {
		t.Errorf("a whole folder: %d\n%s", code, out)
	}
	if code, out := verify(t.TempDir()); code != 3 {
		t.Errorf("an empty folder: %d\n%s", code, out)
	}
	changed := t.TempDir()
	duplicate(t, data, changed)
	flip(filepath.Join(changed, "documents.db"))
	if code, out := verify(changed); code != 6 || !strings.Contains(out, "DAMAGED since the last stop: documents.db was changed") {
		t.Errorf("a changed database: %d\n%s", code, out)
	}
	tables, err := filepath.Glob(filepath.Join(data, "series", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	if err := seal.Break(data); err != nil {
		t.Fatal(err)
	}
	flip(tables[0])
	if code, out := verify(data); code != 6 || !strings.Contains(out, "DAMAGED") {
		t.Errorf("a changed table: %d\n%s", code, out)
	}
}

// TestDamageIsNeverSilent damages any file of a folder that was stopped cleanly: nothing wrong may ever be answered.
func TestDamageIsNeverSilent(t *testing.T) {
	data, want := folder(t)
	rnd, seen := rand.New(rand.NewPCG(5, 5)), map[outcome]int{}
	names := stored(t, data)
	whole := t.TempDir()
	duplicate(t, data, whole)
	if out, how := consequence(t, whole, want); out != harmless {
		t.Fatalf("an undamaged copy: %s %s", out, how)
	}
	for range rounds(t, 25) {
		copied := t.TempDir()
		duplicate(t, data, copied)
		name := names[rnd.IntN(len(names))]
		what := damage(t, rnd, filepath.Join(copied, name))
		out, how := consequence(t, copied, want)
		seen[out]++
		if out == wrong {
			t.Errorf("%s: %s: %s", name, what, how)
		}
		_ = os.RemoveAll(copied)
	}
	t.Logf("%d files: %v", len(names), seen)
	if seen[refused] == 0 {
		t.Error("no damage was found at all")
	}
}

// TestDamageAfterACrash damages the tables of a folder without a seal, as it is after a crash: they have checksums of their own. What happens to
// damaged logs and documents then is counted and shown: the end of a log cannot be told from damage to it, and SQLite has no checksums.
func TestDamageAfterACrash(t *testing.T) {
	data, want := folder(t)
	if err := seal.Break(data); err != nil {
		t.Fatal(err)
	}
	rnd, seen := rand.New(rand.NewPCG(6, 6)), map[string]map[outcome]int{}
	names := stored(t, data)
	whole := t.TempDir()
	duplicate(t, data, whole)
	if out, how := consequence(t, whole, want); out != harmless {
		t.Fatalf("an undamaged copy: %s %s", out, how)
	}
	tables := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return filepath.Ext(name) != ".sst" })
	if len(tables) == 0 {
		t.Fatalf("there are no tables among %v", names)
	}
	for i := range rounds(t, 25) {
		copied := t.TempDir()
		duplicate(t, data, copied)
		name := names[rnd.IntN(len(names))]
		if i%2 == 0 {
			name = tables[rnd.IntN(len(tables))]
		}
		what := damage(t, rnd, filepath.Join(copied, name))
		out, how := consequence(t, copied, want)
		kind := filepath.Ext(name)
		if kind != ".sst" && kind != ".db" {
			kind = "others"
		}
		if seen[kind] == nil {
			seen[kind] = map[outcome]int{}
		}
		seen[kind][out]++
		if out == wrong && kind == ".sst" {
			t.Errorf("%s: %s: %s", name, what, how)
		}
		_ = os.RemoveAll(copied)
	}
	for kind, n := range seen {
		t.Logf("%s: %v", kind, n)
	}
}
