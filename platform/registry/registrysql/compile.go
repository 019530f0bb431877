package registrysql

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry/query"
)

// expr compiles a condition to SQL, appending its arguments in the order of the text. It never yields NULL, so that NOT is safe.
func (b *builder) expr(e query.Expr) string {
	switch e := e.(type) {
	case query.And:
		return b.terms(e, " AND ")
	case query.Or:
		return b.terms(e, " OR ")
	case query.Not:
		return "NOT " + b.expr(e.X)
	case query.Has:
		parts := make([]string, len(e))
		for i, p := range e {
			parts[i] = b.has(p)
		}
		return "(" + strings.Join(parts, " OR ") + ")"
	case query.ByGroup:
		b.args = append(b.args, int64(iot.ChildAsset), int64(iot.ChildAddition))
		return "EXISTS (SELECT 1 FROM object_child g WHERE g.tenant = m.tenant AND g.child = m.id AND g.kind IN (?,?) AND g.parent IN " + b.in(e) + ")"
	case query.InHierarchy:
		b.args = append(b.args, string(b.tenant))
		roots := b.in(e)
		b.args = append(b.args, string(b.tenant))
		return "m.id IN (WITH RECURSIVE below(id) AS (SELECT id FROM managed_object WHERE tenant = ? AND id IN " + roots +
			" UNION SELECT h.child FROM object_child h JOIN below ON h.parent = below.id WHERE h.tenant = ?) SELECT id FROM below)"
	case query.Compare:
		return b.compare(e)
	}
	return "1=0"
}

func (b *builder) terms(terms []query.Expr, op string) string {
	parts := make([]string, len(terms))
	for i, t := range terms {
		parts[i] = b.expr(t)
	}
	return "(" + strings.Join(parts, op) + ")"
}

func (b *builder) in(ids []uint64) string {
	for _, id := range ids {
		b.args = append(b.args, int64(id))
	}
	return sqlkit.In(len(ids))
}

// serverColumns are the paths that are kept in columns, not in the document. Empty text or zero stands for absence where zero is said.
var serverColumns = map[string]struct {
	sql  string
	kind query.Kind // Text or Number
	date bool
	zero string // the condition under which the value is absent
}{
	"type":                            {sql: "m.type", kind: query.Text, zero: "m.type = ''"},
	"name":                            {sql: "m.name", kind: query.Text, zero: "m.name = ''"},
	"owner":                           {sql: "m.owner", kind: query.Text, zero: "m.owner = ''"},
	"id":                              {sql: "m.id", kind: query.Number},
	"_id":                             {sql: "m.id", kind: query.Number},
	"creationTime":                    {sql: "m.created", date: true},
	"creationTime.date":               {sql: "m.created", date: true},
	"lastUpdated":                     {sql: "m.updated", date: true},
	"lastUpdated.date":                {sql: "m.updated", date: true},
	"c8y_Availability.status":         {sql: "COALESCE(s.availability, '')", kind: query.Text, zero: "COALESCE(s.availability, '') = ''"},
	"c8y_Availability.lastMessage":    {sql: "COALESCE(s.last_message, 0)", date: true, zero: "COALESCE(s.last_message, 0) = 0"},
	"c8y_Connection.status":           {sql: "COALESCE(s.connection, '')", kind: query.Text, zero: "COALESCE(s.connection, '') = ''"},
	"c8y_ActiveAlarmsStatus.critical": {sql: "COALESCE(s.critical, 0)", kind: query.Number},
	"c8y_ActiveAlarmsStatus.major":    {sql: "COALESCE(s.major, 0)", kind: query.Number},
	"c8y_ActiveAlarmsStatus.minor":    {sql: "COALESCE(s.minor, 0)", kind: query.Number},
	"c8y_ActiveAlarmsStatus.warning":  {sql: "COALESCE(s.warning, 0)", kind: query.Number},
}

