package blob

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Sweep removes content that was replaced or deleted, and what uploads that never ended have left, once it is a day old. It should be called now
// and then.
func (s *Store) Sweep(ctx context.Context) error { return s.sweep(ctx, abandoned) }

func (s *Store) sweep(ctx context.Context, age time.Duration) error {
	before := s.o.Clock.Now().Add(-age)
	err := s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM blob_chunk WHERE created <= ? AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.upload = blob_chunk.upload)
			AND NOT EXISTS (SELECT 1 FROM blob_gone g WHERE g.upload = blob_chunk.upload)`, before.UnixMilli())
		return err
	})
	if err != nil {
		return sqlkit.Fault("blob.Sweep", err)
	}
	if err := s.removeAllDue(ctx); err != nil {
		return err
	}
	for _, place := range s.o.Places {
		err := place.List(ctx, func(name string, written time.Time) error {
			if age > 0 && written.After(before) {
				return nil
			}
			known, err := s.known(ctx, name)
			if err != nil || known {
				return err
			}
			return s.free(ctx, place, name)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) known(ctx context.Context, upload string) (bool, error) {
	var n int
	err := s.db.QueryRow(ctx, `SELECT 1 FROM blob WHERE upload = ? UNION ALL SELECT 1 FROM blob_gone WHERE upload = ?`, upload, upload).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, sqlkit.Fault("blob.Sweep", err)
}

// Hold keeps all content that can be found now in its places until release is called.
func (s *Store) Hold() (release func()) {
	s.removing.Lock()
	return s.removing.Unlock
}

var errHeld = errors.New("nothing is removed now")

// free removes content from a place unless somebody needs it all to stay.
func (s *Store) free(ctx context.Context, place Outside, name string) error {
	if !s.removing.TryRLock() {
		return errHeld
	}
	defer s.removing.RUnlock()
	return place.Remove(ctx, name)
}

// removeDue removes what is due. What fails is tried again by Sweep.
func (s *Store) removeDue(ctx context.Context) { _, _ = s.removeSome(ctx) }

func (s *Store) removeAllDue(ctx context.Context) error {
	for {
		n, err := s.removeSome(ctx)
		if errors.Is(err, errHeld) {
			return nil
		}
		if err != nil || n == 0 {
			return err
		}
	}
}

// removeSome removes some of what is due, and returns how many.
func (s *Store) removeSome(ctx context.Context) (int, error) {
	const op = fault.Op("blob.Sweep")
	due, err := s.due(ctx)
	if err != nil {
		return 0, sqlkit.Fault(op, err)
	}
	for _, c := range due {
		if c.place != "" {
			place := s.o.Places[c.place]
			if place == nil {
				return 0, missingPlace(op, c.place)
			}
			if err := s.free(ctx, place, c.upload); err != nil {
				return 0, err
			}
		}
		err := s.db.Write(ctx, func(tx *sqlkit.Tx) error {
			if c.place == "" {
				if _, err := tx.Exec(ctx, `DELETE FROM blob_chunk WHERE upload = ?`, c.upload); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, `DELETE FROM blob_gone WHERE upload = ?`, c.upload)
			return err
		})
		if err != nil {
			return 0, sqlkit.Fault(op, err)
		}
	}
	return len(due), nil
}

func (s *Store) due(ctx context.Context) (out []content, err error) {
	rows, err := s.db.Query(ctx, `SELECT upload, place FROM blob_gone WHERE due <= ? ORDER BY due LIMIT 200`, s.o.Clock.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c content
		if err := rows.Scan(&c.upload, &c.place); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

func missingPlace(op fault.Op, place string) error {
	return fault.E(op, fault.Unavailable, "the file lies in a place that is not configured: "+place)
}
