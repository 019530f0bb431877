package applogic

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Type is what an application is.
type Type string

// The types.
const (
	Hosted       Type = "HOSTED"
	External     Type = "EXTERNAL"
	Microservice Type = "MICROSERVICE"
)

// Availability says who beside the owner can have an application.
type Availability string

// The availabilities.
const (
	Private Availability = "PRIVATE"
	Market  Availability = "MARKET"
	Shared  Availability = "SHARED"
)

// App is one application. Its secrets never leave this package and its driver.
type App struct {
	ID            iot.ID       `json:"-"`
	Owner         iot.TenantID `json:"-"`
	Name          string       `json:"name"`
	Key           string       `json:"key"`
	Type          Type         `json:"type"`
	Availability  Availability `json:"availability"`
	ContextPath   string       `json:"contextPath,omitempty"`
	Description   string       `json:"description,omitempty"`
	ExternalURL   string       `json:"externalUrl,omitempty"` // of an application elsewhere, or where a microservice listens
	ResourcesURL  string       `json:"resourcesUrl,omitempty"`
	Roles         []string     `json:"roles,omitempty"`         // permissions that the microservice brings
	RequiredRoles []string     `json:"requiredRoles,omitempty"` // permissions that its account gets in every tenant
	Active        iot.ID       `json:"active,omitempty"`        // the binary that is served; zero: none
	Manifest      iot.Doc      `json:"manifest,omitempty"`
	Custom        iot.Doc      `json:"custom,omitempty"` // members that only clients know
	Binaries      []Binary     `json:"binaries,omitempty"`
	Versions      []Version    `json:"versions,omitempty"`
	Bootstrap     string       `json:"bootstrap,omitempty"` // the sealed password of the bootstrap account
	Changed       time.Time    `json:"-"`
}

// Binary is an archive of an application.
type Binary struct {
	ID      iot.ID    `json:"id"`
	Name    string    `json:"name"`
	Size    int64     `json:"size"` // bytes
	SHA256  string    `json:"sha256"`
	Created time.Time `json:"created"`
}

// Version names a binary.
type Version struct {
	Version string   `json:"version"`
	Binary  iot.ID   `json:"binary"`
	Tags    []string `json:"tags,omitempty"` // lower case, unique among the versions
}

// Latest is the tag of the version that is served.
const Latest = "latest"

// Clone returns a copy whose lists can be changed.
func (a App) Clone() App {
	a.Roles, a.RequiredRoles, a.Binaries = slices.Clone(a.Roles), slices.Clone(a.RequiredRoles), slices.Clone(a.Binaries)
	a.Manifest, a.Custom, a.Versions = slices.Clone(a.Manifest), slices.Clone(a.Custom), slices.Clone(a.Versions)
	for i := range a.Versions {
		a.Versions[i].Tags = slices.Clone(a.Versions[i].Tags)
	}
	return a
}

// Place is where an application is found on this platform: "apps/" or "service/" and its context path; empty: nowhere.
func (a App) Place() string {
	switch {
	case a.ContextPath == "":
		return ""
	case a.Type == Microservice:
		return "service/" + a.ContextPath
	}
	return "apps/" + a.ContextPath
}

// binary returns a binary of the application.
func (a App) binary(id iot.ID) (Binary, bool) {
	i := slices.IndexFunc(a.Binaries, func(b Binary) bool { return b.ID == id })
	if i < 0 {
		return Binary{}, false
	}
	return a.Binaries[i], true
}

// Find returns the version with a name or a tag.
func (a App) Find(name string) (Version, bool) {
	for _, v := range a.Versions {
		if v.Version == name || slices.Contains(v.Tags, strings.ToLower(name)) {
			return v, true
		}
	}
	return Version{}, false
}

const (
	maxName        = 128
	maxContextPath = 255
	maxText        = 2048
	maxCustom      = 256 << 10
)

// Context paths are one segment, so that they need no escaping anywhere; "public" is part of addresses itself.
var (
	contextPath = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	serviceName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	versionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}$`)
	roleName    = regexp.MustCompile(`^ROLE_[A-Z0-9_]{1,120}$`)
)

// check says what no application can be.
func (a *App) check() error {
	const op = fault.Op("applogic.Check")
	bad := func(text string) error { return fault.E(op, fault.Invalid, text) }
	a.ContextPath = strings.Trim(a.ContextPath, "/")
	switch {
	case a.Name == "" || a.Key == "" || a.Type == "":
		return bad("Following mandatory fields should be included: name, key, type")
	case len(a.Name) > maxName || len(a.Key) > maxName:
		return bad("name and key must not be longer than 128 characters")
	case a.Type != Hosted && a.Type != External && a.Type != Microservice:
		return bad("type must be EXTERNAL, HOSTED or MICROSERVICE")
	case a.Availability != Private && a.Availability != Market && a.Availability != Shared:
		return bad("availability must be PRIVATE, MARKET or SHARED")
	case a.Type == Hosted && a.ContextPath == "":
		return bad("a hosted application needs a contextPath")
	case a.ContextPath != "" && (len(a.ContextPath) > maxContextPath || !contextPath.MatchString(a.ContextPath) || a.ContextPath == "public"):
		return bad("contextPath must be up to 255 letters, digits, dots, hyphens and underscores, start with a letter or digit, and not be public")
	case a.Type == Microservice && !serviceName.MatchString(a.Name):
		return bad("the name of a microservice must be up to 64 lower-case letters, digits and hyphens")
	case strings.HasPrefix(a.Name, "feature-"):
		return bad("names that start with feature- are kept for features of the platform")
	case a.Type == External && a.ExternalURL == "":
		return bad("an external application needs an externalUrl")
	case len(a.Description) > maxText || len(a.ResourcesURL) > maxText:
		return bad("description and resourcesUrl must not be longer than 2048 characters")
	case len(a.Custom.AppendTo(nil)) > maxCustom || len(a.Manifest.AppendTo(nil)) > maxCustom:
		return bad("the manifest and the further members of an application must not be larger than 256 KiB")
	}
	if a.ExternalURL != "" {
		u, err := url.Parse(a.ExternalURL)
		if err != nil || len(a.ExternalURL) > maxText || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return bad("externalUrl must be an address that starts with http:// or https://, without user and password")
		}
	}
	for _, r := range slices.Concat(a.Roles, a.RequiredRoles) {
		if !roleName.MatchString(r) {
			return bad("roles and requiredRoles must be names of permissions like ROLE_INVENTORY_READ")
		}
	}
	return nil
}

// manifest is what we read of the file cumulocity.json of an archive.
type manifest struct {
	Roles         []string `json:"roles"`
	RequiredRoles []string `json:"requiredRoles"`
	ContextPath   string   `json:"contextPath"`
	Version       string   `json:"version"`
	Isolation     string   `json:"isolation"`
	Settings      []struct {
		Key     string `json:"key"`
		Default string `json:"defaultValue"`
	} `json:"settings"`
	SettingsCategory string `json:"settingsCategory"`
	// Process is ours: how the service is started, from the folder of its archive.
	Process struct {
		Command []string `json:"command"`
	} `json:"process"`
	LivenessProbe probe `json:"livenessProbe"`
}

type probe struct {
	HTTPGet struct {
		Path string `json:"path"`
	} `json:"httpGet"`
}

func parseManifest(d iot.Doc) (m manifest, err error) {
	if len(d) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(d.AppendTo(nil), &m); err != nil {
		return m, fault.E(fault.Op("applogic.Manifest"), fault.Invalid, "the manifest cumulocity.json is not valid: "+err.Error())
	}
	return m, nil
}
