// Package accesssql is the SQL driver of security/access: users, global roles and sessions, on SQLite and PostgreSQL.
package accesssql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements access.Store and access.SessionStore.
type Store struct{ db *sqlkit.DB }

var (
	_ access.Store        = (*Store)(nil)
	_ access.SessionStore = (*Store)(nil)
)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "access", migrations)
}

// User implements access.Store.
func (s *Store) User(ctx context.Context, t iot.TenantID, name iot.UserName) (access.User, error) {
	u, err := s.Account(ctx, t, name)
	if !errors.Is(err, sql.ErrNoRows) {
		return u, err
	}
	// Not with OR in one query: that looks at every account of the tenant, for each login.
	return scanUser(s.db.QueryRow(ctx, `SELECT doc, rev_at, rev_set FROM account WHERE tenant = ? AND display = ? AND display <> '' LIMIT 1`, string(t), string(name)))
}

// Account implements access.Store.
func (s *Store) Account(ctx context.Context, t iot.TenantID, name iot.UserName) (access.User, error) {
	return scanUser(s.db.QueryRow(ctx, `SELECT doc, rev_at, rev_set FROM account WHERE tenant = ? AND name = ?`, string(t), string(name)))
}

func scanUser(r interface{ Scan(...any) error }) (u access.User, err error) {
	var doc []byte
	var at int64
	var version string
	if err = r.Scan(&doc, &at, &version); err != nil {
		return u, err
	}
	err = json.Unmarshal(doc, &u)
	u.Changed, u.Version = sqlkit.Time(at), version
	return u, err
}

// Users implements access.Store.
func (s *Store) Users(ctx context.Context, t iot.TenantID, q access.UserQuery) ([]access.User, int, error) {
	where := []string{"tenant = ?", "device = ?"}
	args := []any{string(t), sqlkit.Bool(q.OnlyDevices)}
	like := func(pattern string) {
		where = append(where, `lower_name LIKE ? ESCAPE '\'`)
		args = append(args, pattern)
	}
	if q.Prefix != "" {
		like(sqlkit.EscapeLike(strings.ToLower(q.Prefix)) + "%")
	}
	if q.Contains != "" {
		like("%" + sqlkit.EscapeLike(strings.ToLower(q.Contains)) + "%")
	}
	if q.Owner != "" {
		where = append(where, "owner = ?")
		args = append(args, string(q.Owner))
	}
	if len(q.Groups) > 0 {
		where = append(where, `EXISTS (SELECT 1 FROM account_group g WHERE g.tenant = account.tenant AND g.account = account.name AND g.grp IN `+sqlkit.In(len(q.Groups))+`)`)
		for _, g := range q.Groups {
			args = append(args, g)
		}
	}
	cond := ` FROM account WHERE ` + strings.Join(where, " AND ")
	var total int
	if err := s.db.QueryRow(ctx, `SELECT count(*)`+cond, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	var out []access.User
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		u, err := scanUser(r)
		out = append(out, u)
		return err
	}, `SELECT doc, rev_at, rev_set`+cond+` ORDER BY name LIMIT ? OFFSET ?`, append(args, q.Limit, q.Offset)...)
	return out, total, err
}

// PutUser implements access.Store.
func (s *Store) PutUser(ctx context.Context, t iot.TenantID, u access.User, create bool, rev sqlkit.Revision) error {
	doc, err := json.Marshal(u)
	if err != nil {
		return err
	}
	email := strings.ToLower(u.Email)
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := s.unique(ctx, tx, t, u, email, create); err != nil {
			return err
		}
		alias := strings.ToLower(u.DisplayName)
		if create {
			_, err = tx.Exec(ctx, `INSERT INTO account (tenant, name, lower_name, display, lower_display, device, owner, email, doc, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
				string(t), string(u.Name), strings.ToLower(string(u.Name)), u.DisplayName, alias, sqlkit.Bool(u.Name.IsDevice()), string(u.Owner), email, string(doc), rev.At.UnixMilli(), rev.By, rev.Set)
			if err != nil {
				return err
			}
		} else {
			old, err := s.supersede(ctx, tx, t, iot.KindUser, string(u.Name), &u.Version, rev)
			if err != nil {
				return err
			}
			if err := s.keepAdmin(ctx, tx, t, old, u); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `UPDATE account SET display = ?, lower_display = ?, owner = ?, email = ?, doc = ?, rev_at = ?, rev_by = ?, rev_set = ? WHERE tenant = ? AND name = ?`,
				u.DisplayName, alias, string(u.Owner), email, string(doc), rev.At.UnixMilli(), rev.By, rev.Set, string(t), string(u.Name))
			if err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM account_group WHERE tenant = ? AND account = ?`, string(t), string(u.Name)); err != nil {
			return err
		}
		for _, g := range u.Groups {
			if _, err := tx.Exec(ctx, `INSERT INTO account_group (tenant, account, grp) VALUES (?,?,?)`, string(t), string(u.Name), g); err != nil {
				return err
			}
		}
		return nil
	})
}

