package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func TestTheOldestSessionEnds(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		var tokens []string
		for range 6 {
			token, _, err := f.form("bob", "Bob-password-1", "")
			f.must(err)
			tokens = append(tokens, token)
			f.clock.Advance(time.Second)
		}
		for i, token := range tokens {
			if _, err := f.users.Token(f.ctx, token); (err == nil) != (i > 0) {
				f.Errorf("session %d: %v", i, err)
			}
		}
		bob, err := f.users.Token(f.ctx, tokens[5])
		f.must(err)
		list, err := f.users.ListSessions(f.ctx, bob, "")
		if err != nil || len(list) != 5 || !list[4].Current || list[0].Current || list[0].Address != "192.0.2.1" || list[0].UserAgent != "Mozilla/5.0" {
			f.Fatalf("%+v %v", list, err)
		}
		for _, s := range list {
			if _, err := f.store.Session(f.ctx, "ta", s.Handle, f.clock.Now()); err == nil || s.Handle == bob.TokenID || strings.Contains(strings.Join(tokens, ""), "nothing") {
				f.Error("the handle is the id of the token")
			}
		}
		f.must(f.users.RevokeSession(f.ctx, bob, list[0].Handle))
		_, err = f.users.Token(f.ctx, tokens[1])
		f.refused("revoked", err, fault.Unauthenticated)
		f.person("eve", "Eve-password-1")
		eve, err := f.login("eve", "Eve-password-1")
		f.must(err)
		f.refused("somebody else's", f.users.RevokeSession(f.ctx, eve, list[1].Handle), fault.NotFound)
		f.refused("one that never was", f.users.RevokeSession(f.ctx, eve, "none"), fault.NotFound)
		_, err = f.users.ListSessions(f.ctx, eve, "bob")
		f.refused("somebody else's list", err, fault.Denied)
		f.must(f.users.RevokeSession(f.ctx, f.admin(), list[1].Handle))
		if f.ledger.count("ta Session revoked") != 2 {
			f.Error("not audited")
		}
	})
}

func TestRenewal(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		old, first, err := f.form("bob", "Bob-password-1", "")
		f.must(err)
		if got := first.RenewAfter.Sub(first.Created); got != 24*time.Hour {
			f.Errorf("renewed after %s", got)
		}
		f.clock.Advance(25 * time.Hour)
		p, s, err := f.users.Resume(f.ctx, old, access.Login{})
		f.must(err)
		if f.clock.Now().Before(s.RenewAfter) {
			f.Error("not due")
		}
		token, renewed, err := f.users.Renew(f.ctx, p)
		f.must(err)
		if renewed.Chain != first.Chain || renewed.ID == first.ID || renewed.XSRF == first.XSRF || renewed.Expires.After(first.Ends) {
			f.Errorf("%+v after %+v", renewed, first)
		}
		for _, x := range []string{old, token} {
			if _, err := f.users.Token(f.ctx, x); err != nil {
				f.Errorf("for a minute both are good: %v", err)
			}
		}
		f.clock.Advance(time.Minute)
		_, err = f.users.Token(f.ctx, old)
		f.refused("the old one", err, fault.Unauthenticated)
		list, err := f.users.ListSessions(f.ctx, p, "")
		if err != nil || len(list) != 1 {
			f.Errorf("%+v %v", list, err)
		}
		f.clock.Advance(first.Ends.Sub(f.clock.Now()))
		_, err = f.users.Token(f.ctx, token)
		f.refused("beyond the absolute timeout", err, fault.Unauthenticated)
	})
}

func TestLogoutEndsTheWholeSession(t *testing.T) {
	each(t, func(f *fixture) {
		old, _, err := f.form("admin", adminPassword+"ta", "")
		f.must(err)
		p, err := f.users.Token(f.ctx, old)
		f.must(err)
		token, _, err := f.users.Renew(f.ctx, p)
		f.must(err)
		p, err = f.users.Token(f.ctx, token)
		f.must(err)
		f.must(f.users.Logout(f.ctx, p))
		for _, x := range []string{old, token} {
			_, err := f.users.Token(f.ctx, x)
			f.refused("after the logout", err, fault.Unauthenticated)
		}
	})
}

func TestSessionRules(t *testing.T) {
	each(t, func(f *fixture) {
		f.options["oauth.internal/basic-token.lifespan.seconds"] = "600"
		f.options["oauth.internal/device-token.lifespan.seconds"] = "1" // at least five minutes
		_, s, err := f.form("admin", adminPassword+"ta", "")
		if err != nil || s.Expires.Sub(s.Created) != 10*time.Minute {
			f.Errorf("%+v %v", s, err)
		}
		d, err := f.users.DeviceToken(f.ctx, iot.Principal{Tenant: "ta", User: "admin"})
		f.must(err)
		f.clock.Advance(4 * time.Minute)
		if _, err := f.users.Token(f.ctx, d); err != nil {
			f.Error(err)
		}
		f.clock.Advance(2 * time.Minute)
		_, err = f.users.Token(f.ctx, d)
		f.refused("the token of a device", err, fault.Unauthenticated)
		doc, err := iot.ParseDoc([]byte(`{"sessionConfiguration":{"maximumNumberOfParallelSessions":1,"userAgentValidationRequired":true,"absoluteTimeoutMillis":1200000,"renewalTimeoutMillis":300000}}`), iot.MaxDepth)
		f.must(err)
		root := iot.System("ta")
		_, err = f.users.UpdateLoginOption(f.ctx, root, "oauth2_internal", doc, true)
		f.must(err)
		token, s, err := f.form("admin", adminPassword+"ta", "")
		f.must(err)
		if s.Ends.Sub(s.Started) != 20*time.Minute || s.RenewAfter.Sub(s.Created) != 5*time.Minute {
			f.Errorf("%+v", s)
		}
		if _, _, err := f.users.Resume(f.ctx, token, access.Login{UserAgent: "Mozilla/5.0"}); err != nil {
			f.Error(err)
		}
		_, _, err = f.users.Resume(f.ctx, token, access.Login{UserAgent: "curl/8"})
		f.refused("another client", err, fault.Unauthenticated)
	})
}
