package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/platform/applogic"
	"github.com/isobar-iot/isobar/platform/applogic/applogicsql"
	"github.com/isobar-iot/isobar/user/web"
)

// ServicesConfig is about microservices.
type ServicesConfig struct {
	// Processes lets tenants upload microservices, which run as processes of this machine with the rights of the platform.
	Processes bool
	// PrivateAddresses lets tenants register microservices at addresses that are not public.
	PrivateAddresses bool
}

func (c *ServicesConfig) flags(f *pflag.FlagSet) {
	f.BoolVar(&c.Processes, "microservice-processes", false, "run microservices that tenants upload as processes of this machine: who may manage applications can then run code with the rights of the platform")
	f.BoolVar(&c.PrivateAddresses, "microservice-private-addresses", false, "let all tenants, not only the management, register microservices at addresses that are not public")
}

func startApplications(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := applogicsql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	vault, err := secret.Open(filepath.Join(p.conf.Data, "keys", "secrets.key"))
	if err != nil {
		return nil, err
	}
	manifest, err := iot.ParseDoc(p.web.Manifest(web.Home), iot.MaxDepth)
	if err != nil { // the web front is not part of this binary
		manifest = nil
	}
	p.applications, err = applogic.New(applogic.Deps{Store: store, Blobs: p.blobs, Users: p.users, Tenants: p.tenants, Policy: p.policy, Vault: vault, Audit: p.audit, Bus: p.bus, Clock: p.clock,
		Log: p.component("applogic"), Processes: p.conf.Services.Processes, PrivateAddresses: p.conf.Services.PrivateAddresses, Folder: filepath.Join(p.conf.Data, "microservices"), BaseURL: p.ownURL,
		Home: applogic.App{ID: 1, Owner: iot.Management, Name: web.Home, Key: "isobar-application-key", Type: applogic.Hosted, Availability: applogic.Market, ContextPath: web.Home, Manifest: manifest}})
	if err != nil {
		return nil, err
	}
	p.tenants.AddEraser("applications", false, p.applications.Erase)
	p.web.Find = p.findFile
	return p.applications.Close, nil
}

// startMicroservices comes last, when the platform can be reached, and its stop first, while it still can.
func startMicroservices(_ context.Context, p *parts) (stopFunc, error) {
	p.applications.Serve()
	return p.applications.StopServing, nil
}

// ownURL is the address under which processes of this machine reach the platform.
func (p *parts) ownURL() string {
	scheme, addr := "http", p.addrs["http"]
	if addr == "" {
		scheme, addr = "https", p.addrs["https"]
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// findFile finds files of uploaded applications for browsers. The host says whose they are.
func (p *parts) findFile(r *http.Request, at string, gzip bool) (web.Content, error) {
	t := p.tenants.ByHost(r.Context(), r.Host)
	if t == "" {
		t = iot.DefaultTenant
	}
	f, err := p.applications.File(r.Context(), t, at, gzip)
	if errors.Is(err, applogic.ErrFolder) {
		err = web.ErrFolder
	}
	return web.Content{ETag: f.ETag, Length: f.Length, Gzip: f.Gzip, Policy: f.Policy, Open: f.Open}, err
}
