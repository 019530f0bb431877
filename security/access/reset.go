package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Tokens that reset passwords say whom they are for and until when, and are signed together with the present password hash and e-mail address:
// so they die with the first use, with any other change of the password, and nothing about them is kept but the hashes of used ones.
const (
	mailedReset = "m" // by mail: comes with the address
	forcedReset = "f" // in the answer to a login with a right password that must be changed

	mailedLifetime = time.Hour
	inviteLifetime = 3 * 24 * time.Hour // for people who were just given an account
	forcedLifetime = 15 * time.Minute
	maxResetToken  = 4096

	mailWindow  = time.Hour
	maxMails    = 5 // to one address, and asked for from one address
	mailWaiting = 100
	mailTimeout = time.Minute
)

type resetClaims struct {
	Kind    string       `json:"k"`
	Tenant  iot.TenantID `json:"t"`
	User    iot.UserName `json:"u"`
	Expires int64        `json:"e"`
}

func (u *Users) resetToken(kind string, t iot.TenantID, user User, now time.Time) string {
	life := mailedLifetime
	if kind == forcedReset {
		life = forcedLifetime
	} else if user.PasswordHash == "" {
		life = inviteLifetime
	}
	body, _ := json.Marshal(resetClaims{kind, t, user.Name, now.Add(life).Unix()}) // strings and a number: cannot fail
	return base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(u.resetMAC(body, user))
}

func (u *Users) resetMAC(body []byte, user User) []byte {
	h := hmac.New(sha256.New, u.reset[:])
	for _, part := range []string{string(body), user.PasswordHash, user.PasswordSince.UTC().Format(time.RFC3339Nano), strings.ToLower(user.Email)} {
		sum := sha256.Sum256([]byte(part)) // of fixed length, so that no part can pass for another
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

var errResetToken = fault.E(fault.Op("access.ResetPassword"), fault.Invalid, "the token is not valid: it was used already, has expired, or the password was changed meanwhile")

// resettable returns the user that a token is for. All refusals look alike.
func (u *Users) resettable(ctx context.Context, t iot.TenantID, token, email, addr string) (User, resetClaims, error) {
	const op = fault.Op("access.ResetPassword")
	var c resetClaims
	now := u.d.Clock.Now()
	if wait := u.guard.address.full(addr, now); addr != "" && wait > 0 {
		return User{}, c, tried(wait)
	}
	refuse := func() (User, resetClaims, error) {
		if addr != "" {
			u.guard.address.add(addr, now)
		}
		return User{}, c, errResetToken
	}
	head, sig, _ := strings.Cut(token, ".")
	body, err1 := base64.RawURLEncoding.Strict().DecodeString(head)
	mac, err2 := base64.RawURLEncoding.Strict().DecodeString(sig)
	if len(token) > maxResetToken || err1 != nil || err2 != nil || json.Unmarshal(body, &c) != nil || t != "" && c.Tenant != t || !c.Tenant.Valid() || u.d.Tenants.Active(ctx, c.Tenant) != nil {
		return refuse()
	}
	user, err := u.d.Store.User(ctx, c.Tenant, c.User)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return User{}, c, sqlkit.Fault(op, err)
	}
	switch {
	case !hmac.Equal(mac, u.resetMAC(body, user)), err != nil, user.Name != c.User, !user.Enabled, user.Machine(), user.Origin != Local, now.Unix() >= c.Expires,
		c.Kind == mailedReset && !strings.EqualFold(email, user.Email):
		return refuse()
	}
	return user, c, nil
}

// ValidReset returns nil if a token would reset a password now.
func (u *Users) ValidReset(ctx context.Context, t iot.TenantID, token, email, remoteAddr string) error {
	_, _, err := u.resettable(ctx, t, token, email, host(remoteAddr))
	return err
}

// ResetPassword sets a new password with a token, once. t may be empty: the token says which tenant it is for.
func (u *Users) ResetPassword(ctx context.Context, t iot.TenantID, token, email, next, remoteAddr string) error {
	const op = fault.Op("access.ResetPassword")
	var p iot.Principal
	var before, user User
	var c resetClaims
	var mark Session
	err := again(func() (err error) {
		if user, c, err = u.resettable(ctx, t, token, email, host(remoteAddr)); err != nil {
			return err
		}
		p = iot.Principal{Tenant: c.Tenant, User: user.Name, RemoteAddr: remoteAddr}
		before = user
		if err := u.setPassword(ctx, c.Tenant, &user, next); err != nil {
			return err
		}
		if mark.ID == "" { // the first time
			// Of two requests with one token both may have come so far; the one that can store its mark goes on.
			sum := sha256.Sum256([]byte(token))
			mark = newSession(user.Name, usedSession, u.d.Clock.Now(), inviteLifetime, inviteLifetime)
			mark.ID, mark.OneTime = "reset-"+hex.EncodeToString(sum[:]), true
			if err := u.d.Sessions.PutSession(ctx, c.Tenant, mark); err != nil {
				if sqlkit.IsUnique(err) {
					return errResetToken
				}
				return sqlkit.Fault(op, err)
			}
		}
		return u.putUser(ctx, p, user, false)
	})
	if err != nil {
		return err
	}
	if err := u.endSessionsExcept(ctx, c.Tenant, user.Name, mark.ID); err != nil {
		return sqlkit.Fault(op, err)
	}
	if err := u.unlock(ctx, c.Tenant, user.Name); err != nil {
		return err
	}
	u.record(ctx, p, "Password reset", user.Name, userChanges(before, user))
	return nil
}

// CanMail reports whether the platform sends mail.
func (u *Users) CanMail() bool { return u.d.Mail != nil }

// RequestReset sends a link that resets the password to the person with an e-mail address, if there is one. It returns at once and says the same
// whether or not there is, also in how long it takes: the rest happens behind it. It fails with Conflict if the platform sends no mail.
func (u *Users) RequestReset(ctx context.Context, t iot.TenantID, email, remoteAddr string) error {
	const op = fault.Op("access.RequestReset")
	if u.mails == nil {
		return fault.E(op, fault.Conflict, "this platform sends no mail: ask an administrator for a new password")
	}
	email = strings.ToLower(strings.TrimSpace(email))
	if err := validEmail(email); err != nil || email == "" {
		return fault.E(op, fault.Invalid, "email must be an e-mail address")
	}
	now, addr := u.d.Clock.Now(), host(remoteAddr)
	if wait := max(u.guard.mail.full("from "+addr, now), u.guard.mail.full("to "+string(t)+"/"+email, now)); wait > 0 {
		return fault.E(op, fault.Exhausted, wait, "too many requests for this address, try again later")
	}
	u.guard.mail.add("from "+addr, now)
	u.guard.mail.add("to "+string(t)+"/"+email, now)
	u.mails.add(mailJob{t: t, email: email, p: iot.Principal{Tenant: t, User: "unknown", RemoteAddr: remoteAddr}})
	return nil
}

// mailJob asks for one message: to whoever has the address.
type mailJob struct {
	t     iot.TenantID
	email string
	p     iot.Principal
}

// mailQueue sends messages one after the other, so that nobody waits for a mail server and nobody can tell from the time whether one is sent.
type mailQueue struct {
	u    *Users
	jobs chan mailJob
	mu   sync.Mutex // guards done
	done bool
	wg   sync.WaitGroup
	stop context.CancelFunc
}

func newMailQueue(u *Users) *mailQueue {
	ctx, cancel := context.WithCancel(context.Background())
	q := &mailQueue{u: u, jobs: make(chan mailJob, mailWaiting), stop: cancel}
	q.wg.Go(func() {
		for j := range q.jobs {
			if err := q.send(ctx, j); err != nil {
				u.d.Log.Error("mail not sent", "tenant", j.t, "err", err)
			}
		}
	})
	return q
}

func (q *mailQueue) add(j mailJob) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.done {
		return
	}
	select {
	case q.jobs <- j:
	default:
		q.u.d.Log.Error("mail not sent: too many are waiting", "tenant", j.t)
	}
}

