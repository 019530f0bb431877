package c8yrest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func (c *call) userURL(name iot.UserName) string {
	return c.base() + "/user/" + string(c.p.Tenant) + "/users/" + url.PathEscape(string(name))
}

func (c *call) writeRole(o *object, role string) {
	o.open()
	o.text("id", role)
	o.text("name", role)
	o.text("self", c.base()+"/user/roles/"+role)
	o.close()
}

// writeRoles writes a complete list of role references; c8y: clients compute rights from it, so that it must not be cut to a page.
func (c *call) writeRoles(o *object, self string, roles []string) {
	o.begin("roles")
	o.text("self", self+"/roles")
	o.list("references")
	for _, r := range roles {
		o.open()
		o.text("self", self+"/roles/"+r)
		o.key("role")
		c.writeRole(o, r)
		o.close()
	}
	o.endList()
	o.begin("statistics")
	o.int("currentPage", 1)
	o.int("pageSize", int64(max(len(roles), defaultPage)))
	o.close()
	o.close()
}

func (c *call) groupURL(id int64) string {
	return c.base() + "/user/" + string(c.p.Tenant) + "/groups/" + strconv.FormatInt(id, 10)
}

func (c *call) writeGroup(o *object, g access.Group) {
	c.writeGroupWith(o, g, c.held("", []int64{g.ID}))
}

// held returns the device permissions of a user and of groups, or of everybody. What cannot be read is left out, as if there were none.
func (c *call) held(user iot.UserName, groups []int64) []access.DevicePermission {
	if c.holders != nil {
		return c.holders
	}
	out, err := c.s.Users.HeldPermissions(c.ctx, c.p, user, groups)
	if err != nil {
		c.s.Log.Warn("read device permissions", "tenant", c.p.Tenant, "err", err)
	}
	return out
}

// holdAll reads the device permissions of everybody at once, for answers that show many users or groups.
func (c *call) holdAll() {
	c.holders = append([]access.DevicePermission{}, c.held("", nil)...)
}

func (c *call) writeGroupWith(o *object, g access.Group, held []access.DevicePermission) {
	self := c.groupURL(g.ID)
	o.open()
	o.int("id", g.ID)
	o.text("name", g.Name)
	o.some("description", g.Description)
	o.text("self", self)
	o.key("customProperties")
	o.b = g.Custom.AppendTo(o.b)
	o.comma = true
	o.begin("devicePermissions")
	for _, p := range held {
		if p.User == "" && p.Group == g.ID {
			writeHeld(o, []access.DevicePermission{p})
		}
	}
	o.close()
	o.list("applications")
	o.endList()
	c.writeRoles(o, self, g.Roles)
	o.begin("users")
	o.text("self", self+"/users")
	o.list("references")
	o.endList()
	o.close()
	o.close()
}

// writeUser writes a user with its groups and their roles complete.
func (c *call) writeUser(o *object, u access.User, groups []access.Group, self string) {
	o.open()
	o.text("id", string(u.Name))
	o.text("userName", string(u.Name))
	o.text("self", self)
	for _, f := range [][2]string{{"displayName", u.DisplayName}, {"firstName", u.FirstName}, {"lastName", u.LastName}, {"email", u.Email}, {"phone", u.Phone}} {
		o.some(f[0], f[1])
	}
	o.bool("enabled", u.Enabled)
	o.bool("shouldResetPassword", u.MustReset)
	o.bool("newsletter", u.Newsletter)
	o.bool("twoFactorAuthenticationEnabled", u.TFA)
	o.text("passwordStrength", string(cmp.Or(u.Strength, access.Green)))
	since := u.PasswordSince
	if since.IsZero() { // no password was ever chosen
		since = u.Created
	}
	o.time("lastPasswordChange", since)
	o.some("owner", string(u.Owner))
	o.some("delegatedBy", string(u.DelegatedBy))
	o.int("subusersCount", int64(u.Subusers))
	held := c.held(u.Name, u.Groups)
	o.begin("devicePermissions")
	for _, p := range held {
		if p.User == u.Name {
			writeHeld(o, []access.DevicePermission{p})
		}
	}
	o.close()
	o.begin("customProperties")
	o.members(u.Custom.Without("userOrigin"))
	o.text("userOrigin", cmp.Or(string(u.Origin), "BASIC"))
	o.close()
	o.list("applications")
	o.endList()
	c.writeRoles(o, c.userURL(u.Name), u.Roles)
	o.begin("groups")
	o.text("self", c.userURL(u.Name)+"/groups")
	o.list("references")
	for _, g := range groups {
		if slices.Contains(u.Groups, g.ID) {
			o.open()
			o.text("self", c.userURL(u.Name)+"/groups/"+strconv.FormatInt(g.ID, 10))
			o.key("group")
			c.writeGroupWith(o, g, held)
			o.close()
		}
	}
	o.endList()
	o.close()
	o.close()
}