// unique refuses an e-mail address, login alias or, of people, name that another user has. It is no index, because rows from before the rule may
// break it: they stay as they are until somebody changes them. Nobody else is in between: who gives a user any of it takes the lock of the tenant
// first. So does every change of a person, for keepAdmin, before it locks rows.
func (s *Store) unique(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, u access.User, email string, create bool) error {
	if u.Machine() && email == "" && u.DisplayName == "" {
		return nil
	}
	if err := tx.Lock(ctx, "account", string(t)); err != nil {
		return err
	}
	name, alias := strings.ToLower(string(u.Name)), strings.ToLower(u.DisplayName)
	if !create || u.Machine() { // somebody who took the name of a machine as an alias, before that was refused, does not keep it from its account
		name = ""
	}
	for _, rule := range []struct {
		value, own string // own: the column that may have it already
		cond       string
		err        error
	}{
		{email, "email", `email = ?`, access.ErrEmailTaken},
		{alias, "lower_display", `(lower_display = ? OR lower_name = ? OR email = ?)`, access.ErrAliasTaken},
		{name, "lower_name", `lower_display = ?`, access.ErrNameTaken},
	} {
		if rule.value == "" {
			continue
		}
		args := []any{string(t), string(u.Name)}
		for range strings.Count(rule.cond, "?") {
			args = append(args, rule.value)
		}
		var n, same int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM account WHERE tenant = ? AND name <> ? AND `+rule.cond, args...).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM account WHERE tenant = ? AND name = ? AND `+rule.own+` = ?`, args[:3]...).Scan(&same); err != nil {
			return err
		}
		if same == 0 { // what the user has already stays
			return rule.err
		}
	}
	return nil
}