func (b *builder) has(p query.Path) string {
	switch strings.Join(p, ".") {
	case iot.FragmentIsDevice:
		cond, args := b.isDevice()
		b.args = append(b.args, args...)
		return cond
	case iot.FragmentAvailability:
		return "COALESCE(s.availability, '') <> ''"
	case iot.FragmentConnection:
		return "COALESCE(s.connection, '') <> ''"
	case iot.FragmentActiveAlarms:
		return "COALESCE(s.has_alarms, 0) = 1"
	}
	if c, ok := serverColumns[strings.Join(p, ".")]; ok {
		if c.zero == "" {
			return "1=1"
		}
		return "NOT (" + c.zero + ")"
	}
	if len(p) == 1 {
		b.args = append(b.args, string(b.tenant), p[0])
		return hasFragment
	}
	if b.dialect == sqlkit.Postgres {
		b.args = append(b.args, jsonPath(p))
		return "COALESCE(jsonb_path_exists(m.q, CAST(? AS jsonpath)), FALSE)"
	}
	b.args = append(b.args, strings.Join(p, pathSeparator))
	return "isobar_has(m.doc, ?) = 1"
}

var sqlOps = map[query.Op]string{query.Eq: "=", query.Gt: ">", query.Ge: ">=", query.Lt: "<", query.Le: "<="}

func (b *builder) compare(c query.Compare) string {
	if col, ok := serverColumns[strings.Join(c.Path, ".")]; ok {
		return b.compareColumn(col.sql, col.kind, col.date, col.zero, c)
	}
	if c.Value.Kind == query.Null {
		if c.Op != query.Eq {
			return "1=0"
		}
		return "NOT " + b.has(c.Path) // stored documents hold nulls only inside fragments
	}
	if indexed(c) {
		return b.isText(c)
	}
	// An index narrows the search to objects that have the fragment at all.
	b.args = append(b.args, string(b.tenant), c.Path[0])
	return "(" + hasFragment + " AND " + b.matches("m", c) + ")"
}

// matches is a comparison with the document of the object that a table stands for.
func (b *builder) matches(table string, c query.Compare) string {
	if b.dialect == sqlkit.Postgres {
		path, vars := jsonPathCompare(c)
		b.args = append(b.args, path, vars)
		return "COALESCE(jsonb_path_exists(" + table + ".q, CAST(? AS jsonpath), CAST(? AS jsonb), TRUE), FALSE)"
	}
	b.args = append(b.args, strings.Join(c.Path, pathSeparator), encodeCompare(c))
	return "isobar_match(" + table + ".doc, ?, ?) = 1"
}

// isText looks a text up. Only where the index says that it does not hold all of a fragment, the document is looked into.
func (b *builder) isText(c query.Compare) string {
	unsure := mark(c.Path[0])
	b.args = append(b.args, string(b.tenant), strings.Join(c.Path, pathSeparator), c.Value.Text, string(b.tenant), unsure.path, unsure.value)
	return `(EXISTS (SELECT 1 FROM object_value v WHERE v.tenant = ? AND v.path = ? AND v.value = ? AND v.id = m.id)
		OR EXISTS (SELECT 1 FROM object_value v CROSS JOIN managed_object x WHERE v.tenant = ? AND v.path = ? AND v.value = ? AND v.id = m.id
			AND x.tenant = v.tenant AND x.id = v.id AND ` + b.matches("x", c) + `))`
}

func (b *builder) isDevice() (string, []any) {
	if b.byName { // an index has it together with the names
		return "m.is_device = 1", nil
	}
	return hasFragment, []any{string(b.tenant), iot.FragmentIsDevice}
}

func (b *builder) compareColumn(col string, kind query.Kind, date bool, zero string, c query.Compare) string {
	op := sqlOps[c.Op]
	switch {
	case c.Value.Kind == query.Null:
		if c.Op != query.Eq || zero == "" {
			return "1=0"
		}
		return "(" + zero + ")"
	case date:
		t, err := iot.ParseTime(c.Value.Text)
		if err != nil {
			return "1=0"
		}
		b.args = append(b.args, t.UnixMilli())
		return "(" + col + " " + op + " ?)"
	case kind == query.Number:
		n, err := strconv.ParseFloat(c.Value.Text, 64)
		if c.Value.Kind == query.Number {
			n, err = c.Value.Num, nil
		}
		if err != nil || math.Abs(n) > math.MaxInt64/2 {
			return "1=0"
		}
		return "(" + col + " " + op + " " + strconv.FormatFloat(n, 'f', -1, 64) + ")"
	case c.Value.Kind == query.Bool:
		return "1=0"
	case c.Value.Wildcard && c.Op == query.Eq:
		b.args = append(b.args, likePattern(c.Value.Text))
		return "(LOWER(" + col + `) LIKE ? ESCAPE '\')`
	}
	b.args = append(b.args, c.Value.Text)
	return "(" + col + " " + op + " ?)"
}

