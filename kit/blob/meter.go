package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const roomEvery = 8 << 20 // bytes between two looks at the space

// meter counts and sums up what is read through it, and fails when it is too much. It is used by one goroutine at a time.
type meter struct {
	r           io.Reader
	hash        hash.Hash
	room        func() error
	size, limit int64
	quota, used int64 // of the tenant; quota 0: none
	asked       int64 // size at the last look at the space
	err         error // why it failed
}

func newMeter(r io.Reader, limit int64, room func() error) *meter {
	return &meter{r: r, hash: sha256.New(), limit: limit, room: room}
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	m.size += int64(n)
	_, _ = m.hash.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		m.err = err
	}
	if e := m.check(); e != nil {
		m.err = e
	}
	if m.err != nil {
		return 0, m.err
	}
	return n, err
}

func (m *meter) check() error {
	switch {
	case m.size > m.limit:
		return fault.Errorf("blob.Put", fault.TooLarge, "the file must not be larger than %d bytes", m.limit)
	case m.quota > 0 && m.used+m.size > m.quota:
		return overQuota(m.quota, m.used)
	case m.size-m.asked >= roomEvery:
		m.asked = m.size
		return m.room()
	}
	return nil
}

func (m *meter) sum() string { return hex.EncodeToString(m.hash.Sum(nil)) }

func overQuota(quota, used int64) error {
	return fault.Errorf("blob.Put", fault.TooLarge, "the files of this tenant must not have more than %d bytes in all, and the others have %d already", quota, used)
}

// Usage returns how many bytes the blobs of a tenant have.
func (s *Store) Usage(ctx context.Context, t iot.TenantID) (int64, error) { return s.usage(ctx, t, "") }

func (s *Store) usage(ctx context.Context, t iot.TenantID, but string) (n int64, err error) {
	err = s.db.QueryRow(ctx, usageQuery, string(t), but).Scan(&n)
	return n, sqlkit.Fault("blob.Usage", err)
}

const usageQuery = `SELECT COALESCE(SUM(size), 0) FROM blob WHERE tenant = ? AND name <> ?`

func usage(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, but string) (n int64, err error) {
	err = tx.QueryRow(ctx, usageQuery, string(t), but).Scan(&n)
	return n, err
}