// keepAdmin refuses to take the last administrator away: before is the user as stored, after what is to become of it. People from other
// directories do not count, because these decide what becomes of them.
func (s *Store) keepAdmin(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, before []byte, after access.User) error {
	var id int64
	err := tx.QueryRow(ctx, `SELECT id FROM global_role WHERE tenant = ? AND name = ?`, string(t), access.AdminGroup).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	admin := func(u access.User) bool {
		return u.Enabled && u.Origin == access.Local && !u.Machine() && slices.Contains(u.Groups, id)
	}
	var was access.User
	if err := json.Unmarshal(before, &was); err != nil {
		return err
	}
	if !admin(was) || admin(after) {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT doc FROM account WHERE tenant = ? AND name <> ? AND EXISTS
		(SELECT 1 FROM account_group g WHERE g.tenant = account.tenant AND g.account = account.name AND g.grp = ?)`, string(t), string(was.Name), id)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var doc []byte
		var u access.User
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		if err := json.Unmarshal(doc, &u); err != nil {
			return err
		}
		if admin(u) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return access.ErrLastAdmin
}

// UserByEmail implements access.Store.
func (s *Store) UserByEmail(ctx context.Context, t iot.TenantID, email string) (access.User, error) {
	return scanUser(s.db.QueryRow(ctx, `SELECT doc, rev_at, rev_set FROM account WHERE tenant = ? AND email = ? AND email <> '' ORDER BY name LIMIT 1`, string(t), strings.ToLower(email)))
}

// Subusers implements access.Store.
func (s *Store) Subusers(ctx context.Context, t iot.TenantID, owners []iot.UserName) (map[iot.UserName]int, error) {
	out := map[iot.UserName]int{}
	if len(owners) == 0 {
		return out, nil
	}
	args := []any{string(t)}
	for _, o := range owners {
		args = append(args, string(o))
	}
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var owner string
		var n int
		err := r.Scan(&owner, &n)
		out[iot.UserName(owner)] = n
		return err
	}, `SELECT owner, count(*) FROM account WHERE tenant = ? AND owner IN `+sqlkit.In(len(owners))+` GROUP BY owner`, args...)
	return out, err
}

// supersede moves the current version of a user or group into history and returns it; sql.ErrNoRows if there is none. version is what the new one
// was made from: access.ErrChanged if it is not the current. nil: it is deleted, whatever it is.
func (s *Store) supersede(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, kind iot.Kind, id string, version *string, rev sqlkit.Revision) ([]byte, error) {
	q, key := `SELECT doc, rev_at, rev_set FROM account WHERE tenant = ? AND name = ?`, any(id)
	if kind == iot.KindGroup {
		q = `SELECT doc, rev_at, rev_set FROM global_role WHERE tenant = ? AND id = ?`
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return nil, err
		}
		key = n
	}
	var doc []byte
	var at int64
	var current string
	if err := tx.QueryRow(ctx, q+tx.ForUpdate(), string(t), key).Scan(&doc, &at, &current); err != nil {
		return nil, err
	}
	if version != nil && *version != current {
		return nil, access.ErrChanged
	}
	return doc, tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(kind), ID: id, From: sqlkit.Time(at), Until: rev, Deleted: version == nil, Doc: doc})
}

// DeleteUser implements access.Store.
func (s *Store) DeleteUser(ctx context.Context, t iot.TenantID, name iot.UserName, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if !name.IsDevice() {
			if err := tx.Lock(ctx, "account", string(t)); err != nil {
				return err
			}
		}
		old, err := s.supersede(ctx, tx, t, iot.KindUser, string(name), nil, rev)
		if err != nil {
			return err
		}
		if err := s.keepAdmin(ctx, tx, t, old, access.User{}); err != nil {
			return err
		}
		for _, q := range []string{`DELETE FROM account WHERE tenant = ? AND name = ?`, `DELETE FROM account_group WHERE tenant = ? AND account = ?`, `DELETE FROM session WHERE tenant = ? AND account = ?`,
			`DELETE FROM second_factor WHERE tenant = ? AND account = ?`, `DELETE FROM login_failure WHERE tenant = ? AND account = ?`} {
			if _, err := tx.Exec(ctx, q, string(t), string(name)); err != nil {
				return err
			}
		}
		return forgetGrants(ctx, tx, t, "account", string(name))
	})
}

// Groups implements access.Store.
func (s *Store) Groups(ctx context.Context, t iot.TenantID) ([]access.Group, error) {
	var out []access.Group
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var g access.Group
		var doc []byte
		var at int64
		var version string
		if err := r.Scan(&doc, &at, &version); err != nil {
			return err
		}
		err := json.Unmarshal(doc, &g)
		g.Changed, g.Version = sqlkit.Time(at), version
		out = append(out, g)
		return err
	}, `SELECT doc, rev_at, rev_set FROM global_role WHERE tenant = ? ORDER BY id`, string(t))
	return out, err
}

// PutGroup implements access.Store.
func (s *Store) PutGroup(ctx context.Context, t iot.TenantID, g access.Group, create bool, rev sqlkit.Revision) error {
	doc, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if create {
			_, err := tx.Exec(ctx, `INSERT INTO global_role (tenant, id, name, doc, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?,?,?)`,
				string(t), g.ID, g.Name, string(doc), rev.At.UnixMilli(), rev.By, rev.Set)
			return err
		}
		if _, err := s.supersede(ctx, tx, t, iot.KindGroup, strconv.FormatInt(g.ID, 10), &g.Version, rev); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE global_role SET name = ?, doc = ?, rev_at = ?, rev_by = ?, rev_set = ? WHERE tenant = ? AND id = ?`,
			g.Name, string(doc), rev.At.UnixMilli(), rev.By, rev.Set, string(t), g.ID)
		return err
	})
}

// DeleteGroup implements access.Store.
func (s *Store) DeleteGroup(ctx context.Context, t iot.TenantID, id int64, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if _, err := s.supersede(ctx, tx, t, iot.KindGroup, strconv.FormatInt(id, 10), nil, rev); err != nil {
			return err
		}
		// Members keep the id in their documents; ids are never used again, so that it grants nothing.
		if _, err := tx.Exec(ctx, `DELETE FROM account_group WHERE tenant = ? AND grp = ?`, string(t), id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM device_permission WHERE tenant = ? AND account = '' AND grp = ?`, string(t), id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM global_role WHERE tenant = ? AND id = ?`, string(t), id)
		return err
	})
}
