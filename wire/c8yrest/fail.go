package c8yrest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/security/access"
)

// infoURL is where the documentation of errors lies. c8y: constant in practice.
const infoURL = "https://isobar.dev/docs/reference/errors"

// fail answers with the error's body: c8y: {"error":"<resource>/<Name>","message":...,"info":...}.
func (c *call) fail(err error) {
	if c.w.status != 0 {
		return // the answer has begun
	}
	kind := fault.KindOf(err)
	row := kind.Row()
	h := c.w.Header()
	if kind == fault.Unauthenticated {
		h.Set("WWW-Authenticate", challenge(c.r))
	}
	if token := access.ResetToken(err); token != "" {
		h.Set("passwordresettoken", token)
	}
	if d := fault.RetryAfter(err); d > 0 {
		h.Set("Retry-After", strconv.Itoa(int(d.Seconds()+0.999)))
	}
	writeError(c.w, row.HTTP, errorName(c.r.URL.Path, kind, fault.ReasonOf(err)), fault.Message(err), c.request)
}

// writeError answers with the body of an error. Its link to the documentation names the request in the log: a fragment, since some clients refuse members that
// they do not know.
func writeError(w http.ResponseWriter, status int, name, message, request string) {
	info := infoURL
	if request != "" {
		info += "#request=" + request
	}
	var o object
	o.open()
	o.text("error", name)
	o.text("message", message)
	o.text("info", info)
	o.close()
	h := w.Header()
	h.Set("Content-Type", "application/vnd.com.nsn.cumulocity.error+json;charset=UTF-8;ver=0.9")
	h.Set("Content-Length", strconv.Itoa(len(o.b)))
	w.WriteHeader(status)
	_, _ = w.Write(o.b)
}

// Refuse answers a request that no route here serves with the body of an error.
func Refuse(w http.ResponseWriter, r *http.Request, status int, name, message string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge(r))
	}
	writeError(w, status, name, message, requestID(r))
}

// RefuseFault is Refuse for a fault of a channel of notifications.
func RefuseFault(w http.ResponseWriter, r *http.Request, err error) {
	row, resource := fault.KindOf(err).Row(), "notification/"
	if fault.Is(err, fault.Unauthenticated) {
		resource = "security/"
	}
	Refuse(w, r, row.HTTP, resource+row.C8y, fault.Message(err))
}

// challenge is Basic, or c8y: XBasic for clients that do not want the browser's own dialog.
func challenge(r *http.Request) string {
	scheme := "Basic"
	if strings.EqualFold(r.Header.Get("UseXBasic"), "true") {
		scheme = "XBasic"
	}
	return scheme + ` realm="Isobar"`
}

// errorNames are the resources as errors call them, by the first segment of the path.
var errorNames = map[string]string{
	"inventory": "inventory", "identity": "identity", "measurement": "measurement", "event": "event", "alarm": "alarm", "devicecontrol": "devicecontrol",
	"user": "users", "tenant": "tenants", "application": "applications", "audit": "audit", "notification": "notification", "retention": "retention", "features": "features",
}

// bareName reports whether an error names no resource, by what the path ends in. c8y: as clients know them.
func bareName(first, rest string, kind fault.Kind) bool {
	attachment := first == "event" && strings.HasSuffix(rest, "/binaries") && (kind == fault.NotFound || kind == fault.Exists)
	return attachment || first == "user" && strings.HasPrefix(rest, "roles/") && kind == fault.NotFound
}

func resourceName(first, rest string) string {
	parts := strings.Split(rest, "/")
	switch {
	case first == "user" && len(parts) > 1 && (parts[1] == "groups" || parts[1] == "groupByName"):
		return "groups"
	case first == "tenant" && (parts[0] == "options" || strings.HasPrefix(rest, "system/options")):
		return "options"
	case errorNames[first] == "":
		return "undefined"
	}
	return errorNames[first]
}

func errorName(path string, kind fault.Kind, reason fault.Reason) string {
	first, rest, _ := strings.Cut(strings.Trim(path, "/"), "/")
	resource, name := resourceName(first, rest), kind.Row().C8y
	switch {
	case reason == "identity":
		return "identity/Duplicate"
	case reason == "non-unique":
		return "devicecontrol/Non Unique Result"
	case kind == fault.Unauthenticated || kind == fault.Denied:
		return "security/" + name
	case reason == "validation" || (kind == fault.Invalid && resource != "inventory"):
		return "undefined/validationError"
	case bareName(first, rest, kind):
		return name
	}
	return resource + "/" + name
}
