package compat_test

import (
	"os"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

func TestMain(m *testing.M) {
	code := m.Run()
	rig.Clean()
	os.Exit(code)
}
