package c8yrest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"rsc.io/qr"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// createTOTP makes the secret of a second factor. c8y: secretQrUrl is the address of a picture; ours carries the picture in it, so that the
// secret goes nowhere else.
func createTOTP(c *call) error {
	secret, address, err := c.s.Users.NewFactor(c.ctx, c.p)
	if err != nil {
		return err
	}
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		return fault.E(fault.Op("c8yrest.TOTP"), err)
	}
	var o object
	o.open()
	o.text("rawSecret", secret)
	o.text("secretQrUrl", "data:image/png;base64,"+base64.StdEncoding.EncodeToString(code.PNG()))
	o.text("otpauthUrl", address)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func verifyTOTP(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	code, ok := d.Text("code")
	if !ok {
		return missing("code")
	}
	if err := c.s.Users.VerifyFactor(c.ctx, c.p, code); err != nil {
		return err
	}
	return c.noContent()
}

func activateTOTP(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	var active bool
	if raw := d.Get("isActive"); raw == nil || json.Unmarshal(raw, &active) != nil {
		return missing("isActive")
	}
	if err := c.s.Users.ActivateFactor(c.ctx, c.p, active); err != nil {
		return err
	}
	return c.noContent()
}

func getTOTP(c *call) error {
	active, err := c.s.Users.FactorActive(c.ctx, c.p)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.bool("isActive", active)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func revokeTOTP(c *call) error {
	u, err := c.userToChange()
	if err != nil {
		return err
	}
	if err := c.s.Users.RevokeFactor(c.ctx, c.p, u.Name); err != nil {
		return err
	}
	return c.noContent()
}

const totpStrategy = "TOTP" // the only one: text messages would need a provider

func userTFA(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	f, err := c.s.Users.Factor(c.ctx, c.p, iot.UserName(c.r.PathValue("user")))
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "", factorJSON(f))
}

// enforceTFA is c8y: applications that manage users send it after each of them is stored.
func enforceTFA(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	must, err := boolOf(d, "tfaEnforced")
	if err != nil {
		return err
	}
	f, err := c.s.Users.EnforceFactor(c.ctx, c.p, iot.UserName(c.r.PathValue("user")), must)
	if err != nil {
		return err
	}
	return c.stored(http.StatusOK, "", "", func() ([]byte, error) { return factorJSON(f), nil })
}

func factorJSON(f access.FactorState) []byte {
	var o object
	o.open()
	o.bool("tfaEnabled", f.Active)
	o.bool("tfaEnforced", f.Enforced)
	o.text("strategy", totpStrategy)
	if f.Used.IsZero() {
		o.raw("lastTfaRequestTime", []byte("null"))
	} else {
		o.time("lastTfaRequestTime", f.Used)
	}
	o.close()
	return o.b
}

// tenantForTFA reads the segment that names a tenant: the caller's own, or any for members of management with a permission on tenants.
func (c *call) tenantForTFA(l access.Level) (iot.TenantID, error) {
	id := iot.TenantID(c.r.PathValue("tenant"))
	err := c.s.Policy.Check(c.ctx, c.p, access.TenantAdmin, l, access.Object{})
	if err != nil && l == access.Read && c.p.Tenant == id {
		for _, f := range []access.Family{access.UserAdmin, access.OwnUser} {
			if c.s.Policy.Check(c.ctx, c.p, f, l, access.Object{}) == nil {
				err = nil
			}
		}
	}
	if err != nil {
		return id, err
	}
	if c.p.Tenant != iot.Management {
		return id, c.ownTenant()
	}
	_, err = c.s.Tenants.Get(c.ctx, id)
	return id, err
}

func getTenantTFA(c *call) error {
	t, err := c.tenantForTFA(access.Read)
	if err != nil {
		return err
	}
	f := c.s.Users.Factors(c.ctx, t)
	var o object
	o.open()
	o.bool("enabledOnSystemLevel", f.System)
	o.bool("enabledOnTenantLevel", f.Offered)
	o.bool("enforcedOnSystemLevel", false)
	o.some("enforcedUsersGroup", f.Group)
	o.text("strategy", totpStrategy)
	o.bool("totpEnforcedOnTenantLevel", f.Offered && f.Enforced)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func putTenantTFA(c *call) error {
	t, err := c.tenantForTFA(access.Update)
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	strategy, ok := d.Text("strategy")
	if !ok {
		return missing("strategy")
	}
	if strategy != totpStrategy {
		return fault.E(fault.Op("c8yrest.TFA"), fault.Invalid, "the strategy must be TOTP: codes by SMS are not offered")
	}
	p := iot.System(t) // the permission on tenants is what counts here, not the one on options
	p.User, p.RemoteAddr = c.p.User, c.p.RemoteAddr
	key := tenancy.OptionKey{Category: "two-factor-authentication", Key: "strategy"}
	if err := c.s.Tenants.PutOptions(c.ctx, p, []tenancy.Option{{OptionKey: key, Value: strategy}}); err != nil {
		return err
	}
	return c.noContent()
}
