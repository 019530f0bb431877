package blob

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Blob is one content of a key. It stays the same when the key gets another one.
type Blob struct {
	Size    int64
	SHA256  string // hexadecimal
	Created time.Time

	s             *Store
	upload, place string
}

// Find returns what lies under a key. A fault of kind NotFound if nothing does.
func (s *Store) Find(ctx context.Context, t iot.TenantID, key string) (*Blob, error) {
	const op = fault.Op("blob.Find")
	b := &Blob{s: s}
	var created int64
	err := s.db.QueryRow(ctx, `SELECT upload, size, sha256, created, place FROM blob WHERE tenant = ? AND name = ?`, string(t), key).
		Scan(&b.upload, &b.Size, &b.SHA256, &created, &b.place)
	if err != nil {
		return nil, fault.E(op, fault.Subject(key), sqlkit.Fault(op, err))
	}
	b.Created = time.UnixMilli(created).UTC()
	return b, nil
}

// Open returns the content of a blob from an offset on, and the size of all of it. A fault of kind NotFound if there is none, Invalid if
// the offset is beyond its end. The caller closes the reader, which reads as long as ctx lasts.
func (s *Store) Open(ctx context.Context, t iot.TenantID, key string, offset int64) (io.ReadCloser, int64, error) {
	b, err := s.Find(ctx, t, key)
	if err != nil {
		return nil, 0, err
	}
	r, err := b.Reader(ctx, offset)
	return r, b.Size, err
}

// Reader reads the content from an offset on, as long as ctx lasts. The caller closes it. An offset beyond the end is a fault of kind Invalid; what
// was deleted meanwhile is NotFound. Content of up to 256 KiB is read and checked here; damage of larger content is found at its end.
func (b *Blob) Reader(ctx context.Context, offset int64) (io.ReadCloser, error) {
	const op = fault.Op("blob.Open")
	if offset < 0 || offset > b.Size {
		return nil, fault.Errorf(op, fault.Invalid, "the offset must lie between 0 and %d", b.Size)
	}
	r, err := b.source(ctx, offset)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fault.E(op, fault.NotFound, fault.Subject(b.upload), err)
	}
	if err != nil || offset > 0 {
		return r, err
	}
	return &checked{ReadCloser: r, b: b, hash: sha256.New()}, nil
}

func (b *Blob) source(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if b.place == "" {
		r := &reader{b: b, ctx: ctx, at: offset}
		if offset == b.Size {
			return r, nil
		}
		return r, r.fetch()
	}
	place := b.s.o.Places[b.place]
	if place == nil {
		return nil, missingPlace("blob.Open", b.place)
	}
	r, err := place.Open(ctx, b.upload, offset)
	if fault.Is(err, fault.NotFound) && b.current(ctx) {
		err = b.damaged()
	}
	return r, err
}

// current reports whether the database still names this content.
func (b *Blob) current(ctx context.Context) bool {
	known, err := b.s.known(ctx, b.upload)
	return err == nil && known
}

func (b *Blob) damaged() error {
	return fault.E(fault.Op("blob.Read"), fault.Corrupt, fault.Subject(b.upload), "the stored file is damaged")
}

// checked fails instead of giving out the last bytes if the whole is not what was stored.
type checked struct {
	io.ReadCloser
	b    *Blob
	hash hash.Hash
	at   int64
}

// Read implements io.Reader.
func (c *checked) Read(p []byte) (int, error) {
	if c.at == c.b.Size {
		return 0, io.EOF
	}
	if rest := c.b.Size - c.at; int64(len(p)) > rest {
		p = p[:rest]
	}
	n, err := c.ReadCloser.Read(p)
	_, _ = c.hash.Write(p[:n])
	c.at += int64(n)
	switch {
	case c.at == c.b.Size && hex.EncodeToString(c.hash.Sum(nil)) != c.b.SHA256:
		c.at -= int64(n)
		return 0, c.b.damaged()
	case errors.Is(err, io.EOF) && c.at < c.b.Size:
		return n, c.b.damaged()
	case errors.Is(err, io.EOF):
		err = nil
	}
	return n, err
}

// reader fetches one chunk at a time from the database. Its context is that of the call of Reader: io.Reader leaves no other way.
type reader struct {
	b    *Blob
	ctx  context.Context
	at   int64
	rest []byte // of the present chunk, not yet read
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		if r.at >= r.b.Size {
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
	err := r.b.s.db.QueryRow(r.ctx, `SELECT data FROM blob_chunk WHERE upload = ? AND n = ?`, r.b.upload, r.at/chunkBytes).Scan(&data)
	skip := r.at % chunkBytes
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return io.ErrUnexpectedEOF // deleted meanwhile
	case err != nil:
		return sqlkit.Fault("blob.Read", err)
	case int64(len(data)) <= skip:
		return r.b.damaged()
	}
	if r.b.Size <= chunkBytes && r.at == 0 {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != r.b.SHA256 {
			return r.b.damaged()
		}
	}
	r.rest = data[skip:]
	return nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.at, r.rest = r.b.Size, nil
	return nil
}
