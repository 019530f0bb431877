package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

const (
	// MaxBulkRows bounds the devices of one file. Each password takes 20 ms to hash.
	MaxBulkRows = 5000
	// bulkReport is after how many lines the log tells how far a long file got.
	bulkReport = 500
	// externalPrefix starts the name of a column with another external id of a device.
	externalPrefix = "external-"
	// maxPath bounds the groups of a path.
	maxPath = 20
)

// BulkStatus is what became of a line.
type BulkStatus string

// The outcomes of a line.
const (
	BulkCreated BulkStatus = "CREATED"
	BulkUpdated BulkStatus = "CREDENTIAL_UPDATED"
	BulkFailed  BulkStatus = "FAILED"
)

// BulkOutcome is what became of one line.
type BulkOutcome struct {
	Line   int // of the file, from 1
	ID     string
	Status BulkStatus
	Reason string // for the client, if it failed
}

// bulkFile is a file of devices with the places of the columns that mean something; -1 if there is none.
type bulkFile struct {
	table
	id, credentials, auth, tenant, typ, name, iccid, idType, path, shell, otp int
	others                                                                    []int // the remaining columns
}

// parseBulk reads a file of devices to register. What is no table with a column ID is a fault of kind Malformed.
func parseBulk(b []byte) (bulkFile, error) {
	const op = fault.Op("identity.Bulk")
	t, err := parseTable(b, MaxBulkRows)
	if err != nil {
		return bulkFile{}, err
	}
	f := bulkFile{table: t}
	known := map[string]*int{"ID": &f.id, "CREDENTIALS": &f.credentials, "AUTH_TYPE": &f.auth, "TENANT": &f.tenant, "TYPE": &f.typ, "NAME": &f.name, "ICCID": &f.iccid, "IDTYPE": &f.idType,
		"PATH": &f.path, "SHELL": &f.shell, "ENROLLMENT_OTP": &f.otp}
	for _, to := range known {
		*to = -1
	}
	seen := map[string]bool{}
	for i, name := range t.head {
		key := name
		to := known[strings.ToUpper(name)]
		if to != nil {
			key = strings.ToUpper(name)
			*to = i
		} else if name != "" {
			f.others = append(f.others, i)
		}
		if seen[key] && name != "" {
			return bulkFile{}, fault.Errorf(op, fault.Malformed, "the column %.60q is there twice", name)
		}
		seen[key] = true
	}
	if f.id < 0 {
		return bulkFile{}, fault.E(op, fault.Malformed, "the first line of the file must name the columns, and one must be ID")
	}
	return f, nil
}

// simple reports whether the file only announces devices, each to be accepted as ever.
func (f bulkFile) simple() bool { return f.credentials < 0 && f.auth < 0 && f.otp < 0 }

// Bulk registers the devices of a file, line after line; a line that fails is told and ends nothing. Devices with credentials get their account at once, those
// with a one-time password when they enrol, those with certificates an account that only a certificate opens. With TYPE and NAME the object of a device is made,
// owned by its account, in the groups of PATH, which are made if they are missing. A file with neither credentials nor certificates announces devices. It needs
// ROLE_DEVICE_CONTROL_ADMIN; only the management names tenants.
func (s *Registrations) Bulk(ctx context.Context, p iot.Principal, file []byte) ([]BulkOutcome, error) {
	if err := s.d.Policy.Check(ctx, p, access.Operation, access.Admin, access.Object{}); err != nil {
		return nil, err
	}
	f, err := parseBulk(file)
	if err != nil {
		return nil, err
	}
	run := &bulkRun{s: s, p: p, f: f, groups: map[string]iot.ID{}}
	out := make([]BulkOutcome, 0, len(f.rows))
	failed := 0
	for i, r := range f.rows {
		o := BulkOutcome{Line: r.line, ID: r.cell(f.id)}
		if o.Status, err = run.row(ctx, r); err != nil {
			if ctx.Err() != nil {
				return nil, fault.E(fault.Op("identity.Bulk"), fault.Canceled, ctx.Err())
			}
			if fault.KindOf(err).Ours() {
				s.d.Log.Error("register a device of a file", "tenant", p.Tenant, "device", o.ID, "err", err)
			}
			o.Status, o.Reason = BulkFailed, fault.Message(err)
			failed++
		}
		out = append(out, o)
		if (i+1)%bulkReport == 0 {
			s.d.Log.Info("devices of a file registered", "tenant", p.Tenant, "done", i+1, "of", len(f.rows), "failed", failed)
		}
	}
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: "Devices registered in bulk", Text: fmt.Sprintf("%d devices were registered from a file, %d failed", len(out)-failed, failed)})
	return out, nil
}

// bulkRun is a file on its way.
type bulkRun struct {
	s      *Registrations
	p      iot.Principal
	f      bulkFile
	groups map[string]iot.ID // by tenant and path
}

