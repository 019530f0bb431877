package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/diskguard"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// startDisk makes the data folder, finds out whether it can be written, and begins to guard its space.
func startDisk(_ context.Context, p *parts) (_ stopFunc, err error) {
	if err := os.MkdirAll(p.conf.Data, 0o700); err != nil {
		return nil, fault.E(fault.Op("disk.Open"), fault.Unavailable, err, "the data folder cannot be made: "+err.Error())
	}
	unlock, err := lockFolder(p.conf.Data)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = unlock()
		}
	}()
	if p.conf.DiskReserve >= 0 {
		p.disk, err = diskguard.Open(p.conf.Data, diskguard.Options{Low: uint64(p.conf.DiskReserve) << 20, Log: p.component("disk"), Reg: p.reg})
		if err != nil {
			return nil, err
		}
	}
	if _, err := os.Lstat(filepath.Join(p.conf.Data, unfinishedName)); err == nil {
		return nil, fault.E(fault.Op("disk.Open"), fault.Conflict, "the data folder is a restore that was interrupted: empty it and restore again")
	}
	if err := writable(p.conf.Data); err != nil {
		return nil, err
	}
	if err := p.checkSeal(); err != nil {
		return nil, err
	}
	return func(context.Context) error { return errors.Join(p.sealData(), unlock()) }, nil
}

// writable tries to write and sync a file in a folder.
func writable(dir string) error {
	name := filepath.Join(dir, "probe.tmp")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteString("can this folder be written?\n")
		err = errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
	}
	if err != nil {
		return fault.E(fault.Op("disk.Open"), fault.Unavailable, err, "the data folder cannot be written: "+err.Error())
	}
	return nil
}

// die ends the process at once, without the ordinary stop: a store can no longer promise that what it acknowledges is stored, and whatever
// else would be written now could be lost. The next start finds everything that was acknowledged.
func (p *parts) die(what string) {
	p.log.Error("the process ends, so that nothing is acknowledged that is not stored", "err", what)
	os.Exit(fault.Unavailable.Row().Exit)
}

// storing tells whether a request brings data that takes space. What administers users and tenants, logs in or deletes does not count.
func storing(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost:
		if m := r.Header.Get("X-HTTP-METHOD"); m == http.MethodDelete || m == http.MethodGet { // c8y: for clients that only know GET and POST
			return false
		}
	case http.MethodPut, http.MethodPatch:
	default:
		return false
	}
	return hasPrefix(r.URL.Path, "/measurement", "/event", "/alarm", "/inventory", "/identity", "/devicecontrol", "/audit", "/application")
}

const (
	nodeType  = "isobar_Node"
	diskAlarm = "isobar_DiskNearlyFull"
)

// startDiskWatch keeps looking at the space, and tells the management tenant by an alarm when it becomes scarce and when it is back.
func startDiskWatch(_ context.Context, p *parts) (stopFunc, error) {
	if p.disk == nil {
		return nil, nil
	}
	stop := background(diskguard.Interval, func(ctx context.Context, ticks <-chan time.Time, _ <-chan struct{}) {
		p.disk.Run(ctx, ticks, func(full bool) {
			if err := p.tellDisk(ctx, full); err != nil && ctx.Err() == nil {
				p.log.Error("the alarm about the disk could not be changed", "err", err)
			}
		})
	}, false)
	return func(context.Context) error { stop(); return nil }, nil
}

// tellDisk raises or clears the alarm. A platform that never had it gets no object for it.
func (p *parts) tellDisk(ctx context.Context, full bool) error {
	who := iot.System(iot.Management)
	id, err := p.node(ctx, who, full)
	if err != nil || id == 0 {
		return err
	}
	if full {
		free, low := p.disk.Space()
		_, _, err = p.telemetry.RaiseAlarm(ctx, who, iot.Alarm{Source: id, Type: diskAlarm, Severity: iot.Critical, Status: iot.Active, Time: p.clock.Now(),
			Text: fmt.Sprintf("The disk is nearly full (%d MiB are free, %d MiB are needed): new data is refused", free>>20, low>>20)})
		return err
	}
	alarm, err := p.telemetry.ActiveAlarm(ctx, who, id, diskAlarm)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil {
		cleared := iot.Cleared
		_, err = p.telemetry.PatchAlarm(ctx, who, alarm.ID, telemetry.AlarmPatch{Status: &cleared})
	}
	return err
}

// node returns the object that stands for this machine in the management tenant, zero if there is none and it is not to be made.
func (p *parts) node(ctx context.Context, who iot.Principal, create bool) (iot.ID, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	id, err := p.registry.Lookup(ctx, iot.Management, nodeType, host)
	if !fault.Is(err, fault.NotFound) {
		return id, err
	}
	if !create {
		return 0, nil
	}
	typ, name := nodeType, "Isobar on "+host
	made, err := p.registry.Create(ctx, who, registry.Place{}, registry.Draft{Type: &typ, Name: &name, ExternalIDs: []iot.ExternalID{{Type: nodeType, Value: host}}})
	if err != nil {
		return 0, err
	}
	return made[0].ID, nil
}
