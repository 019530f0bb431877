package c8yrest_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// deviationsFile lists where answers differ from the published schemas on purpose: "METHOD path status | difference | reason". A * for the
// operation stands for all of them.
const deviationsFile = "testdata/api/deviations.txt"

var deviations = sync.OnceValue(func() map[string]bool {
	b, err := os.ReadFile(deviationsFile)
	if err != nil {
		return nil
	}
	out := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), " | "); len(f) == 3 {
			out[f[0]+" | "+f[1]] = true
		}
	}
	return out
})

// conforms validates an answer of a golden exchange against the published schema of its operation, where the description of the API is at hand.
func conforms(t *testing.T, e *exchange, a answer) {
	t.Helper()
	spec := openAPI(t)
	if spec == nil {
		return
	}
	r, err := http.NewRequest(e.method, placeholder.ReplaceAllString(e.path, "1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	rt := c8yrest.Match(r)
	for key := range spec.operations {
		if method, path, _ := strings.Cut(key, " "); method != rt.Method || shape(path) != shape(rt.Path) || strings.Contains(path, "?") {
			continue
		}
		differences, err := spec.conform(key, a)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		for _, d := range differences {
			at := fmt.Sprintf("%s %d", key, a.status)
			if !deviations()[at+" | "+d] && !deviations()["* | "+d] {
				t.Errorf("the answer differs from the published schema; correct it or give a reason in %s:\n%s | %s | ", deviationsFile, at, d)
			}
		}
	}
}
