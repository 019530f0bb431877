// Package applogictest is the conformance suite of platform/applogic: what every driver must do.
package applogictest

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/applogic"
)

// TestStore runs the suite. open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) applogic.Store) {
	for name, test := range map[string]func(*testing.T, *suite){"applications": applications, "unique": unique, "subscriptions": subscriptions, "delete": deletion} {
		t.Run(name, func(t *testing.T) { test(t, &suite{open(t), context.Background()}) })
	}
}

type suite struct {
	applogic.Store
	ctx context.Context
}

var rev = sqlkit.Revision{At: time.UnixMilli(1_700_000_000_000).UTC(), By: "tester", Set: "s"}

func (s *suite) make(t *testing.T, owner iot.TenantID, name string) applogic.App {
	t.Helper()
	id, err := s.NextID(s.ctx)
	if err != nil || id < 1000 {
		t.Fatalf("id %v: %v", id, err)
	}
	a := applogic.App{ID: id, Owner: owner, Name: name, Key: name + "-key", Type: applogic.Hosted, Availability: applogic.Private, ContextPath: name,
		Manifest: iot.Doc{}.SetText("name", name), Versions: []applogic.Version{{Version: "1", Tags: []string{"latest"}}}}
	if err := s.Create(s.ctx, a, rev); err != nil {
		t.Fatal(err)
	}
	return a
}

func applications(t *testing.T, s *suite) {
	a := s.make(t, "t1", "one")
	got, err := s.App(s.ctx, "t1", a.ID)
	if v, _ := got.Manifest.Text("name"); err != nil || got.Name != "one" || got.Owner != "t1" || v != "one" || !got.Changed.Equal(rev.At) {
		t.Errorf("%+v: %v", got, err)
	}
	if _, err := s.App(s.ctx, "t2", a.ID); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant's: %v", err)
	}
	next := rev
	next.At = rev.At.Add(time.Second)
	before, after, err := s.Update(s.ctx, "t1", a.ID, next, func(a applogic.App) (applogic.App, error) {
		a.Versions[0].Tags[0] = "changed"
		a.Active = 7
		return a, nil
	})
	if err != nil || before.Active != 0 || before.Versions[0].Tags[0] != "latest" || after.Active != 7 || !after.Changed.Equal(next.At) {
		t.Errorf("before %+v, after %+v: %v", before, after, err)
	}
	refused := errors.New("refused")
	if _, _, err := s.Update(s.ctx, "t1", a.ID, next, func(a applogic.App) (applogic.App, error) { a.Active = 9; return a, refused }); !errors.Is(err, refused) {
		t.Errorf("refused: %v", err)
	}
	if got, _ := s.App(s.ctx, "t1", a.ID); got.Active != 7 {
		t.Errorf("active %v after what was refused", got.Active)
	}
	if _, _, err := s.Update(s.ctx, "t2", a.ID, next, func(a applogic.App) (applogic.App, error) { return a, nil }); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("update of another tenant's: %v", err)
	}
}

func unique(t *testing.T, s *suite) {
	a := s.make(t, "t1", "one")
	s.make(t, "t2", "one")
	for what, change := range map[string]func(*applogic.App){
		"name": func(b *applogic.App) { b.Key, b.ContextPath = "k", "p" },
		"key":  func(b *applogic.App) { b.Name, b.ContextPath = "n", "p" },
		"path": func(b *applogic.App) { b.Name, b.Key = "n", "k" },
	} {
		b := a
		b.ID += 1000
		change(&b)
		if err := s.Create(s.ctx, b, rev); !sqlkit.IsUnique(err) {
			t.Errorf("same %s: %v", what, err)
		}
	}
	b := a
	b.ID, b.Name, b.Key, b.Type = a.ID+1000, "n", "k", applogic.Microservice
	if err := s.Create(s.ctx, b, rev); err != nil {
		t.Errorf("a service at the path of an application: %v", err)
	}
	if own, err := s.Owned(s.ctx, "t1"); err != nil || len(own) != 2 || own[0].ID != a.ID {
		t.Errorf("owned %v: %v", own, err)
	}
}

func subscriptions(t *testing.T, s *suite) {
	a := s.make(t, "t1", "one")
	x := applogic.Subscription{Tenant: "t2", Owner: "t1", App: a.ID, Secret: "sealed"}
	if err := s.Subscribe(s.ctx, x); err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribe(s.ctx, x); !sqlkit.IsUnique(err) {
		t.Errorf("twice: %v", err)
	}
	if got, err := s.Subscriptions(s.ctx, "t2"); err != nil || len(got) != 1 || got[0] != x {
		t.Errorf("of t2 %v: %v", got, err)
	}
	if got, err := s.Subscriptions(s.ctx, "t1"); err != nil || len(got) != 0 {
		t.Errorf("of t1 %v: %v", got, err)
	}
	if got, err := s.Subscribers(s.ctx, "t1", a.ID); err != nil || len(got) != 1 || got[0] != x {
		t.Errorf("subscribers %v: %v", got, err)
	}
	if got, err := s.Unsubscribe(s.ctx, "t2", a.ID); err != nil || got != x {
		t.Errorf("unsubscribed %v: %v", got, err)
	}
	if _, err := s.Unsubscribe(s.ctx, "t2", a.ID); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("unsubscribed twice: %v", err)
	}
}

func deletion(t *testing.T, s *suite) {
	a := s.make(t, "t1", "one")
	own, other := applogic.Subscription{Tenant: "t1", Owner: "t1", App: a.ID}, applogic.Subscription{Tenant: "t2", Owner: "t1", App: a.ID}
	for _, x := range []applogic.Subscription{own, other} {
		if err := s.Subscribe(s.ctx, x); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Delete(s.ctx, "t1", a.ID, false, rev); !errors.Is(err, applogic.ErrSubscribed) {
		t.Errorf("while others are subscribed: %v", err)
	}
	gone, err := s.Delete(s.ctx, "t1", a.ID, true, rev)
	if err != nil || len(gone) != 2 || gone[0] != own || gone[1] != other {
		t.Errorf("gone %v: %v", gone, err)
	}
	if got, err := s.Subscriptions(s.ctx, "t2"); err != nil || len(got) != 0 {
		t.Errorf("subscriptions stay: %v %v", got, err)
	}
	if _, err := s.Delete(s.ctx, "t1", a.ID, true, rev); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("deleted twice: %v", err)
	}
}
