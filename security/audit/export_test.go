package audit

import "github.com/isobar-iot/isobar/iot"

// Waiting returns how many records of a tenant wait for the commit after the one under way.
func (l *Log) Waiting(t iot.TenantID) int {
	l.lanes.mu.Lock()
	defer l.lanes.mu.Unlock()
	return len(l.lanes.m[t])
}
