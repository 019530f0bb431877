package c8yrest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/platform/registry"
)

// TestObjectsHaveABoundedNumberOfFragments creates objects up to and beyond the limit; what is let in is audited.
func TestObjectsHaveABoundedNumberOfFragments(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	const mo = "/inventory/managedObjects"
	body := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `,"f%d":{"v":%d}`, i, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	a := s.send(t, "admin", "POST", mo, map[string][]string{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body(0, registry.MaxFragments))
	id, ok := lookup([]byte(a.body), ".id")
	if a.status != 201 || !ok {
		t.Fatal(a.status)
	}
	audit := s.must(t, "admin", "GET", "/audit/auditRecords?source="+id, "").body
	if !strings.Contains(audit, "Managed object created") || !strings.Contains(audit, fmt.Sprintf(`"%d more attributes"`, registry.MaxFragments+1-900)) {
		t.Errorf("audit: %.600s", audit)
	}
	for method, target := range map[string]string{"PUT": mo + "/" + id, "POST": mo} {
		text := body(registry.MaxFragments, registry.MaxFragments+1)
		if method == "POST" {
			text = body(0, 40_000)
		}
		if a := s.send(t, "admin", method, target, nil, text); a.status != 422 || !strings.Contains(a.body, "at most 10000 fragments") {
			t.Errorf("%s: %d %.300s", method, a.status, a.body)
		}
	}
	s.must(t, "admin", "PUT", mo+"/"+id, `{"f0":null,"more":1}`)
}