// userPatch reads what a client wants to set of a user.
func (c *call) userPatch(d iot.Doc) (p access.UserPatch, err error) {
	for name, to := range map[string]**string{"displayName": &p.DisplayName, "firstName": &p.FirstName, "lastName": &p.LastName, "email": &p.Email, "phone": &p.Phone, "password": &p.Password} {
		if *to, err = textOf(d, name); err != nil {
			return p, err
		}
	}
	var invite *bool
	for name, to := range map[string]**bool{"enabled": &p.Enabled, "shouldResetPassword": &p.MustReset, "newsletter": &p.Newsletter, "sendPasswordResetEmail": &invite} {
		if raw := d.Get(name); raw != nil && !iot.IsNull(raw) {
			var v bool
			if json.Unmarshal(raw, &v) != nil {
				return p, fault.E(fault.Op("c8yrest.User"), fault.Invalid, name+" must be true or false")
			}
			*to = &v
		}
	}
	p.Invite = invite != nil && *invite
	if raw := d.Get("customProperties"); raw != nil && raw[0] == '{' {
		if p.Custom, err = parseDoc(raw); err != nil {
			return p, err
		}
	}
	return p, nil
}

func listUsers(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	q := access.UserQuery{Prefix: c.query.Get("username"), Contains: c.query.Get("usernameContains"), Owner: iot.UserName(c.query.Get("owner")),
		OnlyDevices: c.flag("onlyDevices", false), Subusers: c.flag("withSubusersCount", false), Offset: p.offset(), Limit: p.size}
	for _, v := range c.list("groups") {
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return fault.E(fault.Op("c8yrest.Users"), fault.Invalid, "groups must be a list of ids of groups")
		}
		q.Groups = append(q.Groups, id)
	}
	users, n, err := c.s.Users.List(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = n
	c.holdAll()
	return c.collection("usercollection", "users", p, func(o *object) error {
		for _, u := range users {
			c.writeUser(o, u, groups, c.userURL(u.Name))
		}
		return nil
	})
}

func (c *call) storedUser(status int, u access.User) error {
	location := ""
	if status == http.StatusCreated {
		location = c.userURL(u.Name)
	}
	return c.stored(status, "user", location, func() ([]byte, error) { return c.userBody(u) })
}

func (c *call) userBody(u access.User) ([]byte, error) {
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return nil, err
	}
	var o object
	c.writeUser(&o, u, groups, c.userURL(u.Name))
	return o.b, nil
}

func createUser(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	patch, err := c.userPatch(d)
	if err != nil {
		return err
	}
	name, _ := d.Text("userName")
	u, err := c.s.Users.Create(c.ctx, c.p, iot.UserName(name), patch)
	if err != nil {
		return err
	}
	return c.storedUser(http.StatusCreated, u)
}

// userOf reads the path segments that name a user.
func (c *call) userOf() (access.User, error) {
	if err := c.ownTenant(); err != nil {
		return access.User{}, err
	}
	return c.s.Users.Get(c.ctx, c.p, iot.UserName(c.r.PathValue("user")))
}

// userToChange reads the path segments that name a user whom the caller wants to change.
func (c *call) userToChange() (access.User, error) {
	if err := c.ownTenant(); err != nil {
		return access.User{}, err
	}
	return c.userForChange(iot.UserName(c.r.PathValue("user")))
}

// userForChange returns a user whom the caller may change, which does not include to read them.
func (c *call) userForChange(name iot.UserName) (access.User, error) {
	return c.s.Users.Manage(c.ctx, c.p, name)
}

func getUser(c *call) error {
	u, err := c.userOf()
	if err != nil {
		return err
	}
	b, err := c.userBody(u)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "user", b)
}

func updateUser(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	patch, err := c.userPatch(d)
	if err != nil {
		return err
	}
	u, err := c.s.Users.Update(c.ctx, c.p, iot.UserName(c.r.PathValue("user")), patch)
	if err != nil {
		return err
	}
	return c.storedUser(http.StatusOK, u)
}

func deleteUser(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	if err := c.s.Users.Delete(c.ctx, c.p, iot.UserName(c.r.PathValue("user"))); err != nil {
		return err
	}
	return c.noContent()
}
