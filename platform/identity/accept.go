package identity

import (
	"context"
	"log/slog"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// maxFailures wrong tokens block a registration.
const maxFailures = 10

// verdict is what a presented token means.
type verdict uint8

const (
	right verdict = iota
	absent
	wrong
)

// judge compares a presented token with that of a registration, and counts a wrong one.
func judge(r Registration, pol policy, token string) (Registration, verdict) {
	switch {
	case pol == ignored:
		return r, right
	case r.Token == nil && pol == required:
		return r, absent
	case r.Token == nil:
		return r, right
	case token == "":
		return r, absent
	case r.Token.matches(token):
		return r, right
	}
	if r.Failures++; r.Failures >= maxFailures {
		r.Status = Blocked
	}
	return r, wrong
}

// refuse audits a token that was not right and returns what the client is told.
func (s *Registrations) refuse(ctx context.Context, op fault.Op, p iot.Principal, r Registration, v verdict) error {
	reason := "the security token is missing"
	if v == wrong {
		reason = "the security token is wrong"
		if r.Status == Blocked {
			reason = "the security token was wrong too often; delete the registration and make a new one"
		}
	}
	p.Tenant = r.Tenant // the shared account belongs to another tenant, but the record concerns this one
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: "Device registration failed", Text: "Registration of the device '" + r.ID + "' failed: " + reason})
	return fault.E(op, fault.Invalid, fault.Reason("security-token"), fault.Subject(r.ID), reason)
}

// Accept welcomes a device that has asked for its credentials. If the device presented a security token, the same one must be given. It
// needs ROLE_DEVICE_CONTROL_ADMIN. A registration that is not Pending is a fault of kind Invalid.
func (s *Registrations) Accept(ctx context.Context, p iot.Principal, id, securityToken string) (Registration, error) {
	const op = fault.Op("identity.Accept")
	if err := s.d.Policy.Check(ctx, p, access.Operation, access.Admin, access.Object{}); err != nil {
		return Registration{}, err
	}
	if _, err := s.get(ctx, op, p.Tenant, id); err != nil {
		return Registration{}, err
	}
	pol := s.policy(ctx, p.Tenant)
	var v verdict
	var was Status
	r, err := s.d.Store.Update(ctx, id, s.revision(p), func(r Registration) Registration {
		if v, was = right, r.Status; r.Status != Pending || r.Tenant != p.Tenant {
			return r
		}
		if r, v = judge(r, pol, securityToken); v == right {
			r.Status = Accepted
		}
		return r
	})
	switch {
	case err != nil:
		return Registration{}, missing(op, id, err)
	case v != right:
		return Registration{}, s.refuse(ctx, op, p, r, v)
	case was != Pending:
		return Registration{}, fault.Errorf(op, fault.Invalid, "the device must have asked for its credentials before it can be accepted; the registration is in the status %s", was)
	}
	return r, nil
}

// Outcome is what became of one registration when all were accepted.
type Outcome struct {
	ID         string
	Successful bool
	Error      string // for the client, empty if successful
}

// AcceptAll accepts all registrations of the tenant that are Pending. Those that need a security token stay.
func (s *Registrations) AcceptAll(ctx context.Context, p iot.Principal) ([]Outcome, error) {
	if err := s.d.Policy.Check(ctx, p, access.Operation, access.Admin, access.Object{}); err != nil {
		return nil, err
	}
	var pending []string
	const page = 500
	for offset := 0; ; offset += page {
		more, _, err := s.d.Store.List(ctx, p.Tenant, offset, page)
		if err != nil {
			return nil, sqlkit.Fault("identity.AcceptAll", err)
		}
		for _, r := range more {
			if r.Status == Pending {
				pending = append(pending, r.ID)
			}
		}
		if len(more) < page {
			break
		}
	}
	out := make([]Outcome, len(pending))
	for i, id := range pending {
		_, err := s.Accept(ctx, p, id, "")
		out[i] = Outcome{ID: id, Successful: err == nil}
		if err != nil {
			out[i].Error = fault.Message(err)
		}
	}
	return out, nil
}

