package sessionmem

import (
	"testing"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessiontest"
)

func TestStore(t *testing.T) {
	sessiontest.TestStore(t, func(*testing.T) session.Store { return New() })
}
