package sqlkit

import (
	"strconv"
	"strings"
)

// Dialect is the kind of engine.
type Dialect uint8

// The engines.
const (
	SQLite Dialect = iota + 1
	Postgres
)

// String returns the engine's name.
func (d Dialect) String() string {
	if d == Postgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

// rewrite turns each ? outside of quotes into the engine's form of a parameter.
func (d Dialect) rewrite(query string) string {
	if d != Postgres || !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n, quote := 0, byte(0)
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// types are the names that a migration may use for what the engines call differently.
func (d Dialect) types() map[string]string {
	if d == Postgres {
		return map[string]string{"JSON": "JSONB", "Bytes": "BYTEA", "Doc": "JSONB GENERATED ALWAYS AS (doc::jsonb) STORED", "NoRowID": "", "Postgres": "yes", "Serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "Binary": ` COLLATE "C"`}
	}
	return map[string]string{"JSON": "BLOB", "Bytes": "BLOB", "Doc": "BLOB GENERATED ALWAYS AS (jsonb(doc)) STORED", "NoRowID": "WITHOUT ROWID", "Postgres": "", "Serial": "INTEGER PRIMARY KEY AUTOINCREMENT", "Binary": ""}
}

// Quote returns s as an SQL string literal, for the rare places where a parameter is not possible.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// In returns "(?,?,...)" for n parameters, and "(NULL)" for none.
func In(n int) string {
	if n == 0 {
		return "(NULL)"
	}
	return "(" + strings.Repeat("?,", n-1) + "?)"
}

// AnyID returns the condition that a column holds one of the ids, with its argument. However many there are, the text is the same, except that
// for a single one both engines plan better with an equality.
func AnyID[T ~uint64](d Dialect, column string, ids []T) (string, any) {
	if len(ids) == 1 {
		return column + " = ?", int64(ids[0])
	}
	if d == Postgres {
		return column + " = ANY(CAST(? AS BIGINT[]))", list(d, ids)
	}
	return column + " IN (SELECT value FROM json_each(?))", list(d, ids)
}

// AnyIDText is AnyID for a column that holds ids as texts.
func AnyIDText[T ~uint64](d Dialect, column string, ids []T) (string, any) {
	if d == Postgres {
		return column + " = ANY(CAST(CAST(? AS BIGINT[]) AS TEXT[]))", list(d, ids)
	}
	return column + " IN (SELECT CAST(value AS TEXT) FROM json_each(?))", list(d, ids)
}

// IDs returns a table of ids, with the column id, and its argument.
func IDs[T ~uint64](d Dialect, ids []T) (string, any) {
	if d == Postgres {
		return "(SELECT unnest(CAST(? AS BIGINT[])) AS id)", list(d, ids)
	}
	return "(SELECT value AS id FROM json_each(?))", list(d, ids)
}

// list writes ids as the engine's literal of a list.
func list[T ~uint64](d Dialect, ids []T) string {
	b := make([]byte, 1, 2+8*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	if d == Postgres {
		b[0] = '{'
		return string(append(b, '}'))
	}
	b[0] = '['
	return string(append(b, ']'))
}

// EscapeLike escapes the wildcards of LIKE in s; the pattern must be used with ESCAPE '\'.
func EscapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
