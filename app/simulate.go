package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/edge/device/simulator"
)

// simulate runs a fleet against any server, through the registration that real devices go through.
func (p *program) simulate() *cobra.Command {
	var fleet fleetFlags
	var url, mqtt, tenant, user, state string
	var quiet bool
	cmd := &cobra.Command{Use: "simulate", Short: "Run a fleet of simulated devices as real MQTT clients", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		conf := fleet.config()
		var stats simulator.Stats
		conf.URL, conf.MQTT, conf.Tenant, conf.User, conf.StateFile, conf.Stats = url, mqtt, tenant, user, state, &stats
		conf.Password, conf.BootstrapPassword = p.env["ISOBAR_PASSWORD"], p.env["ISOBAR_BOOTSTRAP_PASSWORD"]
		if err := conf.Check(); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		if !quiet {
			go p.report(ctx, &stats)
		}
		return simulator.Run(ctx, conf, p.log(Config{LogLevel: "info", LogFormat: "text"}))
	}}
	cmd.Long = "Run a fleet of simulated devices as real MQTT clients.\n\nThe password of --user comes from ISOBAR_PASSWORD, the one with which devices ask for credentials from ISOBAR_BOOTSTRAP_PASSWORD."
	fleet.add(cmd)
	cmd.Flags().StringVar(&url, "url", "http://127.0.0.1:8080", "address of the server")
	cmd.Flags().StringVar(&mqtt, "mqtt", "", "address for MQTT; empty: that of the server, port 1883 or 8883")
	cmd.Flags().StringVar(&tenant, "tenant", "main", "tenant of the user")
	cmd.Flags().StringVar(&user, "user", "admin", "user who accepts the devices")
	cmd.Flags().StringVar(&state, "state", "fleet.json", "file in which the credentials of the devices are kept")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print no status")
	return cmd
}

func (p *program) report(ctx context.Context, stats *simulator.Stats) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fmt.Fprintln(p.stdout, stats.String())
		}
	}
}
