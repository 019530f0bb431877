// Package exchangesql is the SQL driver of platform/exchange, on SQLite and PostgreSQL.
package exchangesql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/exchange"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements exchange.Store.
type Store struct{ db *sqlkit.DB }

var _ exchange.Store = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "exchange", migrations)
}

// NextID implements exchange.Store.
func (s *Store) NextID(ctx context.Context, t iot.TenantID) (iot.ID, error) {
	id, err := s.db.NextID(ctx, string(t), "notification_subscription")
	return iot.ID(id), err
}

const columns = `id, scope, source, name, volatile, apis, type_filter, fragments, created`

func scan(row interface{ Scan(...any) error }) (x exchange.Subscription, err error) {
	var id, source, volatile, created int64
	var scope, apis, fragments string
	if err = row.Scan(&id, &scope, &source, &x.Name, &volatile, &apis, &x.TypeFilter, &fragments, &created); err != nil {
		return x, err
	}
	x.ID, x.Scope, x.Source, x.Volatile, x.Created = iot.ID(id), exchange.Scope(scope), iot.ID(source), volatile != 0, sqlkit.Time(created)
	if err = json.Unmarshal([]byte(apis), &x.APIs); err == nil {
		err = json.Unmarshal([]byte(fragments), &x.Fragments)
	}
	return x, err
}

// Create implements exchange.Store.
func (s *Store) Create(ctx context.Context, t iot.TenantID, x exchange.Subscription, rev sqlkit.Revision) error {
	apis, err := json.Marshal(x.APIs)
	if err != nil {
		return err
	}
	fragments, err := json.Marshal(x.Fragments)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO notification_subscription (tenant, `+columns+`, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
			string(t), int64(x.ID), string(x.Scope), int64(x.Source), x.Name, sqlkit.Bool(x.Volatile), string(apis), x.TypeFilter, string(fragments), sqlkit.Millis(x.Created), rev.By, rev.Set)
		return err
	})
}

// Get implements exchange.Store.
func (s *Store) Get(ctx context.Context, t iot.TenantID, id iot.ID) (exchange.Subscription, error) {
	return scan(s.db.QueryRow(ctx, `SELECT `+columns+` FROM notification_subscription WHERE tenant = ? AND id = ?`, string(t), int64(id)))
}

// List implements exchange.Store.
func (s *Store) List(ctx context.Context, t iot.TenantID, q exchange.Query) (out []exchange.Subscription, n int, err error) {
	where, args := []string{"tenant = ?"}, []any{string(t)}
	add := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if q.Scope != "" {
		add("scope = ?", string(q.Scope))
	}
	if q.Source != 0 {
		add("source = ?", int64(q.Source))
	}
	if q.Name != "" {
		add("name = ?", q.Name)
	}
	if q.TypeFilter != "" {
		add("type_filter = ?", q.TypeFilter)
	}
	from := ` FROM notification_subscription WHERE ` + strings.Join(where, " AND ")
	if err = s.db.QueryRow(ctx, `SELECT count(*)`+from, args...).Scan(&n); err != nil || q.Limit <= 0 {
		return nil, n, err
	}
	out, err = list(ctx, s.db, from+` ORDER BY id LIMIT ? OFFSET ?`, append(args, q.Limit, q.Offset)...)
	return out, n, err
}

func list(ctx context.Context, q sqlkit.Queryer, from string, args ...any) (out []exchange.Subscription, err error) {
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		x, err := scan(r)
		out = append(out, x)
		return err
	}, `SELECT `+columns+from, args...)
	return out, err
}

// Delete implements exchange.Store.
func (s *Store) Delete(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision) error {
	n, err := s.remove(ctx, t, rev, ` AND id = ?`, int64(id))
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return err
}

// DeleteAll implements exchange.Store.
func (s *Store) DeleteAll(ctx context.Context, t iot.TenantID, scope exchange.Scope, source iot.ID, rev sqlkit.Revision) (int, error) {
	return s.remove(ctx, t, rev, ` AND scope = ? AND source = ?`, string(scope), int64(source))
}

