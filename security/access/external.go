package access

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// ExternalIdentity is what a directory outside of the platform says of a person.
type ExternalIdentity struct {
	User      iot.UserName
	FirstName string
	LastName  string
	Email     string
	Phone     string
	Groups    []int64 // ids of global roles
	// ManageGroups says that Groups are all the groups of the person, also when the account exists already.
	ManageGroups bool
	Origin       Origin // OAuth2 or LDAP
}

// Directory knows passwords of people that the platform does not. Implementations are safe for concurrent use and bound the time that they take.
type Directory interface {
	// Authenticate checks a password, which is never empty. handled is false if the directory is not for that tenant or does not know the
	// name: then others are asked. A fault of kind Unauthenticated says that the password is wrong; any other error, that the directory
	// cannot tell now.
	Authenticate(ctx context.Context, t iot.TenantID, user, password string) (id ExternalIdentity, handled bool, err error)
}

// askDirectories asks about a password. A person who has an account is only known to a directory of its origin.
func (u *Users) askDirectories(ctx context.Context, t iot.TenantID, name iot.UserName, origin Origin, password string) (User, bool, error) {
	for _, d := range u.d.Directories {
		id, handled, err := d.Authenticate(ctx, t, string(name), password)
		if !handled && err == nil {
			continue
		}
		if err != nil {
			return User{}, true, err
		}
		if origin != Local && id.Origin != origin {
			continue
		}
		user, err := u.adopt(ctx, t, id)
		return user, true, err
	}
	return User{}, false, nil
}

// Adopt logs in a person whom another directory vouches for: it creates or updates the account and opens a session. It acts for the platform:
// the caller has verified the identity. It never takes over an account that is managed here or by another directory.
func (u *Users) Adopt(ctx context.Context, t iot.TenantID, id ExternalIdentity, l Login) (token string, s Session, err error) {
	const op = fault.Op("access.Adopt")
	if err := u.d.Tenants.Active(ctx, t); err != nil {
		return "", Session{}, fault.E(op, fault.Unauthenticated, err)
	}
	user, err := u.adopt(ctx, t, id)
	if err != nil {
		return "", Session{}, err
	}
	if !user.Enabled {
		u.auditFailure(ctx, t, user.Name, l)
		return "", Session{}, errBadCredentials
	}
	return u.open(ctx, t, user, l, l.kind(), id.Origin == OAuth2)
}

func (u *Users) adopt(ctx context.Context, t iot.TenantID, id ExternalIdentity) (user User, err error) {
	err = again(func() error {
		user, err = u.adoptOnce(ctx, t, id)
		return err
	})
	return user, err
}

func (u *Users) adoptOnce(ctx context.Context, t iot.TenantID, id ExternalIdentity) (User, error) {
	const op = fault.Op("access.Adopt")
	if err := validUserName(id.User); err != nil {
		return User{}, err
	}
	if id.Origin == Local || machineName(id.User) {
		return User{}, fault.E(op, fault.Denied, "the name '"+string(id.User)+"' cannot be of a person from another directory")
	}
	user, err := u.d.Store.Account(ctx, t, id.User)
	create := errors.Is(err, sql.ErrNoRows)
	switch {
	case err != nil && !create:
		return User{}, sqlkit.Fault(op, err)
	case create:
		user = User{Name: id.User, Enabled: true, Created: u.d.Clock.Now(), PasswordSince: u.d.Clock.Now(), Origin: id.Origin, Roles: sorted(expand("USER_MANAGEMENT_OWN:RA"))}
	case user.Origin != id.Origin:
		return User{}, fault.E(op, fault.Conflict, "the account '"+string(id.User)+"' exists and is not managed by this directory: an administrator must delete or rename one of them")
	}
	before := user
	for to, from := range map[*string]string{&user.FirstName: id.FirstName, &user.LastName: id.LastName, &user.Email: id.Email, &user.Phone: id.Phone} {
		if from = clip(from, maxUserField); from != "" {
			*to = from
		}
	}
	if validEmail(user.Email) != nil {
		user.Email = before.Email
	}
	if create || id.ManageGroups {
		groups, err := u.d.Store.Groups(ctx, t)
		if err != nil {
			return User{}, sqlkit.Fault(op, err)
		}
		user.Groups = nil
		for _, g := range groups { // what a mapping names but does not exist grants nothing
			if slices.Contains(id.Groups, g.ID) {
				user.Groups = append(user.Groups, g.ID)
			}
		}
	}
	changes := userChanges(before, user)
	if !create && len(changes) == 0 {
		return user, nil
	}
	p := iot.Principal{Tenant: t, User: id.User}
	if err := u.putUser(ctx, p, user, create); err != nil {
		return User{}, err
	}
	activity := "User updated"
	if create {
		activity = "User created"
	}
	u.record(ctx, p, activity, user.Name, changes)
	return user, nil
}
