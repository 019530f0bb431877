package sqlkit

import (
	"context"
	"database/sql"
	"time"
)

// Notes says that transactions under a context are to leave notes of what they did, and for whom.
type Notes struct {
	Tenant string
	Node   string // who passes the notes on
	// Left is called after a transaction with notes is durable. It must not block.
	Left func()
}

// Note is a fact that was stored together with what it tells of.
type Note struct {
	ID      int64 // ascending per tenant in the order of commits
	Node    string
	Created time.Time
	Subject string
	Data    []byte
}

type notesKey struct{}

// WithNotes makes Tx.Note leave notes in the transactions under the context.
func WithNotes(ctx context.Context, n *Notes) context.Context {
	return context.WithValue(ctx, notesKey{}, n)
}

// Note leaves a note of what the transaction does, to be passed on after it. It does nothing, and does not call fact, unless the context asks
// for notes. On PostgreSQL, transactions that leave notes for the same tenant wait for each other from here on, so that ids follow the commits.
func (tx *Tx) Note(ctx context.Context, fact func() (subject string, data []byte, err error)) error {
	n, _ := ctx.Value(notesKey{}).(*Notes)
	if n == nil {
		return nil
	}
	subject, data, err := fact()
	if err != nil {
		return err
	}
	_, err = tx.note(ctx, n, subject, data)
	return err
}

func (tx *Tx) note(ctx context.Context, n *Notes, subject string, data []byte) (id int64, err error) {
	var next int64
	err = tx.QueryRow(ctx, `INSERT INTO sequence (tenant, name, next) VALUES (?, 'note', 2) ON CONFLICT (tenant, name) DO UPDATE SET next = sequence.next + 1 RETURNING next`,
		n.Tenant).Scan(&next)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO note (tenant, id, node, created, subject, data) VALUES (?, ?, ?, ?, ?, ?)`,
		n.Tenant, next-1, n.Node, time.Now().UnixMilli(), subject, data)
	return next - 1, err
}

// LeaveNote leaves a note in a transaction of its own and returns its id. Left is not called.
func (db *DB) LeaveNote(ctx context.Context, n *Notes, subject string, data []byte) (id int64, err error) {
	err = db.Write(withoutDelivery(ctx), func(tx *Tx) (err error) {
		id, err = tx.note(ctx, n, subject, data)
		return err
	})
	return id, err
}

// left tells who passes notes on that there may be some.
func left(ctx context.Context, err error) {
	if n, _ := ctx.Value(notesKey{}).(*Notes); n != nil && err == nil {
		n.Left()
	}
}

// Notes returns up to limit notes of a tenant with ids above after, in their order. An empty node means the notes of all nodes.
func (db *DB) Notes(ctx context.Context, tenant, node string, after int64, limit int) (out []Note, err error) {
	err = Each(ctx, db, func(r *sql.Rows) error {
		var x Note
		var created int64
		err := r.Scan(&x.ID, &x.Node, &created, &x.Subject, &x.Data)
		x.Created = Time(created)
		out = append(out, x)
		return err
	}, `SELECT id, node, created, subject, data FROM note WHERE tenant = ? AND id > ? AND (node = ? OR ? = '') ORDER BY id LIMIT ?`, tenant, after, node, node, limit)
	return out, err
}

// Orphans returns the oldest notes that other nodes than this one left and did not pass on, if they are from before a time or if the name of the
// node begins with home and a slash. They come up to limit, in the order of their tenants and ids.
func (db *DB) Orphans(ctx context.Context, node, home string, before time.Time, limit int) (tenants []string, notes []Note, err error) {
	err = Each(ctx, db, func(r *sql.Rows) error {
		var t string
		var x Note
		var created int64
		err := r.Scan(&t, &x.ID, &x.Node, &created, &x.Subject, &x.Data)
		x.Created = Time(created)
		tenants, notes = append(tenants, t), append(notes, x)
		return err
	}, `SELECT tenant, id, node, created, subject, data FROM note WHERE node <> ? AND (created < ? OR node LIKE ?) ORDER BY tenant, id LIMIT ?`, node, before.UnixMilli(), home+"/%", limit)
	return tenants, notes, err
}

// DropNotes removes notes that were passed on.
func (db *DB) DropNotes(ctx context.Context, tenant string, ids ...int64) error {
	return db.Write(withoutDelivery(ctx), func(tx *Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec(ctx, `DELETE FROM note WHERE tenant = ? AND id = ?`, tenant, id); err != nil {
				return err
			}
		}
		return nil
	})
}