func likePattern(s string) string {
	return strings.ReplaceAll(sqlkit.EscapeLike(strings.ToLower(s)), "*", "%")
}

// sortKeys returns the expressions by which objects are ordered along a path. Within a path, absent values come first, then numbers,
// then texts, then everything else.
func (b *builder) sortKeys(p query.Path) ([]string, []any) {
	if col, ok := serverColumns[strings.Join(p, ".")]; ok {
		return []string{col.sql}, nil
	}
	switch strings.Join(p, ".") {
	case iot.FragmentActiveAlarms:
		return []string{"COALESCE(s.critical, 0)", "COALESCE(s.major, 0)", "COALESCE(s.minor, 0)", "COALESCE(s.warning, 0)"}, nil
	case iot.FragmentIsDevice:
		return []string{"m.is_device"}, nil
	}
	if b.dialect == sqlkit.Postgres {
		at := "m.q #> " + textArray(p)
		return []string{
			"CASE jsonb_typeof(" + at + ") WHEN 'number' THEN 1 WHEN 'string' THEN 2 ELSE CASE WHEN " + at + " IS NULL THEN NULL ELSE 3 END END",
			"CASE jsonb_typeof(" + at + ") WHEN 'number' THEN (m.q #>> " + textArray(p) + ")::numeric END",
			"CASE jsonb_typeof(" + at + ") WHEN 'string' THEN m.q #>> " + textArray(p) + ` END COLLATE "C"`,
		}, nil
	}
	joined := strings.Join(p, pathSeparator)
	return []string{"isobar_rank(m.doc, ?)", "isobar_sort(m.doc, ?)"}, []any{joined, joined}
}

func textArray(p query.Path) string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = sqlkit.Quote(s)
	}
	return "ARRAY[" + strings.Join(parts, ",") + "]"
}

func jsonPath(p query.Path) string {
	var s strings.Builder
	s.WriteString("$")
	for _, part := range p {
		quoted, _ := json.Marshal(part) // a JSON string is a valid key of a JSON path
		s.WriteByte('.')
		s.Write(quoted)
	}
	return s.String()
}

// jsonPathCompare returns a lax JSON path, which looks into arrays by itself, and its variables.
func jsonPathCompare(c query.Compare) (string, string) {
	op := map[query.Op]string{query.Eq: "==", query.Gt: ">", query.Ge: ">=", query.Lt: "<", query.Le: "<="}[c.Op]
	vars := map[string]any{}
	var cond string
	switch v := c.Value; {
	case v.Kind == query.Bool:
		vars["v"], cond = v.Bool, "@ "+op+" $v"
	case v.Kind == query.Number:
		vars["v"], cond = json.Number(strconv.FormatFloat(v.Num, 'g', -1, 64)), "@ "+op+" $v"
		if v.Exact && c.Op == query.Eq {
			vars["s"] = v.Text
			cond += " || @ == $s"
		}
	case v.Wildcard && c.Op == query.Eq:
		pattern, _ := json.Marshal(wildcardRegexp(v.Text))
		cond = "@ like_regex " + string(pattern) + ` flag "is"`
	default:
		vars["v"], cond = v.Text, "@ "+op+" $v"
	}
	text, _ := json.Marshal(vars)
	return jsonPath(c.Path) + " ? (" + cond + ")", string(text)
}

// wildcardRegexp turns a pattern with * into an anchored regular expression that both engines read alike.
func wildcardRegexp(pattern string) string {
	var s strings.Builder
	s.WriteByte('^')
	for _, r := range pattern {
		switch {
		case r == '*':
			s.WriteString(".*")
		case strings.ContainsRune(`\.+?()[]{}|^$`, r):
			s.WriteByte('\\')
			s.WriteRune(r)
		default:
			s.WriteRune(r)
		}
	}
	s.WriteByte('$')
	return s.String()
}
