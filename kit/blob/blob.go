package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	chunkBytes = 256 << 10
	abandoned  = 24 * time.Hour // no upload takes longer
)

// Grace is how long replaced content stays for those who have begun to read it.
const Grace = 10 * time.Minute

// Options of a store.
type Options struct {
	Clock clock.Clock
	// Places are where content may lie outside of the database, by the name that the database remembers. A place must stay in the list as
	// long as it holds content.
	Places map[string]Outside
	// Place is where new content goes that is larger than 256 KiB; empty: into the database.
	Place string
	// Alone says that no other process uses the database and the places: what uploads have left behind is then removed at the start,
	// whatever its age. Otherwise it must be a day old.
	Alone bool
	// Room is asked before an upload and while it goes on; its error, a fault of kind Full, ends it. Nil: there is always room.
	Room func() error
	// Quota returns how many bytes all blobs of a tenant may have; 0: any number. Nil: any number.
	Quota func(ctx context.Context, t iot.TenantID) int64
}

// Store keeps blobs.
type Store struct {
	db *sqlkit.DB
	o  Options
	// removing is held for reading while content is removed from a place, and for writing by whoever needs it all to stay.
	removing sync.RWMutex
}

// New returns a store that keeps everything in the database.
func New(ctx context.Context, db *sqlkit.DB, c clock.Clock) (*Store, error) {
	return Open(ctx, db, Options{Clock: c})
}

// Open brings the tables up to date and removes what crashed uploads left behind.
func Open(ctx context.Context, db *sqlkit.DB, o Options) (*Store, error) {
	if o.Place != "" && o.Places[o.Place] == nil {
		return nil, fault.E(fault.Op("blob.Open"), fault.Invalid, "there is no place "+o.Place)
	}
	if err := db.Migrate(ctx, "blob", migrations); err != nil {
		return nil, err
	}
	if o.Room == nil {
		o.Room = func() error { return nil }
	}
	s := &Store{db: db, o: o}
	age := abandoned
	if o.Alone {
		age = 0
	}
	return s, s.sweep(ctx, age)
}

// content is what an upload became.
type content struct {
	upload, place, sha string
	size               int64
}

// Put stores the content of r under a key, replacing what was there, and returns its size and the hexadecimal SHA-256 of it.
// More than limit bytes, or more than the tenant may have, are a fault of kind TooLarge; no space is Full. Then nothing is changed.
func (s *Store) Put(ctx context.Context, t iot.TenantID, key string, r io.Reader, limit int64) (size int64, sha string, err error) {
	return s.store(ctx, t, key, r, limit, true)
}

// Create is Put, but fails with a fault of kind Exists if the key is taken: of several callers exactly one succeeds.
func (s *Store) Create(ctx context.Context, t iot.TenantID, key string, r io.Reader, limit int64) (size int64, sha string, err error) {
	const op = fault.Op("blob.Create")
	var taken int
	switch err := s.db.QueryRow(ctx, `SELECT 1 FROM blob WHERE tenant = ? AND name = ?`, string(t), key).Scan(&taken); {
	case err == nil:
		return 0, "", fault.E(op, fault.Exists, fault.Subject(key)) // spares the upload
	case !errors.Is(err, sql.ErrNoRows):
		return 0, "", sqlkit.Fault(op, err)
	}
	return s.store(ctx, t, key, r, limit, false)
}

func (s *Store) store(ctx context.Context, t iot.TenantID, key string, r io.Reader, limit int64, replace bool) (int64, string, error) {
	const op = fault.Op("blob.Put")
	m := newMeter(r, limit, s.o.Room)
	if s.o.Quota != nil {
		if m.quota = s.o.Quota(ctx, t); m.quota > 0 {
			used, err := s.usage(ctx, t, key)
			if err != nil {
				return 0, "", err
			}
			m.used = used
		}
	}
	c := content{upload: rand.Text()}
	err := s.upload(ctx, &c, m)
	if err == nil {
		c.size, c.sha = m.size, m.sum()
		err = s.publish(ctx, t, key, c, m.quota, replace)
	}
	if err != nil {
		s.discard(context.WithoutCancel(ctx), c)
		return 0, "", sqlkit.Fault(op, err)
	}
	if replace {
		s.removeDue(context.WithoutCancel(ctx))
	}
	return c.size, c.sha, nil
}

