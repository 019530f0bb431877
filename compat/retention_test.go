package compat_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// kept is a document that retention may remove.
type kept struct {
	data, path, source, kind, fragment string // what rules look at; empty: it has none
	days                               int    // its age
	safe                               bool   // no rule may remove it
	bytes                              int64  // 0: not known to the test
}

// keeping is a rule.
type keeping struct {
	DataType     string `json:"dataType"`
	FragmentType string `json:"fragmentType,omitempty"`
	Type         string `json:"type,omitempty"`
	Source       string `json:"source,omitempty"`
	MaximumAge   int    `json:"maximumAge"`
}

func (r keeping) selects(d kept) bool {
	one := func(of, is string) bool { return of == "" || of == is }
	return (r.DataType == "*" || r.DataType == d.data) && one(r.Source, d.source) && one(r.Type, d.kind) && one(r.FragmentType, d.fragment) && d.days > r.MaximumAge && !d.safe
}

// conditions are how many an r has, and which ones, so that the larger one is the more specific.
func (r keeping) conditions() (n, which int) {
	for _, set := range []bool{r.Source != "", r.Type != "", r.FragmentType != "", r.DataType != "*"} {
		which *= 2
		if set {
			n, which = n+1, which+1
		}
	}
	return n, which
}

// moreSpecific reports whether r decides about what o selects as well.
func (r keeping) moreSpecific(o keeping) bool {
	n, which := r.conditions()
	on, owhich := o.conditions()
	if n != on {
		return n > on
	}
	if which != owhich {
		return which > owhich
	}
	return r.MaximumAge > o.MaximumAge
}

// removes reports whether one of some rules wants a document removed and, if the most specific one decides alone, whether it is that one.
func (w *aged) removes(r keeping, rules []keeping, d kept) bool {
	if !r.selects(d) {
		return false
	}
	ageless := d
	ageless.days = 1 << 20
	return !w.specific || !slices.ContainsFunc(rules, func(o keeping) bool { return o.selects(ageless) && o.moreSpecific(r) })
}

// anyRemoves is removes for any of the rules.
func (w *aged) anyRemoves(rules []keeping, d kept) bool {
	return slices.ContainsFunc(rules, func(r keeping) bool { return w.removes(r, rules, d) })
}

// aged is a platform with documents of many ages.
type aged struct {
	t        *testing.T
	admin    rig.User
	a, b     string // devices
	docs     []kept
	specific bool // the most specific rule decides alone
}

func (w *aged) add(list string, d kept, body map[string]any) {
	w.t.Helper()
	if !strings.HasPrefix(list, "/devicecontrol") {
		body["time"] = time.Now().AddDate(0, 0, -d.days).Format(time.RFC3339)
		body["source"] = map[string]string{"id": d.source}
		body["type"] = d.kind
	}
	if d.fragment != "" && d.data != "MEASUREMENT" {
		body[d.fragment] = map[string]any{}
	}
	d.path = list + "/" + w.admin.Create(w.t, list, body)
	if d.data == "ALARM" && !d.safe {
		w.admin.Want(w.t, 200, "PUT", d.path, map[string]string{"status": "CLEARED"}, nil)
	}
	w.docs = append(w.docs, d)
}

func (w *aged) fill() {
	value := map[string]any{"s": map[string]any{"value": 1.5, "unit": "V"}}
	for _, source := range []string{w.a, w.b} {
		for _, days := range []int{100, 40, 5} {
			for i, fragment := range []string{"f1", "f2"} {
				kind := []string{"t1", "t2"}[i]
				w.add("/measurement/measurements", kept{data: "MEASUREMENT", source: source, kind: kind, fragment: fragment, days: days, bytes: int64(len("t1f1sV1.5"))}, map[string]any{fragment: value})
				w.add("/event/events", kept{data: "EVENT", source: source, kind: kind, fragment: fragment, days: days, bytes: int64(len(`x` + `t1` + `{"f1":{}}`))}, map[string]any{"text": "x"})
				w.add("/alarm/alarms", kept{data: "ALARM", source: source, kind: kind, days: days}, map[string]any{"text": "x", "severity": "MAJOR"})
				w.add("/devicecontrol/operations", kept{data: "OPERATION", source: source, fragment: fragment, days: days}, map[string]any{"deviceId": source})
			}
			w.add("/audit/auditRecords", kept{data: "AUDIT", source: source, kind: "Mine", days: days}, map[string]any{"text": "x", "activity": "y"})
		}
		w.add("/alarm/alarms", kept{data: "ALARM", source: source, kind: "open", days: 100, safe: true}, map[string]any{"text": "x", "severity": "MAJOR"})
	}
	group := w.admin.Create(w.t, "/inventory/managedObjects", map[string]any{"name": "all", "c8y_IsDeviceGroup": map[string]any{}})
	w.admin.Want(w.t, 201, "POST", "/inventory/managedObjects/"+group+"/childAssets", map[string]any{"managedObject": map[string]string{"id": w.a}}, nil)
	for _, days := range []int{100, 5} {
		w.bulk(group, "2020-01-01", kept{data: "BULK_OPERATION", fragment: "f3", days: days})
	}
	w.bulk(group, "2090-01-01", kept{data: "BULK_OPERATION", fragment: "f3", days: 100, safe: true}) // it is still to come
}