// row registers one device.
func (b *bulkRun) row(ctx context.Context, r row) (BulkStatus, error) {
	const op = fault.Op("identity.Bulk")
	f, id := b.f, r.cell(b.f.id)
	if err := validID(id); err != nil {
		return "", err
	}
	for i := len(f.head); i < len(r.cells); i++ {
		if r.cell(i) != "" {
			return "", fault.E(op, fault.Invalid, "the line has more values than there are columns")
		}
	}
	p, err := b.principal(ctx, r.cell(f.tenant))
	if err != nil {
		return "", err
	}
	if f.simple() {
		return b.announce(ctx, p, id, r)
	}
	doc, err := b.draft(r)
	if err != nil {
		return "", err
	}
	status, err := b.credentials(ctx, p, id, r)
	if err != nil || doc == nil {
		return status, err
	}
	return status, b.object(ctx, p, id, r, *doc)
}

// principal is who acts in the tenant of a line. c8y: only the management names tenants, and it must.
func (b *bulkRun) principal(ctx context.Context, tenant string) (iot.Principal, error) {
	const op = fault.Op("identity.Bulk")
	p := b.p
	if p.Tenant != iot.Management {
		return p, nil
	}
	if tenant == "" {
		return p, fault.E(op, fault.Invalid, "TENANT must be given")
	}
	p.Tenant = iot.TenantID(tenant)
	if b.s.d.Active != nil {
		if err := b.s.d.Active(ctx, p.Tenant); err != nil {
			return p, fault.E(op, fault.Invalid, err, "there is no active tenant with this id")
		}
	}
	return p, nil
}

// announce makes an ordinary registration.
func (b *bulkRun) announce(ctx context.Context, p iot.Principal, id string, r row) (BulkStatus, error) {
	group, err := b.group(ctx, p, r.cell(b.f.path))
	if err != nil {
		return "", err
	}
	_, err = b.s.announce(ctx, p, Registration{ID: id, Type: r.cell(b.f.typ)}, func(n *Registration) { n.Group = group })
	return BulkCreated, err
}

// credentials makes the account of a device, or lets it enrol.
func (b *bulkRun) credentials(ctx context.Context, p iot.Principal, id string, r row) (BulkStatus, error) {
	const op = fault.Op("identity.Bulk")
	otp := r.cell(b.f.otp)
	var made bool
	var err error
	switch auth := strings.ToUpper(r.cell(b.f.auth)); {
	case auth != "" && auth != "BASIC" && auth != "CERTIFICATES":
		return "", fault.E(op, fault.Invalid, "AUTH_TYPE must be BASIC or CERTIFICATES")
	case auth == "CERTIFICATES" && otp != "":
		made, err = b.enrollment(ctx, p, id, otp)
	case auth == "CERTIFICATES":
		made, err = b.s.d.Users.DeviceAccountWithoutPassword(ctx, p.Tenant, id)
	case otp != "":
		return "", fault.E(op, fault.Invalid, "ENROLLMENT_OTP needs the AUTH_TYPE CERTIFICATES")
	case r.cell(b.f.credentials) == "":
		return "", fault.E(op, fault.Invalid, "CREDENTIALS must be given")
	default:
		made, err = b.s.d.Users.DevicePassword(ctx, p, id, r.cell(b.f.credentials))
	}
	if made {
		return BulkCreated, err
	}
	return BulkUpdated, err
}

// enrollment registers a device for a certificate. One that the tenant has registered already gives way.
func (b *bulkRun) enrollment(ctx context.Context, p iot.Principal, id, otp string) (made bool, err error) {
	if err := validOTP(otp); err != nil {
		return false, err
	}
	made = true
	old, err := b.s.d.Store.Get(ctx, id)
	if err == nil && old.Tenant == p.Tenant && old.Status != Used {
		made = false
		err = b.s.d.Store.Delete(ctx, p.Tenant, id, b.s.revision(p))
	}
	if err = sqlkit.Fault("identity.Bulk", err); err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	_, err = b.s.announce(ctx, p, Registration{ID: id}, func(n *Registration) { n.Status, n.Enrollment = Accepted, newToken(otp) })
	return made, err
}

// draft is the object that a line describes, nil if it does not.
func (b *bulkRun) draft(r row) (*registry.Draft, error) {
	const op = fault.Op("identity.Bulk")
	f := b.f
	typ, name := r.cell(f.typ), r.cell(f.name)
	if typ == "" || name == "" {
		return nil, nil
	}
	tree := map[string]any{iot.FragmentIsDevice: map[string]any{}}
	if iccid := r.cell(f.iccid); iccid != "" {
		tree["c8y_Mobile"] = map[string]any{"iccid": iccid}
	}
	if r.cell(f.shell) == "1" {
		tree["c8y_SupportedOperations"] = []string{"c8y_Command"}
	}
	idType := r.cell(f.idType)
	if idType == "" {
		idType = iot.SerialType
	}
	names := []iot.ExternalID{{Type: idType, Value: r.cell(f.id)}}
	for _, i := range f.others {
		value := r.cell(i)
		if value == "" {
			continue
		}
		if typ, external := strings.CutPrefix(f.head[i], externalPrefix); external {
			names = append(names, iot.ExternalID{Type: typ, Value: value})
			continue
		}
		if err := plant(tree, strings.Split(f.head[i], "."), value); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return nil, fault.E(op, err)
	}
	doc, err := iot.ParseDoc(raw, iot.MaxDepth)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err, "the properties cannot be stored: "+err.Error())
	}
	d, err := registry.DraftOf(doc.SetText("type", typ).SetText("name", name).Without("owner", "externalIds"))
	if err != nil {
		return nil, err
	}
	d.ExternalIDs = names
	return &d, nil
}

