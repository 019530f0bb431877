package c8yrest

import (
	"net/http"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func changePassword(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	current, _ := d.Text("currentUserPassword")
	next, ok := d.Text("newPassword")
	if !ok {
		return missing("newPassword")
	}
	if err := c.s.Users.ChangePassword(c.ctx, c.p, current, next); err != nil {
		return err
	}
	if c.p.TokenID != "" && c.r.Header.Get("Authorization") == "" { // c8y: a browser stays logged in, with a fresh cookie
		if err := c.renew(c.p); err != nil {
			return err
		}
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// resetPassword sets the password of another user. c8y: the caller proves who they are once more with their own.
func resetPassword(c *call) error {
	u, err := c.userToChange()
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	next, ok := d.Text("newPassword")
	current, proved := d.Text("currentUserPassword")
	if !ok || !proved {
		return missing("newPassword", "currentUserPassword")
	}
	if err := c.s.Users.ProvePassword(c.ctx, c.p, current); err != nil {
		return fault.E(fault.Op("c8yrest.ResetPassword"), err, "the password in currentUserPassword is not that of the caller")
	}
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{Password: &next}); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// bodyTenant is the tenant that a request without credentials is about: as its parameter says, or its host.
func (c *call) bodyTenant() iot.TenantID {
	t := iot.TenantID(c.query.Get("tenantId"))
	if t == "" {
		t = c.s.hostTenant(c.r)
	}
	if t == "" {
		t = iot.DefaultTenant
	}
	return t
}

// requestReset sends a mail with a link. The answer is the same whether or not anybody has the address.
func requestReset(c *call) error {
	d, err := c.smallDoc()
	if err != nil {
		return err
	}
	email, ok := d.Text("email")
	if !ok {
		return missing("email")
	}
	if err := c.s.Users.RequestReset(c.ctx, c.bodyTenant(), email, remote(c.r)); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// useReset sets a password with a token from a mail, or from a login that was refused because the password must change. The strength that
// clients send along is computed here instead.
func useReset(c *call) error {
	d, err := c.smallDoc()
	if err != nil {
		return err
	}
	token, _ := d.Text("token")
	next, ok := d.Text("newPassword")
	if !ok || token == "" {
		return missing("token", "newPassword")
	}
	email, _ := d.Text("email")
	if err := c.s.Users.ResetPassword(c.ctx, iot.TenantID(c.query.Get("tenantId")), token, email, next, remote(c.r)); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func validateReset(c *call) error {
	if err := c.s.Users.ValidReset(c.ctx, iot.TenantID(c.query.Get("tenantId")), c.query.Get("token"), c.query.Get("email"), remote(c.r)); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// smallDoc reads a body from somebody who has not said who they are.
func (c *call) smallDoc() (iot.Doc, error) {
	b, err := c.jsonBody()
	if err != nil {
		return nil, err
	}
	if len(b) > maxForm {
		return nil, fault.E(fault.Op("c8yrest.Body"), fault.TooLarge, "the body must not be larger than 64 KiB")
	}
	return parseDoc(b)
}
