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

// List implements registry.Store.
func (s *Store) List(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.Query) ([]registry.Object, int, error) {
	b := &builder{dialect: s.db.Dialect, tenant: t}
	cond, args := scope.SQL("m.tenant", "m.id")
	b.where("m.tenant = ?", string(t))
	if !scope.All {
		b.where(cond, args...)
	}
	b.simple(q, scope)
	if q.Filter != nil {
		b.where(b.expr(q.Filter))
	}
	tables := from + b.joins
	n := 0
	if q.Count {
		if err := s.db.QueryRow(ctx, `SELECT count(*)`+tables+b.sql(), b.args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	var out []registry.Object
	text := `SELECT ` + columns + tables + b.sql()
	order, orderArgs := b.order(q)
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		o, err := scanObject(r)
		out = append(out, o)
		return err
	}, text+order+` LIMIT ? OFFSET ?`, append(append(b.args, orderArgs...), q.Limit, q.Offset)...)
	return out, n, err
}

// builder collects the conditions of one list.
type builder struct {
	dialect sqlkit.Dialect
	tenant  iot.TenantID
	conds   []string
	args    []any
	joins   string
}

// where adds a condition. expr has appended its own arguments before, so that the order of arguments follows the text.
func (b *builder) where(cond string, args ...any) {
	b.conds = append(b.conds, cond)
	b.args = append(b.args, args...)
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
		cond, args := scope.SQL("up.tenant", "up.parent")
		b.where("NOT EXISTS (SELECT 1 FROM object_child up WHERE up.tenant = m.tenant AND up.child = m.id AND "+cond+")", args...)
	}
	if q.Parent != 0 {
		b.joins = " JOIN object_child c ON c.tenant = m.tenant AND c.child = m.id"
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
		dir := " ASC NULLS FIRST"
		if o.Desc {
			dir = " DESC NULLS LAST"
		}
		exprs, a := b.sortKeys(o.Path)
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
