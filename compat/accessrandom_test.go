package compat_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/oracle"
	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestAccessRandom makes random users, roles, groups, graphs of objects and documents in two tenants, and compares what everybody gets with
// the oracle: every list under random filters page by page, every document by its id, changes, and what the platform says when it is asked
// why. ISOBAR_SOAK is the number of rounds, ISOBAR_SEED the first seed.
func TestAccessRandom(t *testing.T) {
	number := func(name string, def int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return def
	}
	t.Parallel()
	rounds, seed := number("ISOBAR_SOAK", 8), number("ISOBAR_SEED", 1)
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			o := engine.options(t)
			o.Args = append(o.Args, unlimited...)
			s := rig.Start(t, o)
			stages := []*stage{newStage(t, s, "main", "RndMain0a8b7c6d5"), newStage(t, s, "management", "RndMgmt1f2e3d4c5")}
			for i, g := range stages {
				g.adopt()
				g.others = stages[1-i]
			}
			rounds := rounds
			if o.Postgres != "" && os.Getenv("ISOBAR_SOAK") == "" {
				rounds /= 2 // it is slower there
			}
			for round := range rounds {
				r := &random{stage: stages[round%2], Rand: rand.New(rand.NewPCG(uint64(seed), uint64(round)))}
				t.Run(fmt.Sprintf("seed %d round %d", seed, round), r.round)
				if t.Failed() && os.Getenv("ISOBAR_SOAK") == "" {
					break // one round shows enough
				}
			}
			noDefects(t, s)
		})
	}
}

// adopt takes over what a new tenant holds.
func (s *stage) adopt() {
	s.admin.User.Each(s.t, "/inventory/managedObjects", "managedObjects", func(raw json.RawMessage) {
		var o struct{ ID, Owner string }
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &o) != nil || json.Unmarshal(raw, &members) != nil {
			s.t.Fatal(string(raw))
		}
		x := &oracle.Object{ID: o.ID, Owner: o.Owner}
		for name := range members {
			if !slices.Contains(standard, name) {
				x.Fragments = append(x.Fragments, name)
			}
		}
		s.world.Objects[o.ID] = x
	})
}

// random is one round.
type random struct {
	*stage
	*rand.Rand
	t       *testing.T
	people  []*person
	objects []*oracle.Object // of this round
}

func pick[T any](r *random, from []T) T { return from[r.IntN(len(from))] }

func (r *random) chance(percent int) bool { return r.IntN(100) < percent }

func (r *random) some(from []string, percent int) []string {
	var out []string
	for _, f := range from {
		if r.chance(percent) {
			out = append(out, f)
		}
	}
	return out
}

var (
	randomFragments   = []string{"isb_A", "isb_B", "isb_C"}
	randomPermissions = strings.Fields("ROLE_INVENTORY_READ ROLE_INVENTORY_ADMIN ROLE_INVENTORY_UPDATE ROLE_INVENTORY_CREATE ROLE_MANAGED_OBJECT_READ ROLE_MANAGED_OBJECT_ADMIN ROLE_BINARY_READ " +
		"ROLE_BINARY_ADMIN ROLE_IDENTITY_READ ROLE_MEASUREMENT_READ ROLE_MEASUREMENT_ADMIN ROLE_EVENT_READ ROLE_EVENT_ADMIN ROLE_ALARM_READ ROLE_ALARM_ADMIN ROLE_DEVICE_CONTROL_READ ROLE_DEVICE_CONTROL_ADMIN")
	randomScopes = strings.Fields("* * MANAGED_OBJECT MANAGED_OBJECT MEASUREMENT EVENT ALARM OPERATION")
	randomLevels = strings.Fields("READ READ ADMIN *")
)

