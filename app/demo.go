package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/edge/device/simulator"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/platform/registry"
)

// demo is a server, a seeded tenant and a simulated fleet whose devices are real MQTT clients.
func (p *program) demo() *cobra.Command {
	var fleet fleetFlags
	cmd := p.configured("demo", "Run the platform with a simulated fleet", func(cmd *cobra.Command, c Config) error {
		if !cmd.Flags().Changed("data") {
			dir, err := os.MkdirTemp("", "isobar-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			c.Data = dir
		}
		ctx := cmd.Context()
		log := p.log(c)
		pf, err := Start(ctx, c, log)
		if err != nil {
			return err
		}
		stop, err := pf.seed(ctx)
		if err != nil {
			return errors.Join(err, pf.Stop())
		}
		defer stop()
		pf.announce(p.stdout)
		link, err := pf.p.oneTimeLink(ctx, string(iot.DefaultTenant)+"/"+adminUser)
		if err != nil {
			return errors.Join(err, pf.Stop())
		}
		fmt.Fprintf(p.stdout, "Open this link once to log in as %s:\n  %s\n\n", adminUser, link)
		conf := fleet.config()
		conf.MQTT, conf.StateFile = "tcp://"+pf.Addr("mqtt"), filepath.Join(c.Data, "fleet.json")
		conf.Credentials = func(ctx context.Context, externalID string) (string, string, string, error) {
			user, password, err := pf.p.users.DeviceAccount(ctx, iot.System(iot.DefaultTenant), externalID)
			return string(iot.DefaultTenant), string(user), password, err
		}
		running, end := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := simulator.Run(running, conf, log.With("component", "simulator")); err != nil {
				log.Error("the simulated fleet ended", "err", err)
			}
		}()
		err = pf.waitThen(ctx, func() { end(); <-done })
		end()
		return err
	})
	fleet.add(cmd)
	return cmd
}

// waitThen is Wait that does something before it stops the platform.
func (pf *Platform) waitThen(ctx context.Context, before func()) error {
	inner, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-ctx.Done()
		before()
		cancel()
	}()
	return pf.Wait(inner)
}

// groups of the demonstration, by the type of the devices that belong to them.
var demoGroups = map[string]string{"isobar_HomeGateway": "Homes", "isobar_Machine": "Machines"}

// seed creates the groups of the demonstration once and puts devices into them as they appear.
func (pf *Platform) seed(ctx context.Context) (stop func(), err error) {
	me := iot.Principal{Tenant: iot.DefaultTenant, User: adminUser, Roles: iot.System(iot.DefaultTenant).Roles}
	ids := map[string]iot.ID{}
	for typ, name := range demoGroups {
		if ids[typ], err = pf.group(ctx, me, name); err != nil {
			return nil, err
		}
	}
	join := func(o registry.Object) {
		if group, ok := ids[o.Type]; ok {
			if err := pf.p.registry.Link(ctx, me, group, iot.ChildAsset, []iot.ID{o.ID}); err != nil {
				pf.log.Warn("put a device into its group", "err", err)
			}
		}
	}
	return pf.p.bus.Subscribe(bus.Subject(iot.DefaultTenant, "inventory")+".*.*", func(_ iot.TenantID, _ string, data []byte) {
		var c registry.Change
		if json.Unmarshal(data, &c) == nil && c.Action == iot.Created {
			join(c.Object)
		}
	})
}

func (pf *Platform) group(ctx context.Context, me iot.Principal, name string) (iot.ID, error) {
	typ := "c8y_DeviceGroup"
	found, _, err := pf.p.registry.List(ctx, me, registry.Query{Type: typ, Text: `"` + name + `"`, Limit: 1})
	if err != nil || len(found) > 0 {
		if err != nil {
			return 0, err
		}
		return found[0].ID, nil
	}
	made, err := pf.p.registry.Create(ctx, me, registry.Place{}, registry.Draft{Type: &typ, Name: &name, Fragments: iot.Doc{{Name: iot.FragmentIsDeviceGroup, Raw: json.RawMessage("{}")}}})
	if err != nil {
		return 0, err
	}
	return made[0].ID, nil
}

// fleetFlags describe a simulated fleet.
type fleetFlags struct {
	homes, machines int
	replay          []string
	speed           float64
	interval        time.Duration
}

func (f *fleetFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.homes, "homes", 3, "connected homes to simulate")
	cmd.Flags().IntVar(&f.machines, "machines", 2, "industrial machines to simulate")
	cmd.Flags().StringArrayVar(&f.replay, "replay", nil, "CSV file with a recording for a machine to replay; may be repeated")
	cmd.Flags().Float64Var(&f.speed, "speed", 60, "how many times faster than recorded a recording is replayed")
	cmd.Flags().DurationVar(&f.interval, "interval", 5*time.Second, "time between two readings of a device")
}

func (f *fleetFlags) config() simulator.Config {
	none := func(n int) int { // for the simulator zero is the default and a negative number is none
		if n == 0 {
			return -1
		}
		return n
	}
	return simulator.Config{Homes: none(f.homes), Machines: none(f.machines), Replay: f.replay, Speed: f.speed, Interval: f.interval, Seed: 1}
}