// upload writes the content to where it belongs by its size.
func (s *Store) upload(ctx context.Context, c *content, m *meter) error {
	if err := s.o.Room(); err != nil {
		return err
	}
	head := make([]byte, chunkBytes)
	n, err := io.ReadFull(m, head)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF) && m.err == nil:
		return s.chunk(ctx, c.upload, 0, head[:n])
	case err != nil:
		return err
	}
	if s.o.Place == "" {
		return s.chunks(ctx, c.upload, head, m)
	}
	c.place = s.o.Place
	err = s.o.Places[c.place].Write(ctx, c.upload, io.MultiReader(bytes.NewReader(head), m))
	if m.err != nil { // says more than what the place made of it
		return m.err
	}
	return err
}

// chunks stores what is large in the database. It uses buf, which holds the first chunk.
func (s *Store) chunks(ctx context.Context, upload string, buf []byte, r io.Reader) error {
	for n := 0; ; n++ {
		if err := s.chunk(ctx, upload, n, buf); err != nil {
			return err
		}
		got, err := io.ReadFull(r, buf[:chunkBytes])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
			return err
		case got < chunkBytes:
			if m, ok := r.(*meter); ok && m.err != nil { // the source itself said ErrUnexpectedEOF
				return m.err
			}
			return s.chunk(ctx, upload, n+1, buf[:got])
		}
	}
}

func (s *Store) chunk(ctx context.Context, upload string, n int, data []byte) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO blob_chunk (upload, n, created, data) VALUES (?,?,?,?)`, upload, int64(n), s.o.Clock.Now().UnixMilli(), data)
		return err
	})
}

// publish makes an upload the content of a key.
func (s *Store) publish(ctx context.Context, t iot.TenantID, key string, c content, quota int64, replace bool) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if quota > 0 {
			if err := tx.Lock(ctx, "blob quota", string(t)); err != nil {
				return err
			}
			used, err := usage(ctx, tx, t, key)
			if err == nil && used+c.size > quota {
				err = overQuota(quota, used)
			}
			if err != nil {
				return err
			}
		}
		if replace {
			if err := tx.Lock(ctx, "blob", string(t), key); err != nil {
				return err
			}
			if _, err := s.remove(ctx, tx, t, key, Grace); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO blob (tenant, name, upload, size, sha256, created, place) VALUES (?,?,?,?,?,?,?)`,
			string(t), key, c.upload, c.size, c.sha, s.o.Clock.Now().UnixMilli(), c.place)
		return err
	})
}

// discard removes what a failed upload has written. What remains is found by Sweep.
func (s *Store) discard(ctx context.Context, c content) {
	if c.place != "" {
		_ = s.o.Places[c.place].Remove(ctx, c.upload)
		return
	}
	_ = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM blob_chunk WHERE upload = ?`, c.upload)
		return err
	})
}

// Delete removes a blob and reports whether there was one.
func (s *Store) Delete(ctx context.Context, t iot.TenantID, key string) (found bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		found, err = s.remove(ctx, tx, t, key, 0)
		return err
	})
	if err == nil && found {
		s.removeDue(context.WithoutCancel(ctx))
	}
	return found, sqlkit.Fault("blob.Delete", err)
}

// DropTenant removes all blobs of a tenant and returns how many bytes they had. It fails if content outside of the database could not be removed.
func (s *Store) DropTenant(ctx context.Context, t iot.TenantID) (size int64, err error) {
	const op = fault.Op("blob.DropTenant")
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT COALESCE(SUM(size), 0) FROM blob WHERE tenant = ?`, string(t)).Scan(&size); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO blob_gone (upload, place, due) SELECT upload, place, CAST(? AS BIGINT) FROM blob WHERE tenant = ?`,
			s.o.Clock.Now().UnixMilli(), string(t)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM blob WHERE tenant = ?`, string(t))
		return err
	})
	if err != nil {
		return 0, sqlkit.Fault(op, err)
	}
	return size, s.removeAllDue(ctx)
}

// remove makes a key vanish, and its content due after a while.
func (s *Store) remove(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, key string, after time.Duration) (bool, error) {
	var upload, place string
	err := tx.QueryRow(ctx, `SELECT upload, place FROM blob WHERE tenant = ? AND name = ?`+tx.ForUpdate(), string(t), key).Scan(&upload, &place)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM blob WHERE tenant = ? AND name = ?`, string(t), key); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO blob_gone (upload, place, due) VALUES (?,?,?)`, upload, place, s.o.Clock.Now().Add(after).UnixMilli())
	return true, err
}

// TenantBytes returns how many bytes the blobs of a tenant have.
func (s *Store) TenantBytes(ctx context.Context, t iot.TenantID) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT coalesce(sum(size), 0) FROM blob WHERE tenant = ?`, string(t)).Scan(&n)
	return n, err
}
