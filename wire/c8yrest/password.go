package c8yrest

import (
	"net/http"

	"github.com/isobar-iot/isobar/fault"
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
	if _, err := c.s.Users.Basic(c.ctx, access.Login{Tenant: c.p.Tenant, User: string(c.p.User), Password: current, RemoteAddr: c.p.RemoteAddr}); err != nil {
		return fault.E(fault.Op("c8yrest.ResetPassword"), fault.Denied, err, "the password in currentUserPassword is not that of the caller")
	}
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{Password: &next}); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// userTFA says that there is no second factor yet.
func userTFA(c *call) error {
	if _, err := c.userOf(); err != nil {
		return err
	}
	return c.json(http.StatusOK, "", []byte(`{"tfaEnabled":false,"tfaEnforced":false,"strategy":"TOTP","lastTfaRequestTime":null}`))
}