// bulk makes a bulk operation, and lets it end if it begins now.
func (w *aged) bulk(group, start string, d kept) {
	w.t.Helper()
	const list = "/devicecontrol/bulkoperations"
	var made struct{ ID int }
	w.admin.Want(w.t, 201, "POST", list, map[string]any{"groupId": group, "startDate": start, "creationRamp": 0.01, "operationPrototype": map[string]any{d.fragment: map[string]any{}}}, &made)
	d.path = fmt.Sprint(list, "/", made.ID)
	w.docs = append(w.docs, d)
	if d.safe {
		return
	}
	var operation string
	rig.Eventually(w.t, "an operation", func() bool {
		w.admin.Each(w.t, fmt.Sprint("/devicecontrol/operations?bulkOperationId=", made.ID), "operations", func(raw json.RawMessage) {
			var o rig.Object
			if err := json.Unmarshal(raw, &o); err != nil {
				w.t.Fatal(err)
			}
			operation = o.ID
		})
		return operation != ""
	})
	for _, status := range []string{"EXECUTING", "SUCCESSFUL"} {
		w.admin.Want(w.t, 200, "PUT", "/devicecontrol/operations/"+operation, map[string]string{"status": status}, nil)
	}
	rig.Eventually(w.t, "its end", func() bool {
		var b struct{ GeneralStatus string }
		w.admin.Want(w.t, 200, "GET", d.path, nil, &b)
		return b.GeneralStatus == "SUCCESSFUL"
	})
}

