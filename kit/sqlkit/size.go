package sqlkit

import (
	"context"
	"database/sql"
)

// TenantBytes returns how many bytes the documents of a tenant have, of all tables with columns named tenant and doc. It reads them all.
func (db *DB) TenantBytes(ctx context.Context, tenant string) (total int64, err error) {
	query := `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name IN ('tenant', 'doc') GROUP BY m.name HAVING count(*) = 2`
	if db.Dialect == Postgres {
		query = `SELECT table_name FROM information_schema.columns WHERE table_schema = current_schema() AND column_name IN ('tenant', 'doc') GROUP BY table_name HAVING count(*) = 2`
	}
	var tables []string
	if err := Each(ctx, db, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		tables = append(tables, name)
		return err
	}, query); err != nil {
		return 0, err
	}
	for _, name := range tables {
		var n int64
		if err := db.QueryRow(ctx, `SELECT coalesce(sum(octet_length(doc)), 0) FROM `+name+` WHERE tenant = ?`, tenant).Scan(&n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
