package sqlkit

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// eraseBatch is how many rows one transaction of EraseTenant deletes, so that writers in between need not wait long.
const eraseBatch = 2000

// EraseTenant deletes the rows of a tenant from every table that has a column named tenant, except those in keep, in batches, and returns
// how many there were, by table. Because it asks the engine for the tables, none can be forgotten. It may be called again after a failure.
func (db *DB) EraseTenant(ctx context.Context, tenant string, keep ...string) (map[string]int64, error) {
	tables, err := db.tenantTables(ctx)
	if err != nil {
		return nil, err
	}
	gone := map[string]int64{}
	for _, t := range tables {
		if slices.Contains(keep, t.name) {
			continue
		}
		key := strings.Join(t.key, ", ")
		query := `DELETE FROM ` + t.name + ` WHERE (` + key + `) IN (SELECT ` + key + ` FROM ` + t.name + ` WHERE tenant = ? LIMIT ?)`
		for {
			var n int64
			err := db.Write(ctx, func(tx *Tx) (err error) {
				n, err = tx.Exec(ctx, query, tenant, eraseBatch)
				return err
			})
			if err != nil {
				return gone, err
			}
			if n > 0 {
				gone[t.name] += n
			}
			if n < eraseBatch {
				break
			}
		}
	}
	return gone, nil
}

type tenantTable struct {
	name string
	key  []string // columns of the primary key
}

// tenantTables lists the tables with a column named tenant, by name.
func (db *DB) tenantTables(ctx context.Context) (out []tenantTable, err error) {
	query := `SELECT m.name, k.name FROM sqlite_master m JOIN pragma_table_info(m.name) k WHERE m.type = 'table' AND k.pk > 0
		AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) c WHERE c.name = 'tenant') ORDER BY m.name, k.pk`
	if db.Dialect == Postgres {
		query = `SELECT c.table_name, k.column_name FROM information_schema.columns c
			JOIN information_schema.table_constraints t ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.constraint_type = 'PRIMARY KEY'
			JOIN information_schema.key_column_usage k ON k.constraint_schema = t.constraint_schema AND k.constraint_name = t.constraint_name AND k.table_name = t.table_name
			WHERE c.table_schema = current_schema() AND c.column_name = 'tenant' ORDER BY c.table_name, k.ordinal_position`
	}
	err = Each(ctx, db, func(r *sql.Rows) error {
		var table, column string
		if err := r.Scan(&table, &column); err != nil {
			return err
		}
		if n := len(out); n == 0 || out[n-1].name != table {
			out = append(out, tenantTable{name: table})
		}
		last := &out[len(out)-1]
		last.key = append(last.key, column)
		return nil
	}, query)
	return out, err
}
