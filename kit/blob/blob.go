package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"io"
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

// Store keeps blobs.
type Store struct {
	db    *sqlkit.DB
	clock clock.Clock
}

// New brings the tables up to date and removes what crashed uploads left behind.
func New(ctx context.Context, db *sqlkit.DB, c clock.Clock) (*Store, error) {
	if err := db.Migrate(ctx, "blob", migrations); err != nil {
		return nil, err
	}
	s := &Store{db, c}
	return s, s.sweep(ctx)
}

func (s *Store) sweep(ctx context.Context) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM blob_chunk WHERE created < ? AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.upload = blob_chunk.upload)`,
			s.clock.Now().Add(-abandoned).UnixMilli())
		return err
	})
}

// Put stores the content of r under a key, replacing what was there, and returns its size and the hexadecimal SHA-256 of it.
// More than limit bytes are a fault of kind TooLarge, and nothing is changed.
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
	upload := rand.Text()
	size, sha, err := s.upload(ctx, upload, r, limit)
	if err == nil {
		err = s.publish(ctx, t, key, upload, size, sha, replace)
	}
	if err != nil {
		s.discard(context.WithoutCancel(ctx), upload)
		return 0, "", sqlkit.Fault(op, err)
	}
	return size, sha, nil
}

// upload stores the chunks of r.
func (s *Store) upload(ctx context.Context, upload string, r io.Reader, limit int64) (size int64, sha string, err error) {
	hash := sha256.New()
	buf := make([]byte, chunkBytes)
	for n := 0; ; n++ {
		got, err := io.ReadFull(r, buf)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return 0, "", err
		}
		if size += int64(got); size > limit {
			return 0, "", fault.Errorf("blob.Put", fault.TooLarge, "the file must not be larger than %d bytes", limit)
		}
		if got > 0 {
			_, _ = hash.Write(buf[:got])
			if err := s.chunk(ctx, upload, n, buf[:got]); err != nil {
				return 0, "", err
			}
		}
		if end {
			return size, hex.EncodeToString(hash.Sum(nil)), nil
		}
	}
}

func (s *Store) chunk(ctx context.Context, upload string, n int, data []byte) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO blob_chunk (upload, n, created, data) VALUES (?,?,?,?)`, upload, int64(n), s.clock.Now().UnixMilli(), data)
		return err
	})
}

// publish makes an upload the content of a key.
func (s *Store) publish(ctx context.Context, t iot.TenantID, key, upload string, size int64, sha string, replace bool) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if replace {
			if err := tx.Lock(ctx, "blob", string(t), key); err != nil {
				return err
			}
			if _, err := remove(ctx, tx, t, key); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO blob (tenant, name, upload, size, sha256, created) VALUES (?,?,?,?,?,?)`,
			string(t), key, upload, size, sha, s.clock.Now().UnixMilli())
		return err
	})
}

func (s *Store) discard(ctx context.Context, upload string) {
	_ = s.db.Write(ctx, func(tx *sqlkit.Tx) error { // what remains is swept by New
		_, err := tx.Exec(ctx, `DELETE FROM blob_chunk WHERE upload = ?`, upload)
		return err
	})
}

// Delete removes a blob and reports whether there was one.
func (s *Store) Delete(ctx context.Context, t iot.TenantID, key string) (found bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		found, err = remove(ctx, tx, t, key)
		return err
	})
	return found, sqlkit.Fault("blob.Delete", err)
}

// DropTenant removes all blobs of a tenant and returns how many bytes they had.
func (s *Store) DropTenant(ctx context.Context, t iot.TenantID) (size int64, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT COALESCE(SUM(size), 0) FROM blob WHERE tenant = ?`, string(t)).Scan(&size); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM blob_chunk WHERE upload IN (SELECT upload FROM blob WHERE tenant = ?)`, string(t)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM blob WHERE tenant = ?`, string(t))
		return err
	})
	return size, sqlkit.Fault("blob.DropTenant", err)
}

func remove(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, key string) (bool, error) {
	var upload string
	err := tx.QueryRow(ctx, `SELECT upload FROM blob WHERE tenant = ? AND name = ?`+tx.ForUpdate(), string(t), key).Scan(&upload)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM blob WHERE tenant = ? AND name = ?`, string(t), key); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM blob_chunk WHERE upload = ?`, upload)
	return true, err
}

// TenantBytes returns how many bytes the blobs of a tenant have.
func (s *Store) TenantBytes(ctx context.Context, t iot.TenantID) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT coalesce(sum(size), 0) FROM blob WHERE tenant = ?`, string(t)).Scan(&n)
	return n, err
}
