package registrysql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry/query"
)

// The table object_value makes the comparison of a text in a document with "eq" a look-up. It holds texts of up to maxValue bytes that are a
// fragment of their own or a member of one, up to maxTexts of a fragment. A fragment with longer, more or deeper ones in lists has a mark
// instead, at which the document itself is looked into: so the answer does not depend on what is in the table.
const (
	maxValue = 128
	maxTexts = 32
	rowsEach = 40 // rows of one INSERT: few texts of statements
)

// entry is a row of object_value.
type entry struct{ path, value string }

func mark(fragment string) entry { return entry{pathSeparator + fragment, ""} }

// entries returns the rows of a document, each once.
func entries(d iot.Doc) map[entry]bool {
	out := map[entry]bool{}
	for _, m := range d {
		switch m.Raw[0] {
		case '"':
			if text, ok := iot.RawText(m.Raw); ok && len(text) <= maxValue {
				out[entry{m.Name, text}] = true
				continue
			}
			out[mark(m.Name)] = true
		case '[':
			out[mark(m.Name)] = true
		case '{':
			for _, e := range members(m) {
				out[e] = true
			}
		}
	}
	return out
}

// members returns the rows of a fragment that is an object.
func members(m iot.Member) (out []entry) {
	whole := true
	gjson.ParseBytes(m.Raw).ForEach(func(key, value gjson.Result) bool {
		if value.Type == gjson.String && len(value.Str) <= maxValue && len(out) < maxTexts {
			out = append(out, entry{m.Name + pathSeparator + key.Str, value.Str})
		} else if value.Type == gjson.String || value.IsArray() {
			whole = false
		}
		return whole
	})
	if !whole {
		return []entry{mark(m.Name)}
	}
	return out
}

// setValues keeps the index of texts.
func setValues(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, old, now iot.Doc) error {
	was, is := entries(old), entries(now)
	for e := range was {
		if is[e] {
			delete(is, e)
		} else if _, err := tx.Exec(ctx, `DELETE FROM object_value WHERE tenant = ? AND path = ? AND value = ? AND id = ?`, string(t), e.path, e.value, int64(id)); err != nil {
			return err
		}
	}
	var args []any
	for e := range is {
		args = append(args, string(t), e.path, e.value, int64(id))
	}
	return insertRows(ctx, tx, "object_value (tenant, path, value, id)", 4, args)
}

// insertRows inserts rows of n columns each, many with one statement. Rows that exist are left as they are.
func insertRows(ctx context.Context, tx *sqlkit.Tx, into string, n int, args []any) error {
	row := sqlkit.In(n)
	for part := range slices.Chunk(args, n*rowsEach) {
		values := strings.Repeat(row+",", len(part)/n-1) + row
		if _, err := tx.Exec(ctx, `INSERT INTO `+into+` VALUES `+values+` ON CONFLICT DO NOTHING`, part...); err != nil {
			return err
		}
	}
	return nil
}

// fillBatch is how many objects one transaction of fill enters.
const fillBatch = 200

// fill enters the objects that are older than the index into it. It goes on where it was interrupted; several nodes may do so at once.
func fill(ctx context.Context, db *sqlkit.DB) error {
	lock := ""
	if db.Dialect == sqlkit.Postgres {
		lock = " FOR UPDATE" // whoever changes an object now enters it anew
	}
	var left int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM object_value_filled`).Scan(&left); err != nil {
		return err
	}
	for done := left == 0; !done; {
		err := db.Write(ctx, func(tx *sqlkit.Tx) error {
			var tenant string
			var id int64
			err := tx.QueryRow(ctx, `SELECT of_tenant, id FROM object_value_filled WHERE one = 1`+lock).Scan(&tenant, &id)
			if done = errors.Is(err, sql.ErrNoRows); done || err != nil {
				return ignore(err, sql.ErrNoRows)
			}
			return fillSome(ctx, tx, tenant, id, lock)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// fillSome enters the next objects after one, or says that there are no more.
func fillSome(ctx context.Context, tx *sqlkit.Tx, tenant string, id int64, lock string) error {
	type row struct {
		tenant string
		id     int64
		doc    []byte
	}
	var rows []row
	err := sqlkit.Each(ctx, tx, func(r *sql.Rows) error {
		var x row
		err := r.Scan(&x.tenant, &x.id, &x.doc)
		rows = append(rows, x)
		return err
	}, `SELECT tenant, id, doc FROM managed_object WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?`+lock, tenant, id, fillBatch)
	if err != nil {
		return err
	}
	for _, x := range rows {
		d, err := iot.ParseDoc(x.doc, iot.MaxDepth+1)
		if err != nil {
			return err
		}
		if err := setValues(ctx, tx, iot.TenantID(x.tenant), iot.ID(x.id), nil, d); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		_, err = tx.Exec(ctx, `DELETE FROM object_value_filled`)
		return err
	}
	last := rows[len(rows)-1]
	_, err = tx.Exec(ctx, `UPDATE object_value_filled SET of_tenant = ?, id = ? WHERE one = 1`, last.tenant, last.id)
	return err
}

// indexed reports whether a comparison is a look-up in object_value.
func indexed(c query.Compare) bool {
	return c.Op == query.Eq && c.Value.Kind == query.Text && !c.Value.Wildcard && len(c.Value.Text) <= maxValue && len(c.Path) <= 2
}
