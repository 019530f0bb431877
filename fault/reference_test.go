package fault_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
)

// TestEveryKindIsInTheReference holds the page that every error names to the table.
func TestEveryKindIsInTheReference(t *testing.T) {
	page, err := os.ReadFile("../docs/reference/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range fault.Kinds() {
		r, again := k.Row(), "no"
		if r.Retry {
			again = "yes"
		}
		if row := fmt.Sprintf("\n| %s | %d | %s | %s | 0x%02X | %d |", r.Name, r.HTTP, r.C8y, again, r.MQTT5, r.Exit); !strings.Contains(string(page), row) {
			t.Errorf("docs/reference/errors.md lacks%s", row)
		}
	}
}
