package access_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// TestOneTimePasswords has the vectors of RFC 6238, appendix B.
func TestOneTimePasswords(t *testing.T) {
	seed := []byte("12345678901234567890")
	for algorithm, n := range map[string]int{"SHA1": 20, "SHA256": 32, "SHA512": 64} {
		secret := bytes.Repeat(seed, 4)[:n]
		for at, want := range map[int64]map[string]string{
			59:          {"SHA1": "94287082", "SHA256": "46119246", "SHA512": "90693936"},
			1111111109:  {"SHA1": "07081804", "SHA256": "68084774", "SHA512": "25091201"},
			1111111111:  {"SHA1": "14050471", "SHA256": "67062674", "SHA512": "99943326"},
			1234567890:  {"SHA1": "89005924", "SHA256": "91819424", "SHA512": "93441116"},
			2000000000:  {"SHA1": "69279037", "SHA256": "90698825", "SHA512": "38618901"},
			20000000000: {"SHA1": "65353130", "SHA256": "77737706", "SHA512": "47863826"},
		} {
			if got := access.OneTimePassword(algorithm, secret, uint64(at/30), 8); got != want[algorithm] {
				t.Errorf("%s at %d: %s", algorithm, at, got)
			}
		}
	}
	// RFC 4226, appendix D
	for n, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := access.OneTimePassword("SHA1", seed, uint64(n), 6); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// secondFactor sets up and activates the second factor of a user and returns its secret.
func (f *fixture) secondFactor(p iot.Principal) string {
	f.Helper()
	secret, address, err := f.users.NewFactor(f.ctx, p)
	f.must(err)
	if !strings.HasPrefix(address, "otpauth://totp/") || !strings.Contains(address, secret) {
		f.Errorf("%s", address)
	}
	f.refused("activated before a code was right", f.users.ActivateFactor(f.ctx, p, true), fault.Conflict)
	f.must(f.users.VerifyFactor(f.ctx, p, access.Code(secret, f.clock.Now())))
	f.must(f.users.ActivateFactor(f.ctx, p, true))
	return secret
}

func TestSecondFactor(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		bob, err := f.login("bob", "Bob-password-1")
		f.must(err)
		secret := f.secondFactor(bob)
		stored, err := f.store.Factor(f.ctx, "ta", "bob")
		if err != nil || strings.Contains(stored.Secret, secret) || !stored.Active {
			f.Errorf("%+v %v", stored, err)
		}
		if _, _, err := f.form("bob", "Bob-password-1", ""); !strings.Contains(fault.Message(err), "TOTP") {
			f.Errorf("without a code: %v", err)
		}
		f.refused("Basic goes round it", f.from("bob", "Bob-password-1", "192.0.2.1"), fault.Unauthenticated)
		if _, _, err := f.form("bob", "wrong", access.Code(secret, f.clock.Now())); strings.Contains(fault.Message(err), "TOTP") {
			f.Errorf("a wrong password tells of the factor: %v", err)
		}
		// The code with which it was verified logs in, but only once; the same for the next.
		for _, drift := range []time.Duration{0, 30 * time.Second} {
			code := access.Code(secret, f.clock.Now().Add(drift))
			if _, s, err := f.form("bob", "Bob-password-1", code); err != nil || !s.TFA {
				f.Errorf("%v %v", s, err)
			}
			if _, _, err := f.form("bob", "Bob-password-1", code); !fault.Is(err, fault.Unauthenticated) {
				f.Errorf("a second time: %v", err)
			}
		}
		f.clock.Advance(10 * time.Minute)
		code := access.Code(secret, f.clock.Now())
		var wins int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, _, err := f.form("bob", "Bob-password-1", code); err == nil {
					mu.Lock()
					wins++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if wins != 1 {
			f.Errorf("at once: %d times", wins)
		}
		f.clock.Advance(10 * time.Minute)
		for range 5 {
			if _, _, err := f.form("bob", "Bob-password-1", "no"); !fault.Is(err, fault.Unauthenticated) {
				f.Errorf("a wrong code: %v", err)
			}
		}
		f.refused("guessing", func() error { _, _, err := f.form("bob", "Bob-password-1", "000000"); return err }(), fault.Exhausted)
		f.refused("switched off", f.users.ActivateFactor(f.ctx, bob, false), fault.Denied)
		_, _, err = f.users.NewFactor(f.ctx, bob)
		f.refused("replaced", err, fault.Denied)
		f.refused("revoked by its user", f.users.RevokeFactor(f.ctx, bob, "bob"), fault.Denied)
		f.must(f.users.RevokeFactor(f.ctx, f.admin(), "bob"))
		f.must(f.from("bob", "Bob-password-1", "192.0.2.1"))
		for _, activity := range []string{"TOTP secret created", "TOTP activated", "TOTP revoked"} {
			if !f.ledger.has("ta " + activity) {
				f.Errorf("%s is not audited", activity)
			}
		}
	})
}

func TestSecondFactorOfOneUser(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		admin := f.admin()
		enforce := func(name iot.UserName, must bool) error {
			s, err := f.users.EnforceFactor(f.ctx, admin, name, must)
			if err == nil && (s.Enforced != must || s.Active) {
				f.Errorf("%s, %v: %+v", name, must, s)
			}
			return err
		}
		f.must(enforce("bob", true))
		f.must(enforce("bob", true))
		f.refused("Basic", f.from("bob", "Bob-password-1", "192.0.2.1"), fault.Unauthenticated)
		if s, err := f.users.Factor(f.ctx, admin, "bob"); err != nil || !s.Enforced {
			f.Errorf("%+v %v", s, err)
		}
		f.refused("of nobody", enforce("nobody", true), fault.NotFound)
		f.must(enforce("bob", false))
		f.must(f.from("bob", "Bob-password-1", "192.0.2.1"))
		f.must(enforce(admin.User, true))
		f.refused("to lift one's own", enforce(admin.User, false), fault.Denied)
	})
}

func TestEnforcedSecondFactor(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		device, password, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "d1")
		f.must(err)
		admin := f.admin()
		g, err := f.users.PutGroup(f.ctx, admin, access.Group{Name: "careful"})
		f.must(err)
		f.options["two-factor-authentication/enforced.group"] = "careful"
		f.must(f.from("bob", "Bob-password-1", "192.0.2.1"))
		groups := []int64{g.ID}
		_, err = f.users.Update(f.ctx, admin, "bob", access.UserPatch{Groups: &groups})
		f.must(err)
		f.refused("Basic", f.from("bob", "Bob-password-1", "192.0.2.1"), fault.Unauthenticated)
		f.must(f.from(string(device), password, "192.0.2.1"))
		token, _, err := f.form("bob", "Bob-password-1", "")
		if token == "" || !strings.Contains(fault.Message(err), "TOTP setup required") {
			f.Fatalf("%q %v", token, err)
		}
		_, err = f.users.Token(f.ctx, token)
		f.refused("a session to set up with", err, fault.Unauthenticated)
		bob, _, err := f.users.Resume(f.ctx, token, access.Login{Setup: true})
		f.must(err)
		secret := f.secondFactor(bob)
		if _, _, err = f.form("bob", "Bob-password-1", access.Code(secret, f.clock.Now())); err != nil {
			f.Error(err)
		}
		_, err = f.users.Token(f.ctx, token)
		f.refused("the session to set up with, later", err, fault.Unauthenticated)
		f.options["two-factor-authentication/enabled"] = "false"
		f.refused("who has one must give it", f.from("bob", "Bob-password-1", "192.0.2.1"), fault.Unauthenticated)
	})
}
