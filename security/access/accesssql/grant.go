package accesssql

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

var _ access.GrantStore = (*Store)(nil)

// InventoryRoles implements access.GrantStore.
func (s *Store) InventoryRoles(ctx context.Context, t iot.TenantID) (out []access.InventoryRole, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var x access.InventoryRole
		var doc []byte
		if err := r.Scan(&doc); err != nil {
			return err
		}
		err := json.Unmarshal(doc, &x)
		out = append(out, x)
		return err
	}, `SELECT doc FROM inventory_role WHERE tenant = ? ORDER BY id`, string(t))
	return out, err
}

// PutInventoryRole implements access.GrantStore.
func (s *Store) PutInventoryRole(ctx context.Context, t iot.TenantID, x access.InventoryRole, create bool, rev sqlkit.Revision) error {
	doc, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if create {
			_, err := tx.Exec(ctx, `INSERT INTO inventory_role (tenant, id, name, doc, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?,?,?)`,
				string(t), x.ID, x.Name, string(doc), rev.At.UnixMilli(), rev.By, rev.Set)
			return err
		}
		if err := supersedeInventoryRole(ctx, tx, t, x.ID, false, rev); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE inventory_role SET name = ?, doc = ?, rev_at = ?, rev_by = ?, rev_set = ? WHERE tenant = ? AND id = ?`,
			x.Name, string(doc), rev.At.UnixMilli(), rev.By, rev.Set, string(t), x.ID)
		return err
	})
}

func supersedeInventoryRole(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id int64, deleted bool, rev sqlkit.Revision) error {
	var doc []byte
	var at int64
	if err := tx.QueryRow(ctx, `SELECT doc, rev_at FROM inventory_role WHERE tenant = ? AND id = ?`+tx.ForUpdate(), string(t), id).Scan(&doc, &at); err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindInventoryRole), ID: strconv.FormatInt(id, 10), From: sqlkit.Time(at), Until: rev, Deleted: deleted, Doc: doc})
}

// DeleteInventoryRole implements access.GrantStore.
func (s *Store) DeleteInventoryRole(ctx context.Context, t iot.TenantID, id int64, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := supersedeInventoryRole(ctx, tx, t, id, true, rev); err != nil {
			return err
		}
		for _, q := range []string{`DELETE FROM inventory_assignment_role WHERE tenant = ? AND role = ?`, `DELETE FROM inventory_role WHERE tenant = ? AND id = ?`} {
			if _, err := tx.Exec(ctx, q, string(t), id); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM inventory_assignment WHERE tenant = ? AND NOT EXISTS
			(SELECT 1 FROM inventory_assignment_role r WHERE r.tenant = inventory_assignment.tenant AND r.assignment = inventory_assignment.id)`, string(t))
		return err
	})
}

// Assignments implements access.GrantStore.
func (s *Store) Assignments(ctx context.Context, t iot.TenantID, user iot.UserName) (out []access.Assignment, err error) {
	query, args := `SELECT a.id, a.account, a.object, r.role FROM inventory_assignment a JOIN inventory_assignment_role r ON r.tenant = a.tenant AND r.assignment = a.id
		WHERE a.tenant = ?`, []any{string(t)}
	if user != "" {
		query, args = query+` AND a.account = ?`, append(args, string(user))
	}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var a access.Assignment
		var object, role int64
		if err := r.Scan(&a.ID, &a.User, &object, &role); err != nil {
			return err
		}
		if n := len(out); n == 0 || out[n-1].ID != a.ID {
			a.Object = iot.ID(object)
			out = append(out, a)
		}
		last := &out[len(out)-1]
		last.Roles = append(last.Roles, role)
		return nil
	}, query+` ORDER BY a.id, r.role`, args...)
	return out, err
}

