package blob

import (
	"context"
	"database/sql"
	"errors"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"io"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Open returns the content of a blob from an offset on, and the size of all of it. A fault of kind NotFound if there is none, Invalid if
// the offset is beyond its end. The caller closes the reader, which reads as long as ctx lasts.
func (s *Store) Open(ctx context.Context, t iot.TenantID, key string, offset int64) (io.ReadCloser, int64, error) {
	const op = fault.Op("blob.Open")
	r := &reader{s: s, ctx: ctx}
	err := s.db.QueryRow(ctx, `SELECT upload, size FROM blob WHERE tenant = ? AND name = ?`, string(t), key).Scan(&r.upload, &r.size)
	if err != nil {
		return nil, 0, fault.E(op, fault.Subject(key), sqlkit.Fault(op, err))
	}
	if offset < 0 || offset > r.size {
		return nil, 0, fault.Errorf(op, fault.Invalid, "the offset must lie between 0 and %d", r.size)
	}
	r.at = offset
	return r, r.size, nil
}

// reader fetches one chunk at a time. Its context is that of the call of Open: io.Reader leaves no other way.
type reader struct {
	s        *Store
	ctx      context.Context
	upload   string
	size, at int64
	rest     []byte // of the present chunk, not yet read
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		if r.at >= r.size {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.at += int64(n)
	return n, nil
}

func (r *reader) fetch() error {
	var data []byte
	err := r.s.db.QueryRow(r.ctx, `SELECT data FROM blob_chunk WHERE upload = ? AND n = ?`, r.upload, r.at/chunkBytes).Scan(&data)
	skip := r.at % chunkBytes
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return io.ErrUnexpectedEOF // replaced or deleted meanwhile
	case err != nil:
		return sqlkit.Fault("blob.Read", err)
	case int64(len(data)) <= skip:
		return fault.E(fault.Op("blob.Read"), fault.Corrupt, fault.Subject(r.upload))
	}
	r.rest = data[skip:]
	return nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.at, r.rest = r.size, nil
	return nil
}
