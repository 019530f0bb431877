package compat_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestStartRefused checks that a start which cannot come to its end makes nothing, passwords above all, and says what to do.
func TestStartRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	for _, flag := range []string{"http", "mqtt"} {
		data := filepath.Join(t.TempDir(), "data")
		args := []string{"server", "--data", data, "--" + flag, addr}
		for _, other := range []string{"http", "mqtt"} {
			if other != flag {
				args = append(args, "--"+other, "127.0.0.1:0")
			}
		}
		isobar(t, 5, "choose another address with --"+flag, args...)
		if _, err := os.Stat(data); !os.IsNotExist(err) {
			t.Errorf("--%s: the data folder was made: %v", flag, err)
		}
	}
}

// TestLink logs in by the link that a command prints on the machine of the server, once.
func TestLink(t *testing.T) {
	options := rig.Options{Data: t.TempDir()}
	server := rig.Start(t, options)
	isobar(t, 3, "no such user", "link", "--data", options.Data, "--user", "main/nobody")
	isobar(t, 2, "tenant/name", "link", "--data", options.Data, "--user", "nobody")
	p := rig.Run(t, nil, "link", "--data", options.Data)
	if code := p.Exit(t, 20*time.Second); code != 0 {
		t.Fatal(code, p.Err.String())
	}
	_, code, _ := strings.Cut(strings.TrimSpace(p.Out.String()), "#otp=")
	for _, want := range []int{200, 401} {
		got, err := rig.User{URL: server.URL}.Do("POST", "/tenant/oauth", "grant_type=ONE_TIME&code="+code, "Content-Type", "application/x-www-form-urlencoded")
		if err != nil || got.Status != want {
			t.Errorf("%d, want %d: %s, %v", got.Status, want, got.Body, err)
		}
	}
}