// Credentials is the account of a device.
type Credentials struct {
	ID       string
	Tenant   iot.TenantID
	User     iot.UserName
	Password string
}

// Credentials answers a device that asks for its account with the one that all devices share (ROLE_DEVICE_BOOTSTRAP). Until it is accepted
// that is a fault of kind NotFound; the first question makes the registration Pending and keeps the security token. Once accepted, the
// account is created or gets a new password, and the registration is used up. A shared account of another tenant than Management
// serves its own tenant only.
func (s *Registrations) Credentials(ctx context.Context, p iot.Principal, id, securityToken string) (Credentials, error) {
	const op = fault.Op("identity.Credentials")
	if err := s.d.Policy.Check(ctx, p, access.Bootstrap, access.Read, access.Object{}); err != nil {
		return Credentials{}, err
	}
	r, err := s.d.Store.Get(ctx, id)
	if err != nil {
		return Credentials{}, missing(op, id, err)
	}
	if p.Tenant != r.Tenant && p.Tenant != iot.Management || r.Status == Used || r.Status == Blocked || r.Enrollment != nil {
		return Credentials{}, missing(op, id, fault.E(op, fault.NotFound))
	}
	pol := s.policy(ctx, r.Tenant)
	var v verdict
	var won bool
	r, err = s.d.Store.Update(ctx, id, s.revision(p), func(r Registration) Registration {
		r, v, won = asked(r, pol, securityToken)
		return r
	})
	switch {
	case err != nil:
		return Credentials{}, missing(op, id, err)
	case v != right:
		return Credentials{}, s.refuse(ctx, op, p, r, v)
	case !won:
		return Credentials{}, missing(op, id, fault.E(op, fault.NotFound))
	}
	return s.issue(ctx, op, r)
}

// asked is a registration after its device has asked. won is true if this question gets the credentials: of several, one does.
func asked(r Registration, pol policy, token string) (next Registration, v verdict, won bool) {
	if r.Status == Used || r.Status == Blocked {
		return r, right, false
	}
	if r.Status == Waiting && r.Token == nil && token != "" && pol != ignored {
		r.Token = newToken(token)
	}
	if r, v = judge(r, pol, token); v != right {
		return r, v, false
	}
	switch r.Status {
	case Waiting:
		r.Status = Pending
	case Accepted:
		r.Status, won = Used, true
	}
	return r, right, won
}

// issue makes the account. The registration is used up already, so that nobody else gets it; it comes back if the account cannot be made.
func (s *Registrations) issue(ctx context.Context, op fault.Op, r Registration) (Credentials, error) {
	p := iot.System(r.Tenant)
	user, password, err := s.d.Users.DeviceAccount(ctx, p, r.ID)
	spent(ctx, s.d.Store, s.d.Log, s.revision(p), r, err)
	if err != nil {
		return Credentials{}, fault.E(op, err)
	}
	return Credentials{ID: r.ID, Tenant: r.Tenant, User: user, Password: password}, nil
}

// spent ends a registration that was used up: it goes, unless it still has to say below which group
// the device hangs, and it comes back if what it was used for failed.
func spent(ctx context.Context, store Store, log *slog.Logger, rev sqlkit.Revision, r Registration, failed error) {
	ctx = context.WithoutCancel(ctx)
	if failed != nil {
		_, err := store.Update(ctx, r.ID, rev, func(r Registration) Registration {
			if r.Status == Used {
				r.Status = Accepted
			}
			return r
		})
		if err != nil {
			log.Error("restore a registration", "tenant", r.Tenant, "device", r.ID, "err", err)
		}
		return
	}
	if r.Group == 0 {
		if err := store.Delete(ctx, r.Tenant, r.ID, rev); err != nil {
			log.Warn("remove a registration that is used", "tenant", r.Tenant, "device", r.ID, "err", err)
		}
	}
}
