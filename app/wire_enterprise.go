package app

import (
	"context"
	"path/filepath"

	"github.com/isobar-iot/isobar/enterprise/directory"
	"github.com/isobar-iot/isobar/enterprise/directory/ldap"
	"github.com/isobar-iot/isobar/enterprise/directory/oidc"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/security/access"
)

// startDirectory makes what access asks about people whom an enterprise knows. It comes before access, which it needs only later.
func startDirectory(_ context.Context, p *parts) (stopFunc, error) {
	vault, err := secret.Open(filepath.Join(p.conf.Data, "keys", "secrets.key"))
	if err != nil {
		return nil, err
	}
	users := func() *access.Users { return p.users }
	exists := func(ctx context.Context, t iot.TenantID, id iot.ID) error {
		_, err := p.registry.Source(ctx, t, id)
		return err
	}
	door := directory.Door{AllowLoopback: p.conf.OIDCAllowInsecure}
	p.sso = oidc.New(oidc.Deps{Users: users, Exists: exists, Vault: vault, Door: door, Clock: p.clock, Log: p.component("oidc"), PublicURL: p.conf.Mail.PublicURL})
	p.ldap = ldap.New(ldap.Deps{Users: users, Exists: exists, Vault: vault, Door: door, Clock: p.clock, Log: p.component("ldap")})
	return func(context.Context) error { p.ldap.Close(); return nil }, nil
}
