package transfer

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
)

func parse(t testing.TB, s string) doc {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	var out doc
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFingerprintsDependOnMeaning(t *testing.T) {
	same := [][2]string{
		{`{"a":1,"b":2}`, `{"b":2.0,"a":1e0}`},
		{`{"time":"2026-01-01T01:00:00+01:00"}`, `{"time":"2026-01-01T00:00:00.000Z"}`},
		{`{"a":1}`, `{"a":1,"isobar_Origin":{"id":"7"}}`},
	}
	for _, s := range same {
		if fingerprint(parse(t, s[0])) != fingerprint(parse(t, s[1])) {
			t.Errorf("%s and %s should be alike", s[0], s[1])
		}
	}
	for _, s := range [][2]string{{`{"a":1}`, `{"a":"1.5"}`}, {`{"a":9007199254740993}`, `{"a":9007199254740992}`}, {`{"a":[1,2]}`, `{"a":[2,1]}`}, {`{"a":1}`, `{"b":1}`}} {
		if fingerprint(parse(t, s[0])) == fingerprint(parse(t, s[1])) {
			t.Errorf("%s and %s should differ", s[0], s[1])
		}
	}
}

func TestRewrite(t *testing.T) {
	got, changed := rewrite(parse(t, `{"id":"1","a":{"id":"1","n":"1"},"deviceId":"2","x":"see /inventory/managedObjects/12 and /inventory/binaries/1?","other":"1","groupId":3}`),
		map[string]string{"1": "101", "2": "102", "3": "103"})
	want := parse(t, `{"id":"1","a":{"id":"101","n":"1"},"deviceId":"102","x":"see /inventory/managedObjects/12 and /inventory/binaries/101?","other":"1","groupId":103}`)
	if fingerprint(got) != fingerprint(want) || !changed {
		t.Errorf("%v", got)
	}
}

// FuzzFolder reads what is no export, and rewrites and sums up whatever it finds.
func FuzzFolder(f *testing.F) {
	f.Add([]byte(`{"format":1,"kinds":{},"files":[{"of":"objects","sha256":"../../x"}]}`), []byte("{\"id\":\"1\",\"a\":{\"id\":\"1\"}}\n{}\n"))
	f.Add([]byte(`{`), []byte("null\n[]\n1e999\n"))
	f.Fuzz(func(t *testing.T, manifest, data []byte) {
		if m, err := parseManifest(manifest); err == nil {
			for _, file := range m.Files {
				if !hexSum.MatchString(file.SHA256) {
					t.Fatalf("a file named %q", file.SHA256)
				}
			}
		} else if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported {
			t.Fatal(err)
		}
		err := readLines(bytes.NewReader(data), "objects", func(d doc) error {
			r, _ := rewrite(d.bare("objects"), map[string]string{"1": "2"})
			fingerprint(r)
			return edges(d, func(string, string) error { return nil })
		})
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
	})
}

// TestEverythingThatIsNotMovedIsTold holds the terminal and the page for users to the same list.
func TestEverythingThatIsNotMovedIsTold(t *testing.T) {
	page, err := os.ReadFile("../../docs/how-to/move-a-tenant.md")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := (Manifest{NotMoved: unmoved(), Stays: staying(), NotTaken: []Omission{{"files", 3, "refused"}}}).Print(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "not taken: files (3): refused") {
		t.Errorf("the export does not tell what it was refused:\n%s", out.String())
	}
	for _, u := range slices.Concat(unmoved(), staying()) {
		if !strings.Contains(out.String(), u.What+": "+u.Reason) {
			t.Errorf("the export does not tell of %s:\n%s", u.What, out.String())
		}
		if !strings.Contains(string(page), "- "+u.What+": ") {
			t.Errorf("the page does not tell of %s", u.What)
		}
	}
}

func TestReceiptTellsWhatWasNeverLookedAt(t *testing.T) {
	var out strings.Builder
	if err := (Receipt{NotMoved: unmoved()}).Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"hosted applications", "retention rules", "API keys", "published queries", "bulk operations", "subscriptions"} {
		if !strings.Contains(out.String(), what) {
			t.Errorf("the receipt does not tell of %s:\n%s", what, out.String())
		}
	}
}