func (q *mailQueue) send(ctx context.Context, j mailJob) error {
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	u := q.u
	if u.d.Tenants.Active(ctx, j.t) != nil {
		return nil
	}
	user, err := u.d.Store.UserByEmail(ctx, j.t, j.email)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (!user.Enabled || user.Machine() || user.Origin != Local) {
		return nil
	}
	if err != nil {
		return err
	}
	link := u.d.ResetLink(j.t, user.Email, u.resetToken(mailedReset, j.t, user, u.d.Clock.Now()))
	subject, lead := "Reset your password", "somebody, hopefully you, asked to reset the password of your account"
	if user.PasswordHash == "" {
		subject, lead = "Choose your password", "an account was made for you: it is"
	}
	text := "Hello,\n\n" + lead + " '" + string(user.Name) + "' in the tenant '" + string(j.t) + "'.\n\nChoose a new password here:\n\n  " + link +
		"\n\nThe link works once and only for a short time. If you did not expect this message, there is nothing you need to do.\n"
	if err := u.d.Mail.Send(ctx, user.Email, subject, text); err != nil {
		return err
	}
	j.p.User = user.Name
	u.d.Audit.Record(ctx, j.p, iot.AuditRecord{Type: "User", Activity: "Password reset requested", Text: "A link to reset the password of '" + string(user.Name) + "' was sent"})
	return nil
}

// close sends what is waiting, for a few seconds at most.
func (q *mailQueue) close() {
	q.mu.Lock()
	if !q.done {
		q.done = true
		close(q.jobs)
	}
	q.mu.Unlock()
	timer := time.AfterFunc(3*time.Second, q.stop)
	q.wg.Wait()
	timer.Stop()
	q.stop()
}