func (s *Store) remove(ctx context.Context, t iot.TenantID, rev sqlkit.Revision, where string, args ...any) (n int, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		gone, err := list(ctx, tx, ` FROM notification_subscription WHERE tenant = ?`+where+tx.ForUpdate(), append([]any{string(t)}, args...)...)
		if err != nil {
			return err
		}
		for _, x := range gone {
			doc, err := json.Marshal(x)
			if err != nil {
				return err
			}
			if err := tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindSubscription), ID: x.ID.String(), From: x.Created, Until: rev, Deleted: true, Doc: doc}); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM notification_subscription WHERE tenant = ? AND id = ?`, string(t), int64(x.ID)); err != nil {
				return err
			}
		}
		n = len(gone)
		return nil
	})
	return n, err
}

// Join implements exchange.Store.
func (s *Store) Join(ctx context.Context, t iot.TenantID, p exchange.Place) (out exchange.Place, err error) {
	done, err := json.Marshal(p.Done)
	if err != nil {
		return p, err
	}
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO notification_consumer (tenant, topic, subscriber, stream, floor, done) VALUES (?,?,?,?,?,?) ON CONFLICT (tenant, topic, subscriber) DO NOTHING`,
			string(t), p.Topic, p.Subscriber, p.Stream, int64(p.Floor), string(done))
		if err != nil {
			return err
		}
		out, err = scanPlace(tx.QueryRow(ctx, `SELECT `+placeColumns+` FROM notification_consumer WHERE tenant = ? AND topic = ? AND subscriber = ?`, string(t), p.Topic, p.Subscriber))
		return err
	})
	return out, err
}

const placeColumns = `topic, subscriber, stream, floor, done`

func scanPlace(row interface{ Scan(...any) error }) (p exchange.Place, err error) {
	var floor int64
	var done string
	if err = row.Scan(&p.Topic, &p.Subscriber, &p.Stream, &floor, &done); err != nil {
		return p, err
	}
	p.Floor = uint64(floor)
	return p, json.Unmarshal([]byte(done), &p.Done)
}

// Save implements exchange.Store.
func (s *Store) Save(ctx context.Context, t iot.TenantID, p exchange.Place) error {
	done, err := json.Marshal(p.Done)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE notification_consumer SET stream = ?, floor = ?, done = ? WHERE tenant = ? AND topic = ? AND subscriber = ?`,
			p.Stream, int64(p.Floor), string(done), string(t), p.Topic, p.Subscriber)
		return err
	})
}

// Leave implements exchange.Store.
func (s *Store) Leave(ctx context.Context, t iot.TenantID, topic, subscriber string) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM notification_consumer WHERE tenant = ? AND topic = ? AND subscriber = ?`, string(t), topic, subscriber)
		return err
	})
}

// Consumers implements exchange.Store.
func (s *Store) Consumers(ctx context.Context, t iot.TenantID, topic, subscriber string) (n int, known bool, err error) {
	var those int
	err = s.db.QueryRow(ctx, `SELECT count(*), count(CASE WHEN subscriber = ? THEN 1 END) FROM notification_consumer WHERE tenant = ? AND topic = ?`,
		subscriber, string(t), topic).Scan(&n, &those)
	return n, those > 0, err
}

// Topics implements exchange.Store. It jumps along the primary key from topic to topic.
func (s *Store) Topics(ctx context.Context, t iot.TenantID) (n int, err error) {
	err = s.db.QueryRow(ctx, `WITH RECURSIVE step(topic) AS (
		SELECT min(topic) FROM notification_consumer WHERE tenant = ?
		UNION ALL SELECT (SELECT min(c.topic) FROM notification_consumer c WHERE c.tenant = ? AND c.topic > step.topic) FROM step WHERE step.topic IS NOT NULL)
		SELECT count(topic) FROM step`, string(t), string(t)).Scan(&n)
	return n, err
}

// Places implements exchange.Store.
func (s *Store) Places(ctx context.Context, t iot.TenantID) (out []exchange.Place, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		p, err := scanPlace(r)
		out = append(out, p)
		return err
	}, `SELECT `+placeColumns+` FROM notification_consumer WHERE tenant = ? ORDER BY topic, subscriber`, string(t))
	return out, err
}

// Tenants implements exchange.Store.
func (s *Store) Tenants(ctx context.Context) (out []iot.TenantID, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var t string
		err := r.Scan(&t)
		out = append(out, iot.TenantID(t))
		return err
	}, `SELECT tenant FROM notification_subscription UNION SELECT tenant FROM notification_consumer ORDER BY 1`)
	return out, err
}

// Notes implements exchange.Notes.
func (s *Store) Notes(ctx context.Context, tenant, node string, after int64, limit int) ([]sqlkit.Note, error) {
	return s.db.Notes(ctx, tenant, node, after, limit)
}

// Orphans implements exchange.Notes.
func (s *Store) Orphans(ctx context.Context, node, home string, before int64, limit int) ([]string, []sqlkit.Note, error) {
	return s.db.Orphans(ctx, node, home, time.UnixMilli(before), limit)
}

// DropNotes implements exchange.Notes.
func (s *Store) DropNotes(ctx context.Context, tenant string, ids ...int64) error {
	return s.db.DropNotes(ctx, tenant, ids...)
}

// LeaveNote implements exchange.Notes.
func (s *Store) LeaveNote(ctx context.Context, n *sqlkit.Notes, subject string, data []byte) (int64, error) {
	return s.db.LeaveNote(ctx, n, subject, data)
}
