package c8yrest

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestWorkGoesOnAfterItsAnswer(t *testing.T) {
	refused := errors.New("refused")
	failed := make(chan error, 1)
	b := newBackground(func(err error) { failed <- err })
	if done, err := b.run(context.Background(), time.Minute, func(context.Context) error { return refused }); !done || !errors.Is(err, refused) {
		t.Errorf("short work: %t %v", done, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	done, err := b.run(ctx, time.Millisecond, func(ctx context.Context) error {
		<-release
		return errors.Join(ctx.Err(), refused)
	})
	if done || err != nil {
		t.Fatalf("long work: %t %v", done, err)
	}
	cancel() // the client has gone
	close(release)
	if err := <-failed; !errors.Is(err, refused) || errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	for range maxBackground {
		if done, _ := b.run(context.Background(), 0, func(ctx context.Context) error { <-ctx.Done(); return nil }); done {
			t.Fatal("endless work is done")
		}
	}
	if done, err := b.run(context.Background(), 0, func(context.Context) error { return refused }); !done || !errors.Is(err, refused) {
		t.Errorf("one too many must be waited for: %t %v", done, err)
	}
	b.close() // hangs unless it ends what goes on
	if done, _ := b.run(context.Background(), 0, func(context.Context) error { return nil }); !done {
		t.Error("work after the end must be waited for")
	}
}
