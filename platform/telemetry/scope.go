package telemetry

import (
	"cmp"
	"context"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// maxNamedSources is how many sources of a scope a query names one by one, which leads to their index.
const maxNamedSources = 500

// readable returns of which sources p may read data, and their ids if they are few; nil otherwise. It fails with Denied if there can be none.
func (tm *Telemetry) readable(ctx context.Context, p iot.Principal, f access.Family) (access.Scope, []iot.ID, error) {
	return tm.d.Registry.Readable(ctx, p, f, maxNamedSources)
}

// writable returns of which sources p may change data: all with the permission, else only those that it may change data of for another reason,
// and then root must be one.
func (tm *Telemetry) writable(ctx context.Context, p iot.Principal, f access.Family, root iot.ID) (access.Scope, error) {
	err := tm.d.Policy.Check(ctx, p, f, access.Admin, access.Object{})
	if err == nil {
		return access.Scope{All: true}, nil
	}
	if root == 0 {
		return access.Scope{}, err
	}
	if _, err = tm.d.Registry.Check(ctx, p, root, f, access.Admin); err != nil {
		return access.Scope{}, err
	}
	return tm.d.Policy.Scope(ctx, p, f, access.Admin)
}

// below returns the sources that a query with descendants means; nil if it names none.
func (tm *Telemetry) below(ctx context.Context, t iot.TenantID, root iot.ID, more []iot.ID, assets, devices, additions bool) ([]iot.ID, error) {
	if root == 0 {
		return more, nil
	}
	var kinds []iot.ChildKind
	for kind, wanted := range map[iot.ChildKind]bool{iot.ChildAsset: assets, iot.ChildDevice: devices, iot.ChildAddition: additions} {
		if wanted {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return append([]iot.ID{root}, more...), nil
	}
	ids, err := tm.d.Registry.Below(ctx, t, root, kinds...)
	return append(ids, more...), err
}

// checkSource decides about a stored document by its source. The source may be gone already: then only the permission counts.
func (tm *Telemetry) checkSource(ctx context.Context, p iot.Principal, source iot.ID, f access.Family, l access.Level, fragments ...string) error {
	_, err := tm.d.Registry.Check(ctx, p, source, f, l, fragments...)
	if fault.Is(err, fault.NotFound) {
		return tm.d.Policy.Check(ctx, p, f, l, access.Object{})
	}
	return err
}

func compareIDs(a, b iot.Measurement) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Seq, b.Seq))
}

// noDocument words the fault of a missing document as clients know it.
func noDocument(op fault.Op, kind, id string, err error) error {
	err = sqlkit.Fault(op, err)
	if fault.Is(err, fault.NotFound) {
		return fault.E(op, fault.NotFound, fault.Subject(id), err, "Finding "+kind+" from database failed : No "+kind+" for id '"+id+"'!")
	}
	return err
}
