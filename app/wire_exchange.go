package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/exchange/exchangesql"
)

// nodeOf returns the name of the node that a data folder belongs to, and makes one up if it has none.
func nodeOf(data string) (string, error) {
	file := filepath.Join(data, nodeName)
	b, err := os.ReadFile(file)
	if err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	name := rand.Text() // one that is lost in a crash has left no notes that must not wait
	return name, os.WriteFile(file, []byte(name+"\n"), 0o600)
}

func startExchange(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := exchangesql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	home, err := nodeOf(p.conf.Data)
	if err != nil {
		return nil, err
	}
	p.exchange, err = exchange.New(ctx, exchange.Deps{Store: store, Registry: p.registry, Telemetry: p.telemetry, Tenants: p.tenants, Policy: p.policy, Audit: p.audit, Signer: p.users,
		Bus: p.bus, Clock: p.clock, Log: p.component("exchange"), Reg: p.reg, Home: home, Sole: p.conf.Postgres == ""})
	if err != nil {
		return nil, err
	}
	p.tenants.AddEraser("notificationTopics", false, p.exchange.Erase)
	return func(context.Context) error { p.exchange.Close(); return nil }, nil
}