// PutAssignment implements access.GrantStore.
func (s *Store) PutAssignment(ctx context.Context, t iot.TenantID, a access.Assignment) (access.Assignment, error) {
	create := a.ID == 0
	if create {
		id, err := s.db.NextID(ctx, string(t), "assignment")
		if err != nil {
			return a, err
		}
		a.ID = int64(id)
	}
	return a, s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if create {
			_, err := tx.Exec(ctx, `INSERT INTO inventory_assignment (tenant, id, account, object) VALUES (?,?,?,?)`, string(t), a.ID, string(a.User), int64(a.Object))
			if err != nil {
				return err
			}
		} else {
			var one int
			if err := tx.QueryRow(ctx, `SELECT 1 FROM inventory_assignment WHERE tenant = ? AND id = ? AND account = ?`+tx.ForUpdate(), string(t), a.ID, string(a.User)).Scan(&one); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM inventory_assignment_role WHERE tenant = ? AND assignment = ?`, string(t), a.ID); err != nil {
			return err
		}
		for _, role := range a.Roles {
			if _, err := tx.Exec(ctx, `INSERT INTO inventory_assignment_role (tenant, assignment, role) VALUES (?,?,?)`, string(t), a.ID, role); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteAssignment implements access.GrantStore.
func (s *Store) DeleteAssignment(ctx context.Context, t iot.TenantID, user iot.UserName, id int64) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM inventory_assignment WHERE tenant = ? AND id = ? AND account = ?`, string(t), id, string(user))
		if err == nil && n == 0 {
			err = sql.ErrNoRows
		}
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM inventory_assignment_role WHERE tenant = ? AND assignment = ?`, string(t), id)
		}
		return err
	})
}

// DevicePermissions implements access.GrantStore.
func (s *Store) DevicePermissions(ctx context.Context, t iot.TenantID, object iot.ID, user iot.UserName, groups []int64) (out []access.DevicePermission, err error) {
	query, args := `SELECT object, account, grp, entries FROM device_permission WHERE tenant = ?`, []any{string(t)}
	switch {
	case object != 0:
		query, args = query+` AND object = ?`, append(args, int64(object))
	case user != "" || len(groups) > 0:
		query, args = query+` AND ((account = ? AND account <> '') OR (account = '' AND grp IN `+sqlkit.In(len(groups))+`))`, append(args, string(user))
		for _, g := range groups {
			args = append(args, g)
		}
	}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var p access.DevicePermission
		var object int64
		var entries []byte
		if err := r.Scan(&object, &p.User, &p.Group, &entries); err != nil {
			return err
		}
		p.Object = iot.ID(object)
		err := json.Unmarshal(entries, &p.Entries)
		out = append(out, p)
		return err
	}, query+` ORDER BY object, account, grp`, args...)
	return out, err
}

// PutDevicePermissions implements access.GrantStore.
func (s *Store) PutDevicePermissions(ctx context.Context, t iot.TenantID, permissions []access.DevicePermission) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for _, p := range permissions {
			if _, err := tx.Exec(ctx, `DELETE FROM device_permission WHERE tenant = ? AND object = ? AND account = ? AND grp = ?`, string(t), int64(p.Object), string(p.User), p.Group); err != nil {
				return err
			}
			if len(p.Entries) == 0 {
				continue
			}
			entries, err := json.Marshal(p.Entries)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO device_permission (tenant, object, account, grp, entries) VALUES (?,?,?,?,?)`,
				string(t), int64(p.Object), string(p.User), p.Group, string(entries)); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetObject implements access.GrantStore.
func (s *Store) ForgetObject(ctx context.Context, t iot.TenantID, object iot.ID) error {
	var one int // most have nothing: do not write for them
	err := s.db.QueryRow(ctx, `SELECT 1 FROM inventory_assignment WHERE tenant = ? AND object = ? UNION SELECT 1 FROM device_permission WHERE tenant = ? AND object = ?`,
		string(t), int64(object), string(t), int64(object)).Scan(&one)
	if err == sql.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error { return forgetGrants(ctx, tx, t, "object", int64(object)) })
}

// forgetGrants removes assignments and device permissions on an object or of an account.
func forgetGrants(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, column string, value any) error {
	for _, q := range []string{
		`DELETE FROM inventory_assignment_role WHERE tenant = ? AND assignment IN (SELECT a.id FROM inventory_assignment a WHERE a.tenant = inventory_assignment_role.tenant AND a.` + column + ` = ?)`,
		`DELETE FROM inventory_assignment WHERE tenant = ? AND ` + column + ` = ?`,
		`DELETE FROM device_permission WHERE tenant = ? AND ` + column + ` = ?`,
	} {
		if _, err := tx.Exec(ctx, q, string(t), value); err != nil {
			return err
		}
	}
	return nil
}
