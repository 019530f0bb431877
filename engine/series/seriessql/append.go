package seriessql

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// maxTries bounds how often a transaction starts again because another one took its sequence.
const maxTries = 20

// Append implements series.Store.
func (s *Store) Append(ctx context.Context, entries []series.Entry) error {
	err := cmp.Or(s.alive(), ctx.Err(), series.Check(entries))
	if err == nil && len(entries) > 0 {
		err = s.append(ctx, entries)
	}
	if err != nil {
		var t iot.TenantID
		if len(entries) > 0 {
			t = entries[0].Tenant
		}
		return s.finish("series.Append", t, err)
	}
	return nil
}

func (s *Store) append(ctx context.Context, entries []series.Entry) (err error) {
	began := time.Now()
	for range maxTries {
		if err = s.attempt(ctx, entries); !again(err) {
			break
		}
	}
	if err != nil {
		return err
	}
	n := 0
	for i := range entries {
		n += len(entries[i].M.Samples)
	}
	s.m.committed(n, began)
	return nil
}

func (s *Store) attempt(ctx context.Context, entries []series.Entry) error {
	b, err := s.rows(ctx, entries)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := b.sequences(ctx, tx); err != nil {
			return err
		}
		if err := b.insert(ctx, tx); err != nil {
			return err
		}
		return remember(ctx, tx, entries)
	})
}

// place is what must be unique together with a sequence.
type place struct {
	tenant string
	source int64
	ms     int64
}

// rows is a batch as columns. Numbers travel as array literals, because an array of arrays loses its rows when it is unnested.
type rows struct {
	ms      []*iot.Measurement // in the order of the columns
	tenant  []string
	source  []int64
	at      []int64
	seq     []int32
	shape   []int64
	mants   []string
	scales  []string
	extra   []*string
	members [][]string
}

// rows lays out the entries in the order of their keys, so that transactions lock keys in the same order and cannot deadlock.
func (s *Store) rows(ctx context.Context, entries []series.Entry) (*rows, error) {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(x, y series.Entry) int {
		return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(x.M.Source, y.M.Source), cmp.Compare(x.M.Time.UnixMilli(), y.M.Time.UnixMilli()))
	})
	r := &rows{}
	for _, e := range entries {
		shape, err := s.number(ctx, e.Tenant, e.M)
		if err != nil {
			return nil, err
		}
		r.ms = append(r.ms, e.M)
		r.tenant = append(r.tenant, string(e.Tenant))
		r.source = append(r.source, int64(e.M.Source))
		r.at = append(r.at, e.M.Time.UnixMilli())
		r.shape = append(r.shape, shape)
		r.values(e.M)
	}
	return r, nil
}

func (r *rows) values(m *iot.Measurement) {
	mants, scales := []byte{'{'}, []byte{'{'}
	for i := range m.Samples {
		if i > 0 {
			mants, scales = append(mants, ','), append(scales, ',')
		}
		mants = strconv.AppendInt(mants, m.Samples[i].Value.Mant, 10)
		scales = strconv.AppendInt(scales, int64(m.Samples[i].Value.Scale), 10)
	}
	r.mants, r.scales = append(r.mants, string(append(mants, '}'))), append(r.scales, string(append(scales, '}')))
	var extra *string
	var members []string
	if len(m.Extra) > 0 {
		text := string(m.Extra.AppendTo(nil))
		extra = &text
		for i := range m.Extra {
			members = append(members, m.Extra[i].Name)
		}
	}
	r.extra, r.members = append(r.extra, extra), append(r.members, members)
}

// sequences gives each measurement the sequence after the last one that is stored at its place.
func (r *rows) sequences(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, `SELECT m.tenant, m.source, m.ms, max(m.seq) + 1
		FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS p(tenant, source, ms)) AS p
		JOIN series_measurement m USING (tenant, source, ms) GROUP BY m.tenant, m.source, m.ms`, r.tenant, r.source, r.at)
	if err != nil {
		return err
	}
	free := map[place]int32{}
	var p place
	var next int32
	if _, err := pgx.ForEachRow(found, []any{&p.tenant, &p.source, &p.ms, &next}, func() error {
		free[p] = next
		return nil
	}); err != nil {
		return err
	}
	r.seq = r.seq[:0]
	for i := range r.ms {
		p := place{r.tenant[i], r.source[i], r.at[i]}
		seq := free[p]
		if seq > iot.MaxSeq {
			return fault.E(fault.Exhausted, "too many measurements of one source in one millisecond")
		}
		free[p] = seq + 1
		r.seq = append(r.seq, seq)
		r.ms[i].Seq = uint32(seq)
	}
	return nil
}

func (r *rows) insert(ctx context.Context, tx pgx.Tx) error {
	members := make([]*string, len(r.members))
	for i, names := range r.members {
		if names != nil {
			text := arrayLiteral(names)
			members[i] = &text
		}
	}
	_, err := tx.Exec(ctx, `WITH batch AS (
			SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[])
				AS b(tenant, source, ms, seq, shape, mants, scales, extra, members)
		), used AS (
			INSERT INTO series_catalog (tenant, source, shape) SELECT DISTINCT b.tenant, b.source, b.shape FROM batch b
			WHERE NOT EXISTS (SELECT FROM series_catalog c WHERE (c.tenant, c.source, c.shape) = (b.tenant, b.source, b.shape))
			ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING
		)
		INSERT INTO series_measurement (tenant, source, ms, seq, shape, mants, scales, extra, members)
		SELECT tenant, source, ms, seq, shape, mants::bigint[], scales::smallint[], extra, members::text[] FROM batch`,
		r.tenant, r.source, r.at, r.seq, r.shape, r.mants, r.scales, r.extra, members)
	return err
}

// arrayLiteral writes a text array as PostgreSQL reads it, every element quoted.
func arrayLiteral(texts []string) string {
	b := []byte{'{'}
	for i, t := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		for j := range len(t) {
			if t[j] == '"' || t[j] == '\\' {
				b = append(b, '\\')
			}
			b = append(b, t[j])
		}
		b = append(b, '"')
	}
	return string(append(b, '}'))
}
