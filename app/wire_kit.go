package app

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/engine/series/seriessql"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

type stopFunc = func(context.Context) error

func startSQL(ctx context.Context, p *parts) (stopFunc, error) {
	var err error
	if p.conf.Postgres != "" {
		p.db, err = sqlkit.OpenPostgres(ctx, p.conf.Postgres, p.log)
	} else {
		p.db, err = sqlkit.OpenSQLite(ctx, filepath.Join(p.conf.Data, "documents.db"), p.log)
	}
	if err != nil {
		return nil, err
	}
	p.db.OnBroken(func(err error) { p.die("the database cannot go on: " + err.Error()) })
	p.ready = append(p.ready, readiness{"documents", p.db.Ping})
	stop, err := startFiles(ctx, p)
	if err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	return func(context.Context) error { stop(); return p.db.Close() }, nil
}

func startBus(_ context.Context, p *parts) (stopFunc, error) {
	var err error
	if p.bus, err = bus.Open(bus.Config{URL: p.conf.NATS, Dir: filepath.Join(p.conf.Data, streamsName), Log: p.log, Reg: p.reg}); err != nil {
		return nil, err
	}
	p.ready = append(p.ready, readiness{"bus", p.bus.Ready})
	return func(context.Context) error { p.bus.Close(); return nil }, nil
}

func startSeries(ctx context.Context, p *parts) (stopFunc, error) {
	log := p.log.With("component", "series")
	var err error
	if p.conf.Postgres != "" {
		p.series, err = seriessql.Open(ctx, p.conf.Postgres, seriessql.Options{Registerer: p.reg})
	} else {
		p.series, err = seriespebble.Open(filepath.Join(p.conf.Data, "series"), seriespebble.Options{Logger: log, Registerer: p.reg, Clock: p.clock,
			FS: p.disk.FS(vfs.Default), Room: p.disk.Room, Fatal: p.die})
	}
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { return p.series.Close() }, nil
}

// sessionPrefix begins all keys of MQTT sessions.
const sessionPrefix = "mqtt/"

// openSessions opens the store of MQTT sessions. It lies in the data folder also with PostgreSQL: a session belongs to the node that holds
// its connection until sessions move between nodes.
func openSessions(p *parts) (*pebble.DB, error) {
	return pebble.Open(filepath.Join(p.conf.Data, sessionsName), p.pebbleOptions())
}

// pebbleOptions are those of every Pebble database in the data folder, but for that of the series.
func (p *parts) pebbleOptions() *pebble.Options {
	return &pebble.Options{FS: p.disk.FS(vfs.Default), Logger: pebbleLog{p.log, p.die}, FormatMajorVersion: pebble.FormatNewest,
		// Who reads what is damaged gets an error; what Pebble finds in the background must not end the process.
		EventListener: &pebble.EventListener{DataCorruption: func(i pebble.DataCorruptionInfo) { p.log.Error("stored data is damaged", "err", i.String()) }}}
}
