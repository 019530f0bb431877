package app

import (
	"context"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/edge/services/firewall"
	"github.com/isobar-iot/isobar/edge/services/limits"
	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/enterprise/directory/ldap"
	"github.com/isobar-iot/isobar/enterprise/directory/oidc"
	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/diskguard"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/platform/applogic"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/connectivity/rawlog"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/protect"
	"github.com/isobar-iot/isobar/user/web"
	"github.com/isobar-iot/isobar/wire/bayeux"
	"github.com/isobar-iot/isobar/wire/c8ymqtt"
	"github.com/isobar-iot/isobar/wire/c8yrest"
	"github.com/isobar-iot/isobar/wire/notification2"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

// parts are what the modules of one platform have built so far. A module reads only what it says that it needs.
type parts struct {
	conf  Config
	log   *slog.Logger
	reg   *prometheus.Registry
	clock clock.Clock
	fresh *freshStart // what a first start made, to be shown once

	backingUp     sync.Mutex       // held while a backup is made
	disk          *diskguard.Guard // nil: not guarded
	db            *sqlkit.DB
	blobs         *blob.Store
	bus           *bus.Bus
	series        series.Store
	sessions      *pebble.DB
	policy        *access.Policy
	audit         *audit.Log
	api           *apimgmt.Management
	tenants       *tenancy.Tenants
	changes       *changes.Log
	usage         *usage.Meter
	retention     *retention.Rules
	sso           *oidc.SSO
	ldap          *ldap.Directories
	users         *access.Users
	registry      *registry.Registry
	telemetry     *telemetry.Telemetry
	operations    *devicemgmt.Operations
	bulks         *devicemgmt.Bulks
	registrations *identity.Registrations
	topics        *access.Topics
	anchors       *identity.Anchors
	connectivity  *connectivity.Connectivity
	rawlog        *rawlog.Log
	broker        *mqtt.Server
	collections   *c8ymqtt.Collections
	smartREST     *one.Engine
	realtime      *bayeux.Server
	exchange      *exchange.Exchange
	notifications *notification2.Server
	rest          *c8yrest.Server
	web           *web.Server
	applications  *applogic.Apps

	certificates *protect.Certificates // nil without encrypted listeners
	plaintext    *protect.Plaintext
	firewall     *firewall.Firewall
	limits       *limits.Limits

	addrs map[string]string // listeners by name: http, https, mqtt, mqtts
	ready []readiness
	fail  func(name string, err error) // reports that a running part died
}

// readiness is one thing that must work before requests are welcome.
type readiness struct {
	name  string
	check func(context.Context) error
}

// freshStart holds the passwords that were made up because none was given.
type freshStart struct{ admin, bootstrap string }