func (r *random) lines() []string {
	var out []string
	for range 1 + r.IntN(3) {
		out = append(out, pick(r, randomScopes)+":"+pick(r, append([]string{"*"}, randomFragments...))+":"+pick(r, randomLevels))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *random) round(t *testing.T) {
	r.t, r.stage.t = t, t
	defer func() { r.stage.t = nil }()
	for range 3 {
		r.people = append(r.people, r.person(fmt.Sprint("p", r.next()), r.some(randomPermissions, 4)...))
	}
	r.graph()
	r.documents()
	r.rights()
	for _, p := range r.people {
		r.check(p)
	}
	r.change()
	for _, p := range r.people {
		r.check(p)
	}
}

func (r *random) owner() string {
	if r.chance(70) {
		return "admin"
	}
	return pick(r, r.people).Name
}

// graph makes objects and hangs later ones below earlier ones.
func (r *random) graph() {
	for range 6 + r.IntN(4) {
		fragments := append(r.some(randomFragments, 30), "com_cumulocity_model_Agent")
		fragments = append(fragments, r.some([]string{"c8y_IsDevice", "c8y_IsDeviceGroup", "c8y_Global"}, 15)...)
		r.objects = append(r.objects, r.object(r.owner(), "isb_T"+strconv.Itoa(r.IntN(3)), fragments...))
	}
	r.objects = append(r.objects, r.binary(r.owner()))
	for i, parent := range r.objects {
		for _, child := range r.objects[i+1:] {
			if !parent.Binary && r.chance(25) {
				r.link(parent, child, pick(r, childKinds))
			}
		}
	}
}

func (r *random) documents() {
	for range 20 {
		if source := pick(r, r.objects); !source.Binary {
			r.document(pick(r, data[:4]), source, r.some(randomFragments, 40)...)
		}
	}
	for _, o := range r.objects {
		if r.chance(30) {
			r.external(o)
		}
	}
}

// rights gives inventory roles, device permissions and membership in groups.
func (r *random) rights() {
	for _, p := range r.people {
		for range r.IntN(3) {
			r.assign(p, pick(r, r.objects).ID, r.lines()...)
		}
		if r.chance(30) {
			r.allow(pick(r, r.objects).ID, map[*person][]string{p: r.lines()}, nil, nil)
		}
		if r.chance(30) {
			g := r.group(r.some(randomPermissions, 4), p)
			r.allow(pick(r, r.objects).ID, nil, map[int64][]string{g: r.lines()}, map[int64][]*person{g: {p}})
		}
	}
}

// change takes rights and links away. What is gone must be gone at the next request.
func (r *random) change() {
	for _, p := range r.people {
		if len(p.Permissions) > 2 && r.chance(50) {
			if role := p.Permissions[2]; r.direct(p, role) {
				r.forbid(p, role)
			}
		}
		var list struct {
			InventoryAssignments []struct {
				ID            int64
				ManagedObject string
				Roles         []struct {
					Permissions []struct{ Scope, Type, Permission string }
				}
			}
		}
		path := "/user/" + r.tenant + "/users/" + p.Name + "/roles/inventory"
		r.admin.Want(r.t, 200, "GET", path, nil, &list)
		for _, a := range list.InventoryAssignments {
			if !r.chance(50) {
				continue
			}
			r.admin.Want(r.t, 204, "DELETE", path+"/"+fmt.Sprint(a.ID), nil, nil)
			for _, role := range a.Roles {
				for _, x := range role.Permissions {
					g := oracle.Grant{Object: a.ManagedObject, Below: true, Scope: x.Scope, Fragment: x.Type, Level: x.Permission}
					if i := slices.Index(p.Grants, g); i >= 0 {
						p.Grants = slices.Delete(p.Grants, i, i+1)
					}
				}
			}
		}
	}
	for _, o := range r.objects {
		if len(o.Children) > 0 && r.chance(30) {
			c := o.Children[0]
			r.admin.Want(r.t, 204, "DELETE", "/inventory/managedObjects/"+o.ID+"/"+c.Kind+"/"+c.ID, nil, nil)
			o.Children = o.Children[1:]
		}
	}
}

// direct reports whether a permission is the user's own, not one of a group.
func (r *random) direct(p *person, role string) bool {
	var list struct {
		References []struct{ Role struct{ ID string } }
	}
	r.admin.Want(r.t, 200, "GET", "/user/"+r.tenant+"/users/"+p.Name+"/roles?pageSize=100", nil, &list)
	n := 0
	for _, p := range p.Permissions {
		if p == role {
			n++
		}
	}
	for _, x := range list.References {
		if x.Role.ID == role {
			return n == 1
		}
	}
	return false
}

// check compares everything that a person can see.
func (r *random) check(p *person) {
	r.objectLists(p)
	r.documentLists(p)
	for range 4 {
		r.oneObject(p, pick(r, r.objects))
		r.oneDocument(p, pick(r, r.world.Documents))
	}
	r.foreign(p)
}

func (r *random) objectLists(p *person) {
	readable := r.world.ReadableObjects(p.User)
	filter := func(keep func(o *oracle.Object) bool) []string {
		return slices.DeleteFunc(slices.Clone(readable), func(id string) bool { return !keep(r.world.Objects[id]) })
	}
	parents := func(child string) []string {
		var out []string
		for id, o := range r.world.Objects {
			if slices.ContainsFunc(o.Children, func(c oracle.Child) bool { return c.ID == child }) {
				out = append(out, id)
			}
		}
		return out
	}
	f, typ, owner, at := pick(r, randomFragments), "isb_T"+strconv.Itoa(r.IntN(3)), r.owner(), pick(r, r.objects)
	kind := pick(r, childKinds)
	has := func(o *oracle.Object) bool { return slices.Contains(o.Fragments, f) }
	below := func(o *oracle.Object) bool { return o == at || slices.Contains(r.world.Below(at.ID), o.ID) }
	lists := []struct {
		query string
		keep  func(o *oracle.Object) bool
	}{
		{"", func(*oracle.Object) bool { return true }},
		{"fragmentType=" + f, has},
		{"type=" + typ, func(o *oracle.Object) bool { return o.Type == typ }},
		{"owner=" + owner, func(o *oracle.Object) bool { return o.Owner == owner }},
		{"query=" + url.QueryEscape("$filter=(has("+f+")) $orderby=id desc"), has},
		{"query=" + url.QueryEscape("not(has("+f+"))"), func(o *oracle.Object) bool { return !has(o) }},
		{"query=" + url.QueryEscape("isinhierarchyof("+at.ID+")"), below},
		{"query=" + url.QueryEscape("bygroupid("+at.ID+")"), func(o *oracle.Object) bool {
			return slices.Contains(at.Children, oracle.Child{Kind: "childAssets", ID: o.ID}) || slices.Contains(at.Children, oracle.Child{Kind: "childAdditions", ID: o.ID})
		}},
		{"onlyRoots=true", func(o *oracle.Object) bool {
			return !slices.ContainsFunc(parents(o.ID), func(id string) bool { return r.world.MayObject(p.User, oracle.Read, id) })
		}},
		{"text=" + url.QueryEscape(at.Name), func(o *oracle.Object) bool { return o.Name == at.Name && at.Name != "" }},
	}
	for _, l := range append(lists[:1:1], pick(r, lists[1:]), pick(r, lists[1:]), pick(r, lists[1:])) {
		want := filter(l.keep)
		if strings.HasPrefix(l.query, "text") && at.Name == "" {
			continue
		}
		r.agree(r.t, p, "/inventory/managedObjects?"+l.query, "managedObjects", allow, want, 1+r.IntN(20))
		a, err := p.as.Do("GET", "/inventory/managedObjects/count?"+l.query, nil)
		if err != nil || a.Status != 200 || strings.TrimSpace(string(a.Body)) != strconv.Itoa(len(want)) {
			r.t.Errorf("count?%s as %s: %v, %d %s, want %d\n%s", l.query, p.Name, err, a.Status, a.Body, len(want), p.describe())
		}
	}
	r.agree(r.t, p, "/inventory/binaries", "managedObjects", allow, filter(func(o *oracle.Object) bool { return o.Binary }), 1+r.IntN(20))
	r.agree(r.t, p, "/inventory/managedObjects/"+at.ID+"/"+kind, "references", iff(r.world.MayObject(p.User, oracle.Read, at.ID)), r.world.ReadableChildren(p.User, at.ID, kind), 1+r.IntN(5))
	var above []string
	for id, o := range r.world.Objects {
		if slices.Contains(o.Children, oracle.Child{Kind: kind, ID: at.ID}) && r.world.MayObject(p.User, oracle.Read, id) {
			above = append(above, id)
		}
	}
	name := map[string]string{"childDevices": "deviceParents", "childAssets": "assetParents", "childAdditions": "additionParents"}[kind]
	r.agree(r.t, p, "/inventory/managedObjects/"+at.ID+"/"+name, "references", iff(r.world.MayObject(p.User, oracle.Read, at.ID)), above, 1+r.IntN(5))
}

// answered says whether a list is answered. Whoever holds only CHANGE gets an empty list by the letter of decision 9; TestAccessMatrix asks
// for that, here 403 will do.
func (r *random) answered(p *person, k oracle.Kind) verdict {
	readers := p.User
	readers.Grants = slices.DeleteFunc(slices.Clone(p.Grants), func(g oracle.Grant) bool { return g.Level == "ADMIN" })
	if !r.world.MayList(readers, k) && r.world.MayList(p.User, k) {
		return open
	}
	return iff(r.world.MayList(p.User, k))
}

func (r *random) documentLists(p *person) {
	for _, k := range data[:4] {
		source, f, from := pick(r, r.objects), pick(r, randomFragments), r.IntN(r.n+1)
		to := from + r.IntN(60)
		sourceName, fragmentName := "source", "fragmentType"
		switch k {
		case oracle.Operation:
			sourceName = "deviceId"
		case oracle.Measurement:
			fragmentName = "valueFragmentType"
		}
		date := func(n int) string { return dayOf(n).Format("2006-01-02T15:04:05Z") }
		lists := []struct {
			query string
			keep  func(d *oracle.Document) bool
		}{
			{"", func(*oracle.Document) bool { return true }},
			{sourceName + "=" + source.ID, func(d *oracle.Document) bool { return d.Source == source.ID }},
			{fragmentName + "=" + f, func(d *oracle.Document) bool { return slices.Contains(d.Fragments, f) }},
			{sourceName + "=" + source.ID + "&" + fragmentName + "=" + f, func(d *oracle.Document) bool { return d.Source == source.ID && slices.Contains(d.Fragments, f) }},
			{"dateFrom=" + date(from) + "&dateTo=" + date(to), func(d *oracle.Document) bool { return d.Day >= from && d.Day < to }},
		}
		switch k {
		case oracle.Operation:
			lists = lists[:4] // their time is that of the creation
		case oracle.Alarm: // have no filter by fragment
			typ := pick(r, r.world.Documents).Type
			lists[2].query, lists[2].keep = "type="+typ, func(d *oracle.Document) bool { return d.Type == typ }
			lists[3].query, lists[3].keep = "status=CLEARED", func(*oracle.Document) bool { return false }
		}
		for _, l := range append(lists[:1:1], pick(r, lists[1:]), pick(r, lists[1:])) {
			want := slices.DeleteFunc(r.world.ReadableDocuments(p.User, k), func(d *oracle.Document) bool { return !l.keep(d) })
			r.agree(r.t, p, resources[k].path+"?"+l.query, resources[k].list, r.answered(p, k), ids(want), 1+r.IntN(30))
			if k == oracle.Alarm && r.answered(p, k) == allow { // exact (decision 13), not capped
				a, err := p.as.Do("GET", "/alarm/alarms/count?"+l.query, nil)
				if err != nil || a.Status != 200 || strings.TrimSpace(string(a.Body)) != strconv.Itoa(len(want)) {
					r.t.Errorf("alarms/count?%s as %s: %v, %d %s, want %d\n%s", l.query, p.Name, err, a.Status, a.Body, len(want), p.describe())
				}
			}
		}
	}
}

// status compares the status of a request with a verdict.
func (r *random) status(p *person, method, path string, body any, may bool) {
	r.t.Helper()
	a, err := p.as.Do(method, path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if may != (a.Status < 300) || !may && a.Status != 403 {
		r.t.Errorf("%s %s as %s: %d, the rules say %v: %.300s\n%s", method, path, p.Name, a.Status, may, a.Body, p.describe())
	}
}

func (r *random) oneObject(p *person, o *oracle.Object) {
	k := r.world.KindOf(o.ID)
	read, change := r.world.MayObject(p.User, oracle.Read, o.ID), r.world.MayObject(p.User, oracle.Change, o.ID)
	path := "/inventory/managedObjects/" + o.ID
	r.status(p, "GET", path, nil, read)
	r.status(p, "GET", path+"/history", nil, read)
	r.status(p, "PUT", path, map[string]any{"name": o.Name + "y"}, change)
	if change {
		o.Name += "y"
	}
	if o.Binary {
		r.status(p, "GET", "/inventory/binaries/"+o.ID, nil, read)
	}
	r.explained(r.t, r.admin, p, oracle.Read, k, o.ID, nil, read)
	r.explained(r.t, r.admin, p, oracle.Change, k, o.ID, nil, change)
	r.explained(r.t, r.admin, p, oracle.Delete, k, o.ID, nil, r.world.MayObject(p.User, oracle.Delete, o.ID))
	r.explained(r.t, r.admin, p, oracle.Create, k, "", nil, r.world.May(p.User, oracle.Create, k, "", nil))
	identity := r.world.May(p.User, oracle.Read, oracle.Identity, o.ID, nil)
	r.status(p, "GET", "/identity/globalIds/"+o.ID+"/externalIds", nil, identity)
	r.explained(r.t, r.admin, p, oracle.Read, oracle.Identity, o.ID, nil, identity)
	for _, x := range o.External {
		r.status(p, "GET", "/identity/externalIds/"+x, nil, identity)
	}
	if read {
		r.references(p, o)
	}
}

// references looks at the children that come with an object (decision 7).
func (r *random) references(p *person, o *oracle.Object) {
	type refs struct {
		References []struct{ ManagedObject struct{ ID string } }
	}
	var got map[string]json.RawMessage
	p.as.Want(r.t, 200, "GET", "/inventory/managedObjects/"+o.ID+"?withChildren=true", nil, &got)
	for _, kind := range childKinds {
		var list refs
		if err := json.Unmarshal(got[kind], &list); err != nil {
			r.t.Fatal(err)
		}
		var ids []string
		for _, x := range list.References {
			ids = append(ids, x.ManagedObject.ID)
		}
		want := r.world.ReadableChildren(p.User, o.ID, kind)
		slices.Sort(ids)
		slices.Sort(want)
		if !slices.Equal(ids, want) {
			r.t.Errorf("%s of %s withChildren as %s: %v, want %v\n%s", kind, o.ID, p.Name, ids, want, p.describe())
		}
	}
}

func (r *random) oneDocument(p *person, d *oracle.Document) {
	path := resources[d.Kind].path + "/" + d.ID
	read, change := r.world.MayDocument(p.User, oracle.Read, d), r.world.MayDocument(p.User, oracle.Change, d)
	r.status(p, "GET", path, nil, read)
	switch d.Kind {
	case oracle.Event:
		r.status(p, "PUT", path, map[string]string{"text": "other " + r.mark}, change)
	case oracle.Alarm:
		r.status(p, "PUT", path, map[string]string{"severity": pick(r, []string{"MINOR", "MAJOR"})}, change)
	}
	r.explained(r.t, r.admin, p, oracle.Read, d.Kind, d.Source, d.Fragments, read)
	r.explained(r.t, r.admin, p, oracle.Change, d.Kind, d.Source, d.Fragments, change)
	r.explained(r.t, r.admin, p, oracle.Create, d.Kind, d.Source, d.Fragments, r.world.MayDocument(p.User, oracle.Create, d))
	if d.Kind != oracle.Operation && r.chance(50) { // what explain says of creation is what happens
		n := r.next()
		x := &oracle.Document{Kind: d.Kind, Source: d.Source, Fragments: d.Fragments, Type: fmt.Sprint("isb_", n), Day: n}
		a, err := p.as.Do("POST", resources[x.Kind].path, r.body(x))
		var made rig.Object
		if err != nil {
			r.t.Fatal(err)
		}
		if may := r.world.MayDocument(p.User, oracle.Create, x); may != (a.Status == 201) || !may && a.Status != 403 {
			r.t.Errorf("POST of %s %v for %s as %s: %d, the rules say %v: %s\n%s", x.Kind, x.Fragments, x.Source, p.Name, a.Status, may, a.Body, p.describe())
		} else if may {
			if err := json.Unmarshal(a.Body, &made); err != nil {
				r.t.Fatal(err)
			}
			x.ID = made.ID
			r.world.Documents = append(r.world.Documents, x)
		}
	}
}

// foreign asks for something of the other tenant.
func (r *random) foreign(p *person) {
	for _, o := range r.others.world.Objects {
		if r.world.Objects[o.ID] != nil {
			continue // ids are counted per tenant
		}
		a, err := p.as.Do("GET", "/inventory/managedObjects/"+o.ID, nil)
		if err != nil || a.Status != 404 || strings.Contains(string(a.Body), r.others.mark) {
			r.t.Errorf("%s of another tenant: %v, %d %s", o.ID, err, a.Status, a.Body)
		}
		break
	}
	a, err := p.as.Do("GET", "/inventory/managedObjects?pageSize=2000&withChildren=true&withParents=true", nil)
	if err != nil || strings.Contains(string(a.Body), r.others.mark) {
		r.t.Errorf("%v, or the list of %s shows what belongs to another tenant", err, p.Name)
	}
}
