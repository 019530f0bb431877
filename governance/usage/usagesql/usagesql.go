// Package usagesql is the SQL driver of governance/usage, on SQLite and PostgreSQL.
package usagesql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"slices"

	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements usage.Store.
type Store struct{ db *sqlkit.DB }

var _ usage.Store = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "usage", migrations)
}

// Add implements usage.Store. Rows are written in the order of their keys, so that nodes which write at once do not wait for each other in a circle.
func (s *Store) Add(ctx context.Context, t iot.TenantID, sums usage.Sums) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for _, day := range sorted(sums.Counts) {
			for c, n := range sums.Counts[day] {
				if n == 0 {
					continue
				}
				if _, err := tx.Exec(ctx, `INSERT INTO usage_counter (tenant, day, name, n) VALUES (?,?,?,?)
					ON CONFLICT (tenant, day, name) DO UPDATE SET n = usage_counter.n + excluded.n`, string(t), int64(day), usage.Counter(c).String(), n); err != nil {
					return err
				}
			}
		}
		for _, day := range sorted(sums.Devices) {
			devices := sums.Devices[day]
			for _, id := range sorted(devices) {
				if _, err := tx.Exec(ctx, `INSERT INTO usage_device (tenant, day, device, n) VALUES (?,?,?,?)
					ON CONFLICT (tenant, day, device) DO UPDATE SET n = usage_device.n + excluded.n`, string(t), int64(day), int64(id), devices[id]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func sorted[K usage.Day | iot.ID, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Measured implements usage.Store. The columns of parents hold Gauges.All; they kept the name of what was in them first.
func (s *Store) Measured(ctx context.Context, t iot.TenantID, day usage.Day, g usage.Gauges) error {
	greatest := "max"
	if s.db.Dialect == sqlkit.Postgres {
		greatest = "greatest"
	}
	raise := func(column string) string {
		return column + ` = ` + greatest + `(usage_gauge.` + column + `, excluded.` + column + `)`
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO usage_gauge (tenant, day, devices, parents, endpoints, storage, peak_devices, peak_parents, peak_endpoints, peak_storage)
			VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (tenant, day) DO UPDATE SET devices = excluded.devices, parents = excluded.parents, endpoints = excluded.endpoints,
			storage = excluded.storage, `+raise("peak_devices")+`, `+raise("peak_parents")+`, `+raise("peak_endpoints")+`, `+raise("peak_storage"),
			string(t), int64(day), g.Devices, g.All, g.Endpoints, g.Storage, g.Devices, g.All, g.Endpoints, g.Storage)
		return err
	})
}

// Days implements usage.Store.
func (s *Store) Days(ctx context.Context, t iot.TenantID, from, to usage.Day) ([]usage.Daily, error) {
	found := map[usage.Day]*usage.Daily{}
	at := func(day usage.Day) *usage.Daily {
		if found[day] == nil {
			found[day] = &usage.Daily{Day: day}
		}
		return found[day]
	}
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var day usage.Day
		var name string
		var n int64
		if err := r.Scan(&day, &name, &n); err != nil {
			return err
		}
		if c, ok := usage.CounterNamed(name); ok {
			at(day).Counts[c] = n
		}
		return nil
	}, `SELECT day, name, n FROM usage_counter WHERE tenant = ? AND day BETWEEN ? AND ?`, string(t), int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	measured := map[usage.Day]bool{}
	const columns = `SELECT day, devices, parents, endpoints, storage, peak_devices, peak_parents, peak_endpoints, peak_storage FROM usage_gauge WHERE tenant = ? AND day `
	if err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		d, err := scanGauges(r)
		if err == nil {
			x := at(d.Day)
			x.Gauges, x.Peak, measured[d.Day] = d.Gauges, d.Peak, true
		}
		return err
	}, columns+`BETWEEN ? AND ?`, string(t), int64(from), int64(to)); err != nil {
		return nil, err
	}
	last, err := scanGauges(s.db.QueryRow(ctx, columns+`< ? ORDER BY day DESC LIMIT 1`, string(t), int64(from)))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	var out []usage.Daily
	for _, day := range sorted(found) {
		d := found[day]
		if !measured[day] {
			d.Gauges, d.Peak = last.Gauges, last.Gauges
		}
		last.Gauges = d.Gauges
		out = append(out, *d)
	}
	return out, nil
}

func scanGauges(r interface{ Scan(...any) error }) (d usage.Daily, err error) {
	g, p := &d.Gauges, &d.Peak
	err = r.Scan(&d.Day, &g.Devices, &g.All, &g.Endpoints, &g.Storage, &p.Devices, &p.All, &p.Endpoints, &p.Storage)
	return d, err
}

// Devices implements usage.Store.
func (s *Store) Devices(ctx context.Context, t iot.TenantID, from, to usage.Day, device iot.ID, offset, limit int) (out []usage.DeviceCount, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var id, n int64
		err := r.Scan(&id, &n)
		out = append(out, usage.DeviceCount{Device: iot.ID(id), Count: n})
		return err
	}, `SELECT device, sum(n) FROM usage_device WHERE tenant = ? AND day BETWEEN ? AND ? AND (? = 0 OR device = ?) GROUP BY device ORDER BY device LIMIT ? OFFSET ?`,
		string(t), int64(from), int64(to), int64(device), int64(device), limit, offset)
	return out, err
}

// forgetBatch is how many rows one transaction removes, so that writers in between need not wait long.
const forgetBatch = 5000

// ForgetDevices implements usage.Store.
func (s *Store) ForgetDevices(ctx context.Context, before usage.Day) error {
	for {
		var n int64
		err := s.db.Write(ctx, func(tx *sqlkit.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM usage_device WHERE (tenant, day, device) IN (SELECT tenant, day, device FROM usage_device WHERE day < ? LIMIT ?)`, int64(before), forgetBatch)
			return err
		})
		if err != nil || n < forgetBatch {
			return err
		}
	}
}

// CreateFile implements usage.Store.
func (s *Store) CreateFile(ctx context.Context, f usage.File) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO usage_file (id, kind, generated, day_from, day_to, instance) VALUES (?,?,?,?,?,?)`,
			f.ID, f.Type, f.Generated.UnixMilli(), int64(f.From), int64(f.To), f.Instance)
		return err
	})
}

const fileColumns = `SELECT id, kind, generated, day_from, day_to, instance FROM usage_file `

func scanFile(r interface{ Scan(...any) error }) (f usage.File, err error) {
	var generated int64
	err = r.Scan(&f.ID, &f.Type, &generated, &f.From, &f.To, &f.Instance)
	f.Generated = sqlkit.Time(generated)
	return f, err
}

// File implements usage.Store.
func (s *Store) File(ctx context.Context, id string) (usage.File, error) {
	return scanFile(s.db.QueryRow(ctx, fileColumns+`WHERE id = ?`, id))
}

// Files implements usage.Store.
func (s *Store) Files(ctx context.Context, from, to usage.Day) (out []usage.File, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		f, err := scanFile(r)
		out = append(out, f)
		return err
	}, fileColumns+`WHERE day_from <= ? AND day_to >= ? ORDER BY generated DESC, id`, int64(to), int64(from))
	return out, err
}

// NextNumber implements usage.Store.
func (s *Store) NextNumber(ctx context.Context) (int64, error) {
	return s.db.NextID(ctx, string(iot.Management), "statistics file")
}
