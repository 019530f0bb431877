package registrysql

import (
	"database/sql/driver"
	"encoding/json"
	"regexp"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
	"modernc.org/sqlite"

	"github.com/isobar-iot/isobar/platform/registry/query"
)

// registerFunctions makes the functions that SQLite calls on documents. The driver keeps them for the whole process, which is
// harmless: they are pure.
var registerFunctions = sync.OnceValue(func() error {
	for name, f := range map[string]struct {
		args int32
		fn   func(args []driver.Value) driver.Value
	}{
		"isobar_has": {2, func(a []driver.Value) driver.Value {
			return truth(anyAt(a[0], a[1], func(gjson.Result) bool { return true }))
		}},
		"isobar_match": {3, func(a []driver.Value) driver.Value { return truth(anyAt(a[0], a[1], matcher(text(a[2])))) }},
		"isobar_rank":  {2, func(a []driver.Value) driver.Value { return rank(one(a[0], a[1])) }},
		"isobar_sort":  {2, func(a []driver.Value) driver.Value { return sortValue(one(a[0], a[1])) }},
	} {
		err := sqlite.RegisterDeterministicScalarFunction(name, f.args, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			return f.fn(args), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
})

func truth(b bool) driver.Value {
	if b {
		return int64(1)
	}
	return int64(0)
}

func text(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

// anyAt reports whether any value at a path, joined by pathSeparator, satisfies ok. Arrays on the way and at the end are looked into.
func anyAt(doc, path driver.Value, ok func(gjson.Result) bool) bool {
	return walkAny(gjson.Parse(text(doc)), strings.Split(text(path), pathSeparator), ok)
}

func walkAny(v gjson.Result, path []string, ok func(gjson.Result) bool) bool {
	found := false
	if v.IsArray() {
		v.ForEach(func(_, item gjson.Result) bool {
			if len(path) == 0 && item.IsArray() { // like a lax JSON path: one level
				return true
			}
			found = walkAny(item, path, ok)
			return !found
		})
		return found || (len(path) == 0 && ok(v))
	}
	if len(path) == 0 {
		return v.Exists() && ok(v)
	}
	if !v.IsObject() {
		return false
	}
	v.ForEach(func(key, value gjson.Result) bool {
		if key.String() == path[0] {
			found = walkAny(value, path[1:], ok)
			return false
		}
		return true
	})
	return found
}

// one returns the value at a path without looking into arrays.
func one(doc, path driver.Value) gjson.Result {
	v := gjson.Parse(text(doc))
	for _, part := range strings.Split(text(path), pathSeparator) {
		next := gjson.Result{}
		if !v.IsObject() {
			return next
		}
		v.ForEach(func(key, value gjson.Result) bool {
			if key.String() == part {
				next = value
				return false
			}
			return true
		})
		v = next
	}
	return v
}

func rank(v gjson.Result) driver.Value {
	switch {
	case !v.Exists():
		return nil
	case v.Type == gjson.Number:
		return int64(1)
	case v.Type == gjson.String:
		return int64(2)
	}
	return int64(3)
}

func sortValue(v gjson.Result) driver.Value {
	switch v.Type {
	case gjson.Number:
		return v.Num
	case gjson.String:
		return v.Str
	}
	return nil
}

// encodeCompare packs a comparison for isobar_match.
func encodeCompare(c query.Compare) string {
	b, _ := json.Marshal(struct {
		Op query.Op
		V  query.Value
	}{c.Op, c.Value})
	return string(b)
}

// matchers keeps the comparisons of queries in use; a query uses the same one for every row.
var matchers struct {
	mu sync.Mutex // guards m
	m  map[string]func(gjson.Result) bool
}

const maxMatchers = 1000

func matcher(encoded string) func(gjson.Result) bool {
	matchers.mu.Lock()
	defer matchers.mu.Unlock()
	if f, ok := matchers.m[encoded]; ok {
		return f
	}
	var c struct {
		Op query.Op
		V  query.Value
	}
	if json.Unmarshal([]byte(encoded), &c) != nil {
		return func(gjson.Result) bool { return false }
	}
	if matchers.m == nil || len(matchers.m) >= maxMatchers {
		matchers.m = map[string]func(gjson.Result) bool{}
	}
	f := newMatcher(c.Op, c.V)
	matchers.m[encoded] = f
	return f
}

func newMatcher(op query.Op, v query.Value) func(gjson.Result) bool {
	switch {
	case v.Kind == query.Bool:
		return func(r gjson.Result) bool { return r.IsBool() && op == query.Eq && r.Bool() == v.Bool }
	case v.Kind == query.Number:
		return func(r gjson.Result) bool {
			if r.Type == gjson.Number {
				return ordered(op, compareFloats(r.Num, v.Num))
			}
			return v.Exact && op == query.Eq && r.Type == gjson.String && r.Str == v.Text
		}
	case v.Wildcard && op == query.Eq:
		re, err := regexp.Compile("(?is)" + wildcardRegexp(v.Text))
		return func(r gjson.Result) bool { return err == nil && r.Type == gjson.String && re.MatchString(r.Str) }
	}
	return func(r gjson.Result) bool {
		return r.Type == gjson.String && ordered(op, strings.Compare(r.Str, v.Text))
	}
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func ordered(op query.Op, c int) bool {
	switch op {
	case query.Eq:
		return c == 0
	case query.Gt:
		return c > 0
	case query.Ge:
		return c >= 0
	case query.Lt:
		return c < 0
	}
	return c <= 0
}

// pathSeparator joins the parts of a path on their way into SQLite, which ends a text at a NUL byte.
const pathSeparator = "\x1f"
