package telemetry

import (
	"cmp"
	"context"
	"github.com/isobar-iot/isobar/kit/sqlkit"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// readable returns of which sources p may read data. It fails with Denied if there can be none.
func (tm *Telemetry) readable(ctx context.Context, p iot.Principal, f access.Family) (access.Scope, error) {
	scope, err := tm.d.Policy.Scope(ctx, p, f)
	if err != nil || scope.All {
		return scope, err
	}
	owned, _, err := tm.d.Registry.List(ctx, p, registry.Query{Owner: string(p.User), Limit: 1})
	if err == nil && len(owned) == 0 {
		err = tm.d.Policy.Check(ctx, p, f, access.Read, access.Object{})
	}
	return scope, err
}

// owned returns the objects that p owns.
func (tm *Telemetry) owned(ctx context.Context, p iot.Principal) ([]iot.ID, error) {
	const page = 1000
	var out []iot.ID
	for {
		objects, _, err := tm.d.Registry.List(ctx, p, registry.Query{Owner: string(p.User), Offset: len(out), Limit: page})
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			out = append(out, o.ID)
		}
		if len(objects) < page {
			return out, nil
		}
	}
}

// writable returns of which sources p may change data: all with the permission, else only those that it owns, and then root must be one.
func (tm *Telemetry) writable(ctx context.Context, p iot.Principal, f access.Family, root iot.ID) (access.Scope, error) {
	err := tm.d.Policy.Check(ctx, p, f, access.Admin, access.Object{})
	if err == nil {
		return access.Scope{All: true}, nil
	}
	if root == 0 {
		return access.Scope{}, err
	}
	_, err = tm.d.Registry.Check(ctx, p, root, f, access.Admin)
	return access.Scope{Owner: p.User}, err
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
func (tm *Telemetry) checkSource(ctx context.Context, p iot.Principal, source iot.ID, f access.Family, l access.Level) error {
	_, err := tm.d.Registry.Check(ctx, p, source, f, l)
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
