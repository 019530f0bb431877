package registrysql

import (
	"context"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

// Census implements registry.Store.
func (s *Store) Census(ctx context.Context, t iot.TenantID) (c registry.Census, err error) {
	tenant, kind := string(t), int64(iot.ChildDevice)
	err = s.db.QueryRow(ctx, `WITH d (id) AS (SELECT o.id FROM managed_object o WHERE o.tenant = ? AND o.is_device = 1 UNION SELECT c.child FROM object_child c WHERE c.tenant = ? AND c.kind = ?)
		SELECT (SELECT count(*) FROM managed_object o WHERE o.tenant = ? AND o.is_device = 1), count(*),
			coalesce(sum(CASE WHEN EXISTS (SELECT 1 FROM object_child c WHERE c.tenant = ? AND c.parent = d.id AND c.kind = ?) THEN 0 ELSE 1 END), 0) FROM d`,
		tenant, tenant, kind, tenant, tenant, kind).Scan(&c.Devices, &c.All, &c.Leaves)
	return c, err
}