// age makes operations as old as they are meant to be: nobody can create an old one. The server must not run.
func (w *aged) age(o rig.Options) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(o.Data, "seal.json")); err != nil && o.Postgres == "" { // it says that nobody touched the files
		w.t.Fatal(err)
	}
	exec := func(text string) {
		db, err := sql.Open("sqlite", filepath.Join(o.Data, "documents.db"))
		if err == nil {
			_, err = db.Exec(text)
			_ = db.Close()
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if o.Postgres != "" {
		conn, err := pgx.Connect(context.Background(), o.Postgres)
		if err != nil {
			w.t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		exec = func(text string) {
			if _, err := conn.Exec(context.Background(), text); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for _, d := range w.docs {
		table := map[string]string{"OPERATION": "operation", "BULK_OPERATION": "bulk_operation"}[d.data]
		if table == "" {
			continue
		}
		id := d.path[strings.LastIndexByte(d.path, '/')+1:]
		exec(fmt.Sprintf("UPDATE %s SET created = created - %d WHERE tenant = 'main' AND id = %s", table, int64(d.days)*24*3600*1000, id))
	}
}

// forecast is a line of the preview.
type forecast struct {
	Rule, DataType            string
	Documents, Devices, Bytes int64
	More                      bool
}

// startAged starts a platform with two devices and documents of many ages.
func startAged(t *testing.T, options rig.Options) (*aged, *rig.Server) {
	t.Helper()
	server := rig.Start(t, options)
	w := &aged{t: t, admin: server.Admin()}
	w.a = w.admin.Create(t, "/inventory/managedObjects", map[string]any{"name": "a", "c8y_IsDevice": map[string]any{}, "com_cumulocity_model_Agent": map[string]any{}})
	w.b = w.admin.Create(t, "/inventory/managedObjects", map[string]any{"name": "b", "c8y_IsDevice": map[string]any{}, "com_cumulocity_model_Agent": map[string]any{}})
	w.fill()
	server.Stop(t)
	w.age(options)
	server = rig.Start(t, options)
	w.admin = server.Admin()
	return w, server
}

// TestRetention removes what rules select, and nothing else, while new data comes in. What goes is what the preview said.
func TestRetention(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			options := engine.options(t)
			w, server := startAged(t, options)
			if rules := w.rules(); len(rules) != 0 {
				t.Fatalf("rules that nobody made: %v", rules)
			}
			w.run() // removes nothing
			w.check(nil)

			rules := []keeping{
				{DataType: "MEASUREMENT", Source: w.a, MaximumAge: 60}, {DataType: "MEASUREMENT", FragmentType: "f2", MaximumAge: 30},
				{DataType: "EVENT", Type: "t1", MaximumAge: 30}, {DataType: "EVENT", Type: "t1", Source: w.b, MaximumAge: 3650}, // the longer one protects nothing
				{DataType: "ALARM", MaximumAge: 30}, {DataType: "OPERATION", FragmentType: "f1", MaximumAge: 30}, {DataType: "BULK_OPERATION", MaximumAge: 30},
				{DataType: "AUDIT", Type: "Mine", MaximumAge: 60}, {DataType: "ALARM", FragmentType: "f1", MaximumAge: 1}, {DataType: "*", Type: "none", MaximumAge: 1},
			}
			byID := map[string]keeping{}
			for _, r := range rules {
				byID[w.admin.Create(t, "/retention/retentions", r)] = r
			}
			w.preview(byID)

			stop, written := w.write()
			removed := w.run()
			close(stop)
			w.check(rules)
			w.counted(removed, rules)
			written()
			w.nothingLeft()
			noDefects(t, server)
		})
	}
}

// TestRetentionMostSpecific has the same rules decide one at a time, and then independently of each other.
func TestRetentionMostSpecific(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			w, server := startAged(t, engine.options(t))
			const option = "/tenant/options/retention/semantics"
			for _, value := range []string{"most", "Specific", ""} {
				w.admin.Want(t, 422, "PUT", option, map[string]string{"value": value}, nil)
			}
			w.admin.Want(t, 200, "PUT", option, map[string]string{"value": "specific"}, nil)
			w.specific = true
			rules := []keeping{
				{DataType: "*", MaximumAge: 3}, // shorter than everything
				// a type, a source and a fragment for longer
				{DataType: "MEASUREMENT", Type: "t1", MaximumAge: 3650}, {DataType: "*", Source: w.b, MaximumAge: 70}, {DataType: "EVENT", FragmentType: "f2", MaximumAge: 3650},
				// as many conditions as another one: the source decides, and then the type
				{DataType: "EVENT", Source: w.a, MaximumAge: 60},
				{DataType: "MEASUREMENT", Source: w.a, Type: "t2", MaximumAge: 30}, {DataType: "MEASUREMENT", Source: w.a, FragmentType: "f2", MaximumAge: 3650},
				// the same conditions: the longer one decides, in whatever order they were made
				{DataType: "ALARM", Type: "t1", MaximumAge: 50}, {DataType: "ALARM", Type: "t1", MaximumAge: 10},
				{DataType: "ALARM", Type: "t2", Source: w.b, MaximumAge: 10}, {DataType: "ALARM", Type: "t2", Source: w.b, MaximumAge: 90},
				{DataType: "OPERATION", FragmentType: "f1", MaximumAge: 50}, {DataType: "AUDIT", Type: "Mine", Source: w.b, MaximumAge: 3650},
				{DataType: "BULK_OPERATION", FragmentType: "f3", MaximumAge: 60},
			}
			byID := map[string]keeping{}
			for _, r := range rules {
				byID[w.admin.Create(t, "/retention/retentions", r)] = r
			}
			before := len(w.docs)
			for _, w.specific = range []bool{true, false} {
				w.preview(byID)
				removed := w.run()
				w.check(rules)
				w.counted(removed, rules)
				w.nothingLeft()
				w.docs = slices.DeleteFunc(w.docs, func(d kept) bool { return w.anyRemoves(rules, d) })
				t.Logf("specific %v: %d documents of %d are left", w.specific, len(w.docs), before)
				if w.specific {
					w.admin.Want(t, 200, "PUT", option, map[string]string{"value": "any"}, nil)
				}
			}
			noDefects(t, server)
		})
	}
}

// counted compares what a run says with what the rules remove.
func (w *aged) counted(removed map[string]int64, rules []keeping) {
	w.t.Helper()
	want := map[string]int64{}
	for _, d := range w.docs {
		if w.anyRemoves(rules, d) {
			want[d.data]++
		}
	}
	maps.DeleteFunc(removed, func(_ string, n int64) bool { return n == 0 })
	if !maps.Equal(removed, want) {
		w.t.Errorf("the run says %v, want %v", removed, want)
	}
}

// nothingLeft runs the rules once more.
func (w *aged) nothingLeft() {
	w.t.Helper()
	if removed := w.run(); slices.ContainsFunc(slices.Collect(maps.Values(removed)), func(n int64) bool { return n > 0 }) {
		w.t.Errorf("another run removes %v", removed)
	}
}

