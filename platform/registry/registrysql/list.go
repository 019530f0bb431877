package registrysql

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// smallReach is how many objects of a scope are named one by one in a query: then any filter and any order costs no more than reading them.
const smallReach = 2000

// fewWays is up to how many ways a list is read along them; maxWays bounds the parts of one statement, for scopes that are too long to be named.
const (
	fewWays = 6
	maxWays = 64
)

// List implements registry.Store. What is in scope becomes part of the query, in one of three forms. Lists in the order of ids are read along
// the ways into the scope, each of which an index gives in that order. For others, a short scope is named object by object; a long one is a
// condition, because then the query's own filter or order finds enough of it soon.
func (s *Store) List(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.Query) ([]registry.Object, int, error) {
	b := &builder{dialect: s.db.Dialect, tenant: t, from: from}
	along, err := s.within(ctx, t, scope, q, b)
	if err != nil {
		return nil, 0, err
	}
	b.simple(q, scope)
	if q.Filter != nil {
		b.where(b.expr(q.Filter))
	}
	if along != nil {
		return s.listAlong(ctx, t, along, b, q)
	}
	n := 0
	if q.Count {
		if err := s.db.QueryRow(ctx, `SELECT count(*)`+b.from+b.sql(), b.args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	order, orderArgs := b.order(q)
	out, err := s.objects(ctx, `SELECT `+columns+b.from+b.sql()+order+` LIMIT ? OFFSET ?`, append(append(b.args, orderArgs...), q.Limit, q.Offset)...)
	return out, n, err
}

// within limits a list to the tenant and the scope. It returns the ways along which the list is to be read, nil if it is an ordinary query.
func (s *Store) within(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.Query, b *builder) ([]way, error) {
	switch {
	case scope.All:
		b.where("m.tenant = ?", string(t))
		return nil, nil
	case scope.Wide(), q.IDs != nil, q.Parent != 0, q.ParentOf != 0:
		b.where("m.tenant = ?", string(t))
		b.scope(scope)
		return nil, nil
	}
	along := ways(t, scope)
	byID := q.Filter == nil && q.Order == nil && q.Type == "" && q.Fragment == "" && q.Owner == "" && q.Text == ""
	named := false
	if !byID || len(along) > fewWays {
		ids, complete, err := s.Reach(ctx, t, scope, s.small)
		if err != nil {
			return nil, err
		}
		if named = complete; named { // CROSS JOIN keeps SQLite from reading all objects in the order of the page instead
			table, list := sqlkit.IDs(b.dialect, ids)
			b.from = " FROM " + table + " named CROSS JOIN" + strings.TrimPrefix(from, " FROM")
			b.where("m.id = named.id")
			b.args = append(b.args, list)
		}
		if named || !byID || len(along) > maxWays {
			along = nil
		}
	}
	b.where("m.tenant = ?", string(t))
	if scope.Partial() || (along == nil && !named) {
		b.scope(scope)
	}
	return along, nil
}

// objects reads the columns of objects.
func (s *Store) objects(ctx context.Context, query string, args ...any) (out []registry.Object, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		o, err := scanObject(r)
		out = append(out, o)
		return err
	}, query, args...)
	return out, err
}

// listAlong reads as many as the page needs from each way in the order of ids, and merges them. CROSS JOIN keeps SQLite to that order.
func (s *Store) listAlong(ctx context.Context, t iot.TenantID, along []way, b *builder, q registry.Query) ([]registry.Object, int, error) {
	union := func(rest string, more ...any) (string, []any) {
		var parts []string
		var args []any
		for i, w := range along {
			parts = append(parts, `SELECT * FROM (SELECT w.id AS id FROM `+w.from+` CROSS JOIN managed_object m`+b.sql()+` AND m.id = w.id AND `+w.cond+rest+`) w`+strconv.Itoa(i))
			args = append(append(append(args, b.args...), w.args...), more...)
		}
		return strings.Join(parts, " UNION "), args
	}
	n := 0
	if q.Count {
		text, args := union("")
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM (`+text+`) page`, args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	text, args := union(" ORDER BY w.id LIMIT ?", q.Offset+q.Limit)
	out, err := s.objects(ctx, `SELECT `+columns+` FROM (`+text+` ORDER BY id LIMIT ? OFFSET ?) page CROSS JOIN`+strings.TrimPrefix(from, " FROM")+`
		WHERE m.tenant = ? AND m.id = page.id ORDER BY m.id`, append(args, q.Limit, q.Offset, string(t))...)
	return out, n, err
}

// builder collects the conditions of one list.
type builder struct {
	dialect sqlkit.Dialect
	tenant  iot.TenantID
	from    string // the tables; their arguments come first
	conds   []string
	args    []any
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
	if q.OnlyDevices {
		b.where("m.is_device = 1")
	}
	if q.Fragment != "" {
		b.where(hasFragment, string(b.tenant), q.Fragment)
	}
	if q.Text != "" {
		b.text(q.Text)
	}
	if q.OnlyRoots {
		cond, args := scope.SQL(b.dialect, "up.tenant", "up.parent", "")
		b.where("NOT EXISTS (SELECT 1 FROM object_child up WHERE up.tenant = m.tenant AND up.child = m.id AND "+cond+")", args...)
	}
	if q.Parent != 0 {
		b.from += " JOIN object_child c ON c.tenant = m.tenant AND c.child = m.id"
		b.where("c.parent = ? AND c.kind = ?", int64(q.Parent), int64(q.Kind))
	}
	if q.ParentOf != 0 {
		b.where("EXISTS (SELECT 1 FROM object_child c WHERE c.tenant = m.tenant AND c.parent = m.id AND c.child = ? AND c.kind = ?)", int64(q.ParentOf), int64(q.Kind))
	}
}

const hasFragment = "EXISTS (SELECT 1 FROM object_fragment f WHERE f.tenant = ? AND f.fragment = ? AND f.id = m.id)"

// text matches any token of the text in id, type, name, owner or an external id; a quoted text is one token.
func (b *builder) text(text string) {
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
			EXISTS (SELECT 1 FROM external_id x WHERE x.tenant = m.tenant AND x.id = m.id AND LOWER(x.value) LIKE ? ESCAPE '\')`
		b.args = append(b.args, like, like, like, like)
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
