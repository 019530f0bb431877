package seriespebble

import (
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// TenantBytes returns about how many bytes the measurements of a tenant take on the disk. What was written in the last moments may be missing.
func (s *Store) TenantBytes(tenant iot.TenantID) (total int64, err error) {
	const op = fault.Op("series.TenantBytes")
	if err := s.enter(); err != nil {
		return 0, wrap(op, tenant, err)
	}
	defer s.leave()
	for _, tag := range []byte{tagRow, tagChunk, tagShape, tagName, tagCatalog, tagTrail} {
		low := appendTenant(nil, tag, tenant)
		n, err := s.db.EstimateDiskUsage(low, after(low))
		if err != nil {
			return 0, s.finish(op, tenant, err)
		}
		total += int64(n)
	}
	return total, nil
}
