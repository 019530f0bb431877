package seriessql

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// shape is what measurements of one kind have in common. It never changes.
type shape struct {
	id     int64
	typ    string
	series []series.Info
}

type shapeText struct {
	tenant iot.TenantID
	text   string
}

type shapeID struct {
	tenant iot.TenantID
	id     int64
}

// cachedShapes bounds the cache, which starts anew when it is full.
const cachedShapes = 1 << 16

// shapes caches shapes that are committed, by content and by number.
type shapes struct {
	mu     sync.Mutex // guards byText, byID and size
	byText map[shapeText]int64
	byID   map[shapeID]*shape
	size   int
}

const cachedShapeText = 32 << 20

func newShapes() *shapes {
	return &shapes{byText: map[shapeText]int64{}, byID: map[shapeID]*shape{}}
}

func (c *shapes) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byText)
	clear(c.byID)
	c.size = 0
}

func (c *shapes) number(key shapeText) (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, ok := c.byText[key]
	return id, ok
}

func (c *shapes) learn(key shapeText, id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byText) >= cachedShapes || c.size >= cachedShapeText {
		clear(c.byText)
		c.size = 0
	}
	c.size += len(key.text)
	c.byText[key] = id
}

// text returns the canonical form of a measurement's shape.
func text(m *iot.Measurement) string {
	b := appendText(nil, m.Type)
	for i := range m.Samples {
		s := &m.Samples[i]
		b = appendText(appendText(appendText(b, s.Fragment), s.Series), s.Unit)
	}
	return string(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// store returns the number of a measurement's shape. A new shape is committed on its own: it does no harm if the measurement is not.
func (s *Store) number(ctx context.Context, t iot.TenantID, m *iot.Measurement) (int64, error) {
	key := shapeText{t, text(m)}
	if id, ok := s.shapes.number(key); ok {
		return id, nil
	}
	digest := sha256.Sum256([]byte(key.text))
	fragments, names, units := make([]string, len(m.Samples)), make([]string, len(m.Samples)), make([]string, len(m.Samples))
	for i := range m.Samples {
		fragments[i], names[i], units[i] = m.Samples[i].Fragment, m.Samples[i].Series, m.Samples[i].Unit
	}
	_, err := s.pool.Exec(ctx, `INSERT INTO series_shape (tenant, digest, type, fragments, series, units)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, digest) DO NOTHING`, t, digest[:], m.Type, fragments, names, units)
	if err != nil {
		return 0, err
	}
	var id int64
	if err := s.pool.QueryRow(ctx, `SELECT id FROM series_shape WHERE tenant = $1 AND digest = $2`, t, digest[:]).Scan(&id); err != nil {
		return 0, err
	}
	s.shapes.learn(key, id)
	return id, nil
}

// shape returns the shape with a number.
func (s *Store) shape(ctx context.Context, t iot.TenantID, id int64) (*shape, error) {
	s.shapes.mu.Lock()
	sh := s.shapes.byID[shapeID{t, id}]
	s.shapes.mu.Unlock()
	if sh != nil {
		return sh, nil
	}
	rows, err := s.pool.Query(ctx, `SELECT id, type, fragments, series, units FROM series_shape WHERE tenant = $1 AND id = $2`, t, id)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, readShape)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, damaged(t, "a shape is missing")
	}
	s.shapes.mu.Lock()
	defer s.shapes.mu.Unlock()
	if len(s.shapes.byID) >= cachedShapes {
		clear(s.shapes.byID)
	}
	s.shapes.byID[shapeID{t, id}] = found[0]
	return found[0], nil
}

func readShape(row pgx.CollectableRow) (*shape, error) {
	var sh shape
	var fragments, names, units []string
	if err := row.Scan(&sh.id, &sh.typ, &fragments, &names, &units); err != nil {
		return nil, err
	}
	if len(names) != len(fragments) || len(units) != len(fragments) {
		return nil, errors.New("a shape is not complete")
	}
	for i := range fragments {
		sh.series = append(sh.series, series.Info{Key: series.Key{Fragment: fragments[i], Series: names[i]}, Unit: units[i]})
	}
	return &sh, nil
}
