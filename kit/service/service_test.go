package service_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/kit/service"
)

func TestGroupStopsInReverseAndNamesTheCulprit(t *testing.T) {
	var order []string
	part := func(name string, stopErr error) service.Service {
		return service.Service{Name: name,
			Start: func(context.Context) error { order = append(order, "+"+name); return nil },
			Stop:  func(context.Context) error { order = append(order, "-"+name); return stopErr }}
	}
	g := service.NewGroup(slog.New(slog.DiscardHandler))
	ctx := context.Background()
	for _, s := range []service.Service{part("a", nil), part("b", errors.New("stuck")), part("c", nil)} {
		if err := g.Start(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	err := g.Start(ctx, service.Service{Name: "d", Start: func(context.Context) error { panic("boom") }})
	if err == nil || !strings.Contains(err.Error(), "start d: panic: boom") {
		t.Errorf("panic at start: %v", err)
	}
	err = g.Stop(ctx)
	if err == nil || err.Error() != "stop b: stuck" {
		t.Errorf("stop: %v", err)
	}
	if want := []string{"+a", "+b", "+c", "-c", "-b", "-a"}; !slices.Equal(order, want) {
		t.Errorf("order %v", order)
	}
	g.Go("e", func() error { panic("late") })
	if err := <-g.Failed(); !strings.Contains(err.Error(), "e: panic: late") {
		t.Errorf("failure: %v", err)
	}
}
