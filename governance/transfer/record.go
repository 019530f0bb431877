package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// doc is a document of the API, its numbers as they were written.
type doc map[string]any

// origin is the fragment of an imported document that says what id it had.
const origin = "isobar_Origin"

// maxDepth bounds what is rewritten; platforms refuse deeper documents.
const maxDepth = 256

func (d doc) text(name string) string { s, _ := d[name].(string); return s }

// ref returns the id of a member that refers to an object.
func (d doc) ref(name string) string {
	m, _ := d[name].(map[string]any)
	s, _ := m["id"].(string)
	return s
}

// made are members that a platform makes by itself, so that they cannot be carried over, by kind; "" holds for all.
var made = map[string][]string{
	"": {"id", "self", "lastUpdated", "creationTime"},
	"objects": {"childDevices", "childAssets", "childAdditions", "deviceParents", "assetParents", "additionParents", "owner", "c8y_ActiveAlarmsStatus",
		"c8y_Availability", "c8y_Connection", "c8y_LatestMeasurements"},
	"alarms":     {"count", "firstOccurrenceTime", "history"},
	"operations": {"delivery", "deviceName", "deviceExternalIDs", "bulkOperationId"},
}

// bare returns a document without what a platform makes by itself.
func (d doc) bare(kind string) doc {
	out := maps.Clone(d)
	for _, k := range append(made[""], made[kind]...) {
		delete(out, k)
	}
	if _, is := d["c8y_IsBinary"]; is && kind != "measurements" { // describes the file, which is carried on its own
		delete(out, "c8y_IsBinary")
		if kind == "objects" {
			delete(out, "contentType")
			delete(out, "length")
		}
	}
	if id := d.ref("source"); id != "" && kind != "objects" { // its name and link come from the platform
		out["source"] = map[string]any{"id": id}
	}
	return out
}

// references are names of members whose text is the id of an object.
var references = map[string]bool{"deviceId": true, "agentId": true, "sourceId": true, "groupId": true, "managedObjectId": true, "assetId": true}

var link = regexp.MustCompile(`/inventory/(managedObjects|binaries)/([0-9]+)`)

// rewrite returns a document in which references have the new ids: members named id of objects within it, members named as in references, and links
// to objects and binaries in any text. changed says whether there were any; ids that are not in the map stay.
func rewrite(d doc, ids map[string]string) (out doc, changed bool) {
	out = doc{}
	for k, v := range d {
		if k == "id" || k == origin {
			out[k] = v
			continue
		}
		v, c := rewriteValue(k, v, ids, 0)
		out[k], changed = v, changed || c
	}
	return out, changed
}

func rewriteValue(name string, v any, ids map[string]string, depth int) (out any, changed bool) {
	if depth > maxDepth {
		return v, false
	}
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			y, c := rewriteValue(k, x, ids, depth+1)
			m[k], changed = y, changed || c
		}
		return m, changed
	case []any:
		a := make([]any, len(v))
		for i, x := range v {
			y, c := rewriteValue("", x, ids, depth+1)
			a[i], changed = y, changed || c
		}
		return a, changed
	case json.Number:
		if to, ok := ids[v.String()]; ok && references[name] {
			return json.Number(to), true
		}
	case string:
		return rewriteText(name, v, ids, depth)
	}
	return v, false
}

func rewriteText(name, s string, ids map[string]string, depth int) (out string, changed bool) {
	if to, ok := ids[s]; ok && (references[name] || name == "id" && depth > 0) {
		return to, true
	}
	if !strings.Contains(s, "/inventory/") {
		return s, false
	}
	out = link.ReplaceAllStringFunc(s, func(m string) string {
		i := strings.LastIndexByte(m, '/') + 1
		to, ok := ids[m[i:]]
		if !ok {
			return m
		}
		changed = true
		return m[:i] + to
	})
	return out, changed
}

// tally is the count and the sum of the hashes of records, in any order.
type tally struct {
	Count int64
	sum   [32]byte
}

// add counts a record.
func (t *tally) add(d doc) {
	h := fingerprint(d)
	t.Count++
	carry := 0
	for i := len(h) - 1; i >= 0; i-- {
		carry += int(t.sum[i]) + int(h[i])
		t.sum[i] = byte(carry)
		carry >>= 8
	}
}

func (t *tally) hex() string { return hex.EncodeToString(t.sum[:]) }

// fingerprint is the hash of a bare document that does not depend on the order of members or on how times and numbers are written.
func fingerprint(d doc) [32]byte {
	plain := make(map[string]any, len(d))
	for k, v := range d {
		if k != origin {
			plain[k] = normal(k, v, 0)
		}
	}
	b, err := json.Marshal(plain)
	if err != nil { // cannot be: it came from JSON
		panic(err)
	}
	return sha256.Sum256(b)
}

func normal(name string, v any, depth int) any {
	if depth > maxDepth {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			m[k] = normal(k, x, depth+1)
		}
		return m
	case []any:
		a := make([]any, len(v))
		for i, x := range v {
			a[i] = normal("", x, depth+1)
		}
		return a
	case json.Number:
		return number(v.String())
	case string:
		if name == "time" {
			if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
			}
		}
	}
	return v
}

// number writes equal numbers alike: 1, 1.0 and 1e0. Whole numbers that no float64 holds stay as they are.
func number(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	if i, ok := new(big.Int).SetString(s, 10); ok && !i.IsInt64() {
		return s
	} else if ok {
		return i.String()
	}
	if f == float64(int64(f)) && f < 1<<53 && f > -1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