func (w *aged) semantics() string {
	if w.specific {
		return "specific"
	}
	return "any"
}

func (w *aged) rules() (out []json.RawMessage) {
	w.admin.Each(w.t, "/retention/retentions", "retentionRules", func(raw json.RawMessage) { out = append(out, raw) })
	return out
}

// preview compares what would go with what the rules select.
func (w *aged) preview(rules map[string]keeping) {
	w.t.Helper()
	var got struct {
		Semantics string
		Preview   []forecast
	}
	w.admin.Want(w.t, 200, "GET", "/isobar/retention/preview", nil, &got)
	if got.Semantics != w.semantics() {
		w.t.Errorf("the preview goes by %q", got.Semantics)
	}
	all := slices.Collect(maps.Values(rules))
	for _, f := range got.Preview {
		want, sources, sized := forecast{Rule: f.Rule, DataType: f.DataType}, map[string]bool{}, true
		for _, d := range w.docs {
			if d.data == f.DataType && w.removes(rules[f.Rule], all, d) {
				want.Documents++
				want.Bytes += d.bytes
				sized = sized && d.bytes > 0
				if d.source != "" {
					sources[d.source] = true
				}
			}
		}
		want.Devices = int64(len(sources))
		if !sized {
			if f.Bytes < want.Documents {
				w.t.Errorf("%+v: too few bytes", f)
			}
			want.Bytes = f.Bytes
		}
		if f != want {
			w.t.Errorf("preview of %+v: %+v, want %+v", rules[f.Rule], f, want)
		}
	}
	if len(got.Preview) < len(rules) {
		w.t.Errorf("%d lines for %d rules", len(got.Preview), len(rules))
	}
}

// run runs the rules and returns what it removed, once it has ended.
func (w *aged) run() map[string]int64 {
	w.t.Helper()
	var st struct {
		State, Failure   string
		Semantics        string
		RunSemantics     string
		Steps, StepsDone int
		Removed          map[string]int64
	}
	w.admin.Want(w.t, 202, "POST", "/isobar/retention/run", nil, &st)
	rig.Eventually(w.t, "the end of the run", func() bool {
		w.admin.Want(w.t, 200, "GET", "/isobar/retention/run", nil, &st)
		return st.State != "RUNNING"
	})
	if st.State != "COMPLETED" || st.Steps != st.StepsDone || st.Semantics != w.semantics() || st.RunSemantics != w.semantics() {
		w.t.Errorf("%+v", st)
	}
	return st.Removed
}

// check looks for every document: those that a rule selects must be gone, the others must not.
func (w *aged) check(rules []keeping) {
	w.t.Helper()
	for _, d := range w.docs {
		want := 200
		if w.anyRemoves(rules, d) {
			want = 404
		}
		if a, err := w.admin.Do("GET", d.path, nil); err != nil || a.Status != want {
			w.t.Errorf("%+v: %d, want %d, %v", d, a.Status, want, err)
		}
	}
}

// write stores new measurements and events until stop is closed; written then looks whether all of them are there.
func (w *aged) write() (stop chan struct{}, written func()) {
	stop = make(chan struct{})
	var writers sync.WaitGroup
	var mu sync.Mutex
	var paths []string
	var n atomic.Int64
	for i := range 4 {
		writers.Go(func() {
			list, body := "/measurement/measurements", map[string]any{"source": map[string]string{"id": w.a}, "type": "t2", "f2": map[string]any{"s": map[string]any{"value": 1}}}
			if i%2 == 1 {
				list, body = "/event/events", map[string]any{"source": map[string]string{"id": w.b}, "type": "t1", "text": "x", "f1": map[string]any{}}
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				body["time"] = time.Now().Format(time.RFC3339Nano)
				var o rig.Object
				a, err := w.admin.Do("POST", list, body)
				if err == nil {
					err = json.Unmarshal(a.Body, &o)
				}
				if err != nil || a.Status != 201 {
					w.t.Errorf("while rules run: %d %v", a.Status, err)
					return
				}
				mu.Lock()
				paths = append(paths, list+"/"+o.ID)
				mu.Unlock()
				n.Add(1)
			}
		})
	}
	rig.Eventually(w.t, "the writers", func() bool { return n.Load() > 20 })
	return stop, func() {
		w.t.Helper()
		writers.Wait()
		for _, path := range paths {
			if a, err := w.admin.Do("GET", path, nil); err != nil || a.Status != 200 {
				w.t.Errorf("%s is lost: %d %v", path, a.Status, err)
			}
		}
		w.t.Logf("%d documents came in meanwhile", len(paths))
	}
}