// plant sets a value at a path of names in a tree of objects. c8y: values stay texts.
func plant(tree map[string]any, path []string, value string) error {
	const op = fault.Op("identity.Bulk")
	bad := fault.Errorf(op, fault.Invalid, "the column %.60q names no property, or one that another column contradicts", strings.Join(path, "."))
	if len(path) >= iot.MaxDepth || slices.Contains(path, "") {
		return bad
	}
	for _, name := range path[:len(path)-1] {
		if tree[name] == nil {
			tree[name] = map[string]any{}
		}
		next, ok := tree[name].(map[string]any)
		if !ok {
			return bad
		}
		tree = next
	}
	last := path[len(path)-1]
	if tree[last] != nil {
		if object, ok := tree[last].(map[string]any); ok && len(object) == 0 && value == "{}" {
			return nil // a marker that every device has
		}
		return bad
	}
	tree[last] = value
	return nil
}

// object makes the object of a device and puts it into its group. One that has the external id already stays as it is.
func (b *bulkRun) object(ctx context.Context, p iot.Principal, id string, r row, d registry.Draft) error {
	const op = fault.Op("identity.Bulk")
	reg, system := b.s.d.Registry, iot.System(p.Tenant)
	group, err := b.group(ctx, p, r.cell(b.f.path))
	if err != nil {
		return err
	}
	device, err := reg.Lookup(ctx, p.Tenant, d.ExternalIDs[0].Type, d.ExternalIDs[0].Value)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if device == 0 {
		owner := string(iot.DeviceUser(id))
		d.Owner = &owner
		made, err := reg.Create(ctx, system, registry.Place{}, d)
		if err != nil {
			return fault.E(op, err)
		}
		device = made[0].ID
	}
	if group == 0 {
		return nil
	}
	return reg.Link(ctx, system, group, iot.ChildAsset, []iot.ID{device})
}

// group finds the last group of a path, and makes those that are missing; zero if there is no path.
func (b *bulkRun) group(ctx context.Context, p iot.Principal, path string) (parent iot.ID, err error) {
	const op = fault.Op("identity.Bulk")
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if len(names) > maxPath {
		return 0, fault.Errorf(op, fault.Invalid, "a PATH has at most %d groups", maxPath)
	}
	key := string(p.Tenant)
	for _, name := range names {
		if name = strings.TrimSpace(name); name == "" {
			return 0, fault.E(op, fault.Invalid, "a group of PATH has no name")
		}
		key += "/" + name
		id, known := b.groups[key]
		if !known {
			if id, err = b.subgroup(ctx, p, parent, name); err != nil {
				return 0, fault.E(op, err)
			}
			b.groups[key] = id
		}
		parent = id
	}
	return parent, nil
}

// subgroup finds or makes a group below another one, or at the top.
func (b *bulkRun) subgroup(ctx context.Context, p iot.Principal, parent iot.ID, name string) (iot.ID, error) {
	const page = 500
	b.s.groups.Lock() // of two files with the same new group, the second one finds it
	defer b.s.groups.Unlock()
	reg, system := b.s.d.Registry, iot.System(p.Tenant)
	q := registry.Query{Fragment: iot.FragmentIsDeviceGroup, Limit: page, OnlyRoots: parent == 0, Parent: parent, Kind: iot.ChildAsset}
	for ; ; q.Offset += page {
		found, _, err := reg.List(ctx, system, q)
		if err != nil {
			return 0, err
		}
		for _, g := range found {
			if g.Name == name {
				return g.ID, nil
			}
		}
		if len(found) < page {
			break
		}
	}
	typ, owner, place := "c8y_DeviceGroup", string(p.User), registry.Place{}
	if parent != 0 {
		typ, place = "c8y_DeviceSubgroup", registry.Place{Parent: parent, Kind: iot.ChildAsset}
	}
	made, err := reg.Create(ctx, system, place, registry.Draft{Type: &typ, Name: &name, Owner: &owner, Fragments: iot.Doc{{Name: iot.FragmentIsDeviceGroup, Raw: []byte("{}")}}})
	if err != nil {
		return 0, err
	}
	return made[0].ID, nil
}
