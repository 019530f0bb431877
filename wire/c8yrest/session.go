package c8yrest

import (
	"net/http"

	"github.com/isobar-iot/isobar/iot"
)

// loginRoutes are what belongs to logging in beside the accounts themselves.
func loginRoutes() []Route {
	const u, me, opt, tfa = "/user/{tenant}/users/{user}", "/user/currentUser", "/tenant/loginOptions", "/tenant/tenants/{tenant}/tfa"
	return []Route{
		public(post("/user/passwordReset", requestReset)), public(put("/user/passwordReset", useReset)), public(get("/user/passwordReset/validate", validateReset)),
		put("/user/currentUserPhone", updatePhone),
		post(me+"/totpSecret", createTOTP), post(me+"/totpSecret/verify", verifyTOTP), post(me+"/totpSecret/activity", activateTOTP), get(me+"/totpSecret/activity", getTOTP),
		del(u+"/totpSecret/revoke", revokeTOTP), get(tfa, getTenantTFA), put(tfa, putTenantTFA),
		put(u+"/owner", putOwner), del(u+"/owner", deleteOwner), put(u+"/delegatedby", putDelegate), del(u+"/delegatedby", deleteDelegate),
		post(opt, createLoginOption), put(opt+"/{id}", updateLoginOption), del(opt+"/{id}", deleteLoginOption),
		get("/isobar/access/sessions", listSessions), del("/isobar/access/sessions/{id}", revokeSession),
	}
}

// listSessions lists the sessions of the caller, or of another user. The id is a name for it that opens nothing.
func listSessions(c *call) error {
	sessions, err := c.s.Users.ListSessions(c.ctx, c.p, iot.UserName(c.query.Get("user")))
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("self", c.base()+"/isobar/access/sessions")
	o.list("sessions")
	for _, s := range sessions {
		o.open()
		o.text("id", s.Handle)
		o.text("self", c.base()+"/isobar/access/sessions/"+s.Handle)
		o.text("user", string(s.User))
		o.text("kind", string(s.Kind))
		o.time("created", s.Started)
		o.time("lastSeen", s.Seen)
		o.time("expires", s.Expires)
		o.some("address", s.Address)
		o.some("userAgent", s.UserAgent)
		o.bool("current", s.Current)
		o.close()
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func revokeSession(c *call) error {
	if err := c.s.Users.RevokeSession(c.ctx, c.p, c.r.PathValue("id")); err != nil {
		return err
	}
	return c.noContent()
}
