// Package telemetrysql is the SQL driver of platform/telemetry, on SQLite and PostgreSQL.
//
// A page of the newest events or alarms of a source, of a type or of a tenant is read off an index. The fragments of events are kept beside
// them, because neither engine indexes the names of a document's members in the order of time.
package telemetrysql

import (
	"context"
	"embed"
	"encoding/json"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements telemetry.Store.
type Store struct{ db *sqlkit.DB }

var _ telemetry.Store = (*Store)(nil)

// New brings the tables up to date. Those of the registry, which scopes look at, must be there before the first list.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "telemetry", migrations)
}

// Connected implements telemetry.Store.
func (s *Store) Connected(ctx context.Context, t iot.TenantID, client uint64, conn int64) error {
	return s.db.Connected(ctx, string(t), client, conn)
}

// NextID implements telemetry.Store.
func (s *Store) NextID(ctx context.Context, t iot.TenantID) (iot.ID, error) {
	n, err := s.db.NextID(ctx, string(t), "document")
	return iot.ID(n), err
}

// builder collects the conditions on the table x.
type builder struct {
	dialect sqlkit.Dialect
	conds   []string
	args    []any
}

func (s *Store) builder(t iot.TenantID, scope access.Scope) *builder {
	b := &builder{dialect: s.db.Dialect}
	b.where("x.tenant = ?", string(t))
	if !scope.All {
		cond, args := scope.SQL(b.dialect, "x.tenant", "x.source", "x.doc")
		b.where(cond, args...)
	}
	return b
}

func (b *builder) where(cond string, args ...any) {
	b.conds = append(b.conds, cond)
	b.args = append(b.args, args...)
}

func (b *builder) sql() string { return " WHERE " + strings.Join(b.conds, " AND ") }

// anyID is the condition that a column holds one of the ids; nil is no condition. However many there are, the text is the same.
func (b *builder) anyID(column string, ids []iot.ID) {
	if ids != nil {
		cond, arg := sqlkit.AnyID(b.dialect, column, ids)
		b.where(cond, arg)
	}
}

// except leaves out what selectors select. has, if there can be fragments, is the condition that there is one.
func (b *builder) except(sels []iot.Selector, has string) {
	if c := sqlkit.Except(sels, "x.source", "x.type", has); c.SQL != "" {
		b.where(c.SQL, c.Args...)
	}
}

func anyText[S ~string](b *builder, column string, texts []S) {
	if texts == nil {
		return
	}
	args := make([]any, len(texts))
	for i, s := range texts {
		args[i] = string(s)
	}
	b.where(column+" IN "+sqlkit.In(len(texts)), args...)
}

// between is the half-open range of a column.
func (b *builder) between(column string, from, to time.Time) {
	if !from.IsZero() {
		b.where(column+" >= ?", ceil(from))
	}
	if !to.IsZero() {
		b.where(column+" < ?", ceil(to))
	}
}

// ceil keeps a bound with a fraction of a millisecond exact: stored times have none.
func ceil(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}

func direction(ascending bool) string {
	if ascending {
		return ""
	}
	return " DESC"
}

func history[D any](ctx context.Context, s *Store, t iot.TenantID, kind iot.Kind, id iot.ID, at time.Time) ([]telemetry.Version[D], error) {
	rows, err := s.db.Versions(ctx, string(t), string(kind), id.String(), at)
	if err != nil {
		return nil, err
	}
	out := make([]telemetry.Version[D], len(rows))
	for i, r := range rows {
		if out[i], err = version[D](r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func version[D any](r sqlkit.Superseded) (telemetry.Version[D], error) {
	v := telemetry.Version[D]{From: r.From, Until: r.Until, Deleted: r.Deleted}
	return v, json.Unmarshal(r.Doc, &v.Document)
}

// supersede keeps a version of what is a row of the table that is called like its kind.
func supersede(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, kind iot.Kind, id, source iot.ID, from time.Time, old any, rev sqlkit.Revision, deleted bool) error {
	doc, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(kind), ID: id.String(), From: from, Until: rev, Deleted: deleted, Doc: doc,
		Row: sqlkit.Row{Table: string(kind), ID: int64(id)}, Object: int64(source)})
}

// removeRows deletes the rows with the ids from tables.
func (s *Store) removeRows(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, ids []iot.ID, tables ...string) error {
	b := &builder{dialect: s.db.Dialect}
	b.where("tenant = ?", string(t))
	b.anyID("id", ids)
	for _, table := range tables {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+b.sql(), b.args...); err != nil {
			return err
		}
	}
	return nil
}
