package registrysql

import (
	"context"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

// Census implements registry.Store.
func (s *Store) Census(ctx context.Context, t iot.TenantID) (c registry.Census, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*), coalesce(sum(CASE WHEN EXISTS (SELECT 1 FROM object_child c WHERE c.tenant = o.tenant AND c.parent = o.id AND c.kind = ?) THEN 1 ELSE 0 END), 0)
		FROM managed_object o WHERE o.tenant = ? AND o.is_device = 1`, int64(iot.ChildDevice), string(t)).Scan(&c.Devices, &c.Parents)
	return c, err
}
