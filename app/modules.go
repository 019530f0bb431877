package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/kit/service"
)

// module is one line of the table of what a platform consists of. start builds it from the parts that it needs and returns what stops it,
// nil if nothing must be done. It does not reach for parts that needs does not name.
type module struct {
	name  string
	tier  string // of the paper, or "kit" for what carries it
	roles []string
	needs []string
	start func(ctx context.Context, p *parts) (stop func(context.Context) error, err error)
}

// Roles of a process.
const (
	roleServer = "server"
)

// modules is the table, in the order of start. The stop order is the reverse: first no new requests (listeners), then the ways in
// (broker, realtime), then the components, last what they stand on.
func modules() []module {
	server := []string{roleServer}
	return []module{
		{"certificates", "security", server, nil, startCertificates},
		{"firewall", "edge", server, nil, startFirewall},
		{"ports", "edge", server, nil, startPorts},
		{"disk", "kit", server, []string{"ports"}, startDisk},
		{"sql", "kit", server, []string{"disk"}, startSQL},
		{"bus", "kit", server, nil, startBus},
		{"audit", "security", server, []string{"sql"}, startAudit},
		{"changes", "governance", server, []string{"sql", "bus"}, startChanges},
		{"tenancy", "governance", server, []string{"sql", "bus", "audit", "changes"}, startTenancy},
		{"usage", "governance", server, []string{"sql", "tenancy"}, startUsage},
		{"directory", "enterprise", server, nil, startDirectory},
		{"access", "security", server, []string{"sql", "bus", "audit", "tenancy", "directory"}, startAccess},
		{"apimgmt", "platform", server, []string{"sql", "audit", "access"}, startAPIManagement},
		{"limits", "edge", server, []string{"firewall", "tenancy"}, startLimits},
		{"registry", "platform", server, []string{"sql", "bus", "audit", "access", "usage", "changes"}, startRegistry},
		{"series", "engine", server, []string{"disk"}, startSeries},
		{"telemetry", "platform", server, []string{"series", "sql", "bus", "registry", "audit", "tenancy", "usage", "changes"}, startTelemetry},
		{"devicemgmt", "platform", server, []string{"sql", "bus", "registry", "audit", "tenancy", "usage", "changes"}, startDeviceManagement},
		{"exchange", "platform", server, []string{"sql", "bus", "registry", "telemetry", "devicemgmt", "access", "audit", "tenancy"}, startExchange},
		{"disk watch", "platform", server, []string{"disk", "registry", "telemetry"}, startDiskWatch},
		{"retention", "governance", server, []string{"sql", "tenancy", "access", "audit", "telemetry", "devicemgmt"}, startRetention},
		{"gauges", "governance", server, []string{"usage", "registry", "series"}, startGauges},
		{"identity", "platform", server, []string{"sql", "bus", "access", "registry", "audit", "tenancy"}, startIdentity},
		{"connectivity", "platform", server, []string{"bus", "registry", "telemetry", "devicemgmt", "identity", "access", "tenancy"}, startConnectivity},
		{"rawlog", "platform", server, []string{"tenancy"}, startRawLog},
		{"templates", "wire", server, []string{"registry", "bus"}, startTemplates},
		{"broker", "platform", server, []string{"rawlog", "templates", "connectivity", "identity", "telemetry", "devicemgmt", "limits", "usage"}, startBroker},
		{"bulk operations", "platform", server, []string{"devicemgmt", "broker"}, startBulk},
		{"web", "user", server, nil, startWeb},
		{"applogic", "platform", server, []string{"sql", "bus", "access", "tenancy", "audit", "web"}, startApplications},
		{"rest", "wire", server, []string{"registry", "telemetry", "devicemgmt", "identity", "access", "tenancy", "audit", "connectivity", "rawlog", "web", "applogic", "limits", "templates", "usage", "apimgmt", "retention", "exchange", "changes"}, startREST},
		{"realtime", "wire", server, []string{"bus", "registry", "connectivity", "rest"}, startRealtime},
		{"notifications", "wire", server, []string{"exchange", "registry", "rest"}, startNotifications},
		{"admin socket", "kit", server, []string{"sql", "series", "broker", "audit"}, startSocket},
		// MQTT before HTTP: whoever finds /readyz good can connect a device.
		{"mqtt listener", "edge", server, []string{"broker", "certificates", "firewall", "limits"}, startMQTTListeners},
		{"http listener", "edge", server, []string{"rest", "realtime", "notifications", "broker", "web", "certificates", "firewall", "limits"}, startHTTPListeners},
		{"microservices", "platform", server, []string{"applogic", "http listener"}, startMicroservices},
	}
}

// startModules starts the modules of a role in order.
func startModules(ctx context.Context, g *service.Group, p *parts, role string) error {
	var started []string
	for _, m := range modules() {
		if !slices.Contains(m.roles, role) {
			continue
		}
		for _, need := range m.needs {
			if !slices.Contains(started, need) {
				return fmt.Errorf("module %s needs %s, which does not start before it", m.name, need)
			}
		}
		var stop func(context.Context) error
		err := g.Start(ctx, service.Service{Name: m.name,
			Start: func(ctx context.Context) (err error) { stop, err = m.start(ctx, p); return err },
			Stop: func(ctx context.Context) error {
				if stop == nil {
					return nil
				}
				return stop(ctx)
			}})
		if err != nil {
			return err
		}
		started = append(started, m.name)
	}
	return nil
}

func (p *program) modules() *cobra.Command {
	return &cobra.Command{Use: "modules", Short: "Print what the platform consists of, in the order of start", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		w := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "MODULE\tTIER\tROLES\tNEEDS")
		for _, m := range modules() {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.name, m.tier, strings.Join(m.roles, ","), strings.Join(m.needs, ","))
		}
		return w.Flush()
	}}
}
