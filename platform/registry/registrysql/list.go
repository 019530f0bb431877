package registrysql

import (
	"context"
	"database/sql"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// smallReach is up to how many objects of a scope are named one by one in a query: then any filter and any order costs no more than looking
// at them.
const smallReach = 25_000

// fewWays is up to how many ways a list is read along them; maxWays bounds the parts of one statement, for scopes that are too long to be named.
const (
	fewWays = 6
	maxWays = 64
)

// List implements registry.Store. It finds the ids of the page first, from indexes as far as they go, and then reads the objects of the page: what
// a list skips or sorts is not read. What is in scope becomes part of the query, in one of three forms: lists in the order of ids are read
// along the ways into the scope, each of which an index gives in that order; for others, a scope that is not too long is named object by object, and
// a longer one is a condition, because then the query's own filter or order finds enough of it soon.
func (s *Store) List(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.Query) ([]registry.Object, int, error) {
	b, along, err := s.prepare(ctx, t, scope, &q)
	if err != nil {
		return nil, 0, err
	}
	if along != nil {
		return s.read(ctx, t, b.along(along, q), q)
	}
	return s.readOn(ctx, t, b, q)
}

// prepare collects the conditions of a list, and the ways along which it is to be read, nil if it is an ordinary query.
func (s *Store) prepare(ctx context.Context, t iot.TenantID, scope access.Scope, q *registry.Query) (*builder, []way, error) {
	b := &builder{dialect: s.db.Dialect, tenant: t, byName: len(q.Order) == 1 && strings.Join(q.Order[0].Path, ".") == "name"}
	along, err := s.within(ctx, t, scope, *q, b)
	if err != nil {
		return nil, nil, err
	}
	terms := conjuncts(q.Filter)
	if along == nil {
		if terms, err = s.begin(ctx, b, q, terms); err != nil {
			return nil, nil, err
		}
	}
	b.simple(*q, scope)
	for _, e := range terms {
		b.where(b.expr(e))
	}
	return b, along, nil
}

// readOn reads a list from where its page is known to begin.
func (s *Store) readOn(ctx context.Context, t iot.TenantID, b *builder, q registry.Query) ([]registry.Object, int, error) {
	l := b.listing(q)
	known := b.inOrder(q)
	list := listKey(t, l.page, l.listArgs)
	at, from, total := s.positions.find(t, list, b.dependsOn(l.page), q.Offset)
	if known && from.offset > 0 {
		if b.byName {
			b.where("(m.name, m.id) > (?, ?)", from.name, int64(from.id))
		} else {
			b.where("m.id > ?", int64(from.id))
		}
		rest := q
		rest.Offset -= from.offset
		l.page, l.pageArgs = b.page(rest)
	}
	count := q.Count
	if total >= 0 {
		q.Count = false
	}
	out, n, err := s.read(ctx, t, l, q)
	if err != nil {
		return nil, 0, err
	}
	if total >= 0 && count {
		n = total
	} else if count {
		total = n
	}
	var seen []position
	if known && len(out) > 0 {
		first, last := out[0], out[len(out)-1]
		if len(out) == q.Limit { // none went meanwhile
			seen = append(seen, position{q.Offset + len(out), last.Name, last.ID})
		}
		if q.Offset > 0 {
			seen = append(seen, position{q.Offset, first.Name, first.ID - 1})
		}
	}
	if len(seen) > 0 || total >= 0 {
		s.positions.learn(list, at, total, seen...)
	}
	return out, n, nil
}

// read reads the page of a list, and counts it.
func (s *Store) read(ctx context.Context, t iot.TenantID, l listing, q registry.Query) ([]registry.Object, int, error) {
	var page []iot.ID
	if q.Limit > 0 {
		if err := s.eachID(ctx, func(id iot.ID) { page = append(page, id) }, l.page, l.pageArgs...); err != nil {
			return nil, 0, err
		}
	}
	n := 0
	switch {
	case !q.Count:
	case len(page) > 0 && len(page) < q.Limit: // the last one
		n = q.Offset + len(page)
	default:
		if err := s.db.QueryRow(ctx, l.count, l.countArgs...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if len(page) == 0 {
		return nil, n, nil
	}
	out, err := s.named(ctx, t, page)
	return out, n, err
}

// listing is the text of a list: its page of ids, and how many there are.
type listing struct {
	page, count                   string
	pageArgs, countArgs, listArgs []any // listArgs are those of the page without its bounds
}

// named reads objects in the order of their ids in page, without those that went meanwhile.
func (s *Store) named(ctx context.Context, t iot.TenantID, page []iot.ID) ([]registry.Object, error) {
	at := make(map[iot.ID]int, len(page))
	for i, id := range page {
		at[id] = i
	}
	found := make([]registry.Object, len(page))
	table, list := sqlkit.IDs(s.db.Dialect, page)
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		o, err := scanObject(r)
		if err == nil {
			found[at[o.ID]] = o
		}
		return err
	}, `SELECT `+columns+` FROM `+table+` page CROSS JOIN`+strings.TrimPrefix(from, " FROM")+` WHERE m.tenant = ? AND m.id = page.id`, list, string(t))
	return slices.DeleteFunc(found, func(o registry.Object) bool { return o.ID == 0 }), err
}

// within limits a list to the tenant and the scope. It returns the ways along which the list is to be read, nil if it is an ordinary query.
func (s *Store) within(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.Query, b *builder) ([]way, error) {
	b.where("m.tenant = ?", string(t))
	switch {
	case scope.All:
		return nil, nil
	case scope.Wide(), q.IDs != nil, q.Parent != 0, q.ParentOf != 0:
		b.scope(scope)
		return nil, nil
	}
	along := ways(t, scope)
	byID := q.Filter == nil && q.Order == nil && q.Type == "" && q.Fragment == "" && q.Owner == "" && q.Text == ""
	if !byID || len(along) > fewWays {
		ids, complete, err := s.reach(ctx, t, scope)
		if err != nil {
			return nil, err
		}
		if complete {
			table, list := sqlkit.IDs(b.dialect, ids)
			b.start = &source{from: "(SELECT CAST(? AS TEXT) AS tenant, id FROM " + table + " reach) d", args: []any{string(t), list}, cond: "1=1"}
			along = nil
		} else if !byID || len(along) > maxWays {
			along = nil
		}
	}
	if scope.Partial() || (along == nil && b.start == nil) {
		b.scope(scope)
	}
	return along, nil
}

// along reads as many as the page needs from each way in the order of ids, and merges them. CROSS JOIN keeps SQLite to that order.
func (b *builder) along(ways []way, q registry.Query) (l listing) {
	where := b.sql()
	join := ""
	if ofObject.MatchString(where) {
		join, where = " CROSS JOIN managed_object m", where+" AND m.id = w.id"
	} else {
		where = strings.NewReplacer("m.id", "w.id", "m.tenant", "w.tenant").Replace(where)
	}
	union := func(rest string, more ...any) (string, []any) {
		var parts []string
		var args []any
		for i, w := range ways {
			parts = append(parts, `SELECT * FROM (SELECT w.id AS id FROM `+w.from+join+where+` AND `+w.cond+rest+`) w`+strconv.Itoa(i))
			args = append(append(append(args, b.args...), w.args...), more...)
		}
		return strings.Join(parts, " UNION "), args
	}
	l.count, l.countArgs = union("")
	l.count = `SELECT count(*) FROM (` + l.count + `) page`
	l.page, l.pageArgs = union(" ORDER BY w.id LIMIT ?", q.Offset+q.Limit)
	l.page += ` ORDER BY id LIMIT ? OFFSET ?`
	l.pageArgs = append(l.pageArgs, q.Limit, q.Offset)
	return l
}

// source is where a list begins, instead of at all objects: a table with the alias d and the columns tenant and id, which an index gives in the
// order of id.
type source struct {
	from, cond string
	args       []any // of from, then of cond
}

// builder collects the conditions of one list. They name the columns of the object as m, and those of its state as s.
type builder struct {
	dialect sqlkit.Dialect
	tenant  iot.TenantID
	byName  bool    // the order is that of names, which indexes give
	start   *source // nil: all objects
	join    string  // what else is joined to all objects
	whole   bool    // the engine finds the objects better itself than along the index of ids
	conds   []string
	args    []any
}

var (
	// ofObject finds the columns of an object that only its own row has.
	ofObject = regexp.MustCompile(`\bm\.(type|name|owner|is_device|is_global|created|updated|doc|q)\b`)
	// ofDocument finds those that the index of ids does not have either.
	ofDocument = regexp.MustCompile(`\bm\.(is_device|is_global|created|updated|doc|q)\b`)
	// anyDocument and anyState find those of any table.
	anyDocument = regexp.MustCompile(`\.(doc|q|created|updated)\b`)
	anyState    = regexp.MustCompile(`\bs\.[a-z]|object_state`)
	ofState     = regexp.MustCompile(`\bs\.[a-z]`)
	key         = regexp.MustCompile(`\bm\.(tenant|id)\b`)
)

// listing puts the texts together. Arguments are in the order of the text: those of the tables, of the conditions, of the order.
func (b *builder) listing(q registry.Query) (l listing) {
	l.count = `SELECT count(*)` + b.text("")
	if b.start != nil {
		l.countArgs = append(l.countArgs, b.start.args...)
	}
	l.countArgs = append(l.countArgs, b.args...)
	l.page, l.pageArgs = b.page(q)
	l.listArgs = l.pageArgs[:len(l.pageArgs)-2]
	return l
}

func (b *builder) page(q registry.Query) (string, []any) {
	order, orderArgs := b.order(q)
	var args []any
	if b.start != nil {
		args = append(args, b.start.args...)
	}
	args = append(append(append(args, b.args...), orderArgs...), q.Limit, q.Offset)
	return `SELECT ` + b.resolve("m.id") + b.text(order) + ` LIMIT ? OFFSET ?`, args
}

// inOrder reports whether the list is in an order in which one can go on after an object.
func (b *builder) inOrder(q registry.Query) bool {
	return q.Parent == 0 && (len(q.Order) == 0 || b.byName && !q.Order[0].Desc)
}

// dependsOn returns which changes may move the pages of a list.
func (b *builder) dependsOn(text string) what {
	w := structure | marks
	if anyDocument.MatchString(text) {
		w |= documents
	}
	if anyState.MatchString(text) {
		w |= states
	}
	return w
}

// text returns a list from its tables to its order.
func (b *builder) text(order string) string {
	conds := strings.Join(b.conds, " AND ")
	used := conds + order
	tables, where := " FROM managed_object m"+b.join, ""
	switch {
	case b.start != nil:
		tables, where = " FROM "+b.start.from, b.start.cond+" AND "
		if ofObject.MatchString(used) {
			tables += " CROSS JOIN managed_object m"
			where += "m.tenant = d.tenant AND m.id = d.id AND "
		}
	case b.dialect == sqlkit.SQLite && !b.whole && b.join == "" && !b.byName && !ofDocument.MatchString(used):
		tables += " INDEXED BY managed_object_ids" // it would read along the table itself, documents and all
	}
	if ofState.MatchString(used) {
		tables += b.resolve(" LEFT JOIN object_state s ON s.tenant = m.tenant AND s.id = m.id")
	}
	return tables + " WHERE " + where + b.resolve(used)
}

// resolve names the key of the object by where the list begins.
func (b *builder) resolve(text string) string {
	if b.start == nil {
		return text
	}
	return key.ReplaceAllString(text, "d.$1")
}

// where adds a condition. expr has appended its own arguments before, so that the order of arguments follows the text.
func (b *builder) where(cond string, args ...any) {
	b.conds = append(b.conds, cond)
	b.args = append(b.args, args...)
}

func (b *builder) scope(s access.Scope) {
	cond, args := s.SQL(b.dialect, "m.tenant", "m.id", "")
	b.where(cond, args...)
}

func (b *builder) sql() string { return " WHERE " + strings.Join(b.conds, " AND ") }

func (b *builder) simple(q registry.Query, scope access.Scope) {
	if q.IDs != nil {
		b.where("m.id IN "+sqlkit.In(len(q.IDs)), ids(q.IDs)...)
	}
	if q.Type != "" {
		b.where("m.type = ?", q.Type)
	}
	if q.Owner != "" {
		b.where("m.owner = ?", q.Owner)
	}
	if !q.Until.IsZero() {
		b.where("m.updated <= ?", q.Until.UnixMilli())
	}
	if q.OnlyDevices {
		cond, args := b.isDevice()
		b.where(cond, args...)
	}
	if q.Fragment != "" {
		b.where(hasFragment, string(b.tenant), q.Fragment)
	}
	if q.Text != "" {
		b.search(q.Text)
	}
	if q.OnlyRoots {
		cond, args := scope.SQL(b.dialect, "up.tenant", "up.parent", "")
		b.where("NOT EXISTS (SELECT 1 FROM object_child up WHERE up.tenant = m.tenant AND up.child = m.id AND "+cond+")", args...)
	}
	if q.Parent != 0 {
		b.join = " JOIN object_child c ON c.tenant = m.tenant AND c.child = m.id"
		b.where("c.parent = ? AND c.kind = ?", int64(q.Parent), int64(q.Kind))
	}
	if q.ParentOf != 0 {
		b.where("EXISTS (SELECT 1 FROM object_child c WHERE c.tenant = m.tenant AND c.parent = m.id AND c.child = ? AND c.kind = ?)", int64(q.ParentOf), int64(q.Kind))
	}
}

const hasFragment = "EXISTS (SELECT 1 FROM object_fragment f WHERE f.tenant = ? AND f.fragment = ? AND f.id = m.id)"

// search matches any token of the text in id, type, name, owner or an external id; a quoted text is one token.
func (b *builder) search(text string) {
	tokens := []string{strings.Trim(text, `"`)}
	if !strings.HasPrefix(text, `"`) {
		tokens = strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '/' || r == '-' || r == '.' })
	}
	const maxTokens = 20
	if len(tokens) > maxTokens {
		tokens = tokens[:maxTokens]
	}
	var any []string
	for _, token := range tokens {
		like := "%" + sqlkit.EscapeLike(strings.ToLower(token)) + "%"
		cond := `LOWER(m.name) LIKE ? ESCAPE '\' OR LOWER(m.type) LIKE ? ESCAPE '\' OR LOWER(m.owner) LIKE ? ESCAPE '\' OR
			m.id IN (SELECT x.id FROM external_id x WHERE x.tenant = ? AND LOWER(x.value) LIKE ? ESCAPE '\')`
		b.args = append(b.args, like, like, like, string(b.tenant), like)
		if id, err := strconv.ParseInt(token, 10, 64); err == nil {
			cond += " OR m.id = ?"
			b.args = append(b.args, id)
		}
		any = append(any, cond)
	}
	if len(any) > 0 {
		b.where("(" + strings.Join(any, " OR ") + ")")
	}
}

func (b *builder) order(q registry.Query) (string, []any) {
	var keys []string
	var args []any
	for _, o := range q.Order {
		exprs, a := b.sortKeys(o.Path)
		dir := " ASC NULLS FIRST"
		if o.Desc {
			dir = " DESC NULLS LAST"
		}
		if len(exprs) == 1 && exprs[0] == "m.name" { // never null, and then PostgreSQL can read it off an index
			dir, _, _ = strings.Cut(dir, " NULLS")
		}
		for _, e := range exprs {
			keys = append(keys, e+dir)
		}
		args = append(args, a...)
	}
	if q.Parent != 0 && len(q.Order) == 0 {
		keys = append(keys, "c.pos")
	}
	return " ORDER BY " + strings.Join(append(keys, "m.id"), ", "), args
}
