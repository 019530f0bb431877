// Package browser walks through the web front with Chromium against the real platform and its simulated fleet.
package browser

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/app"
)

const (
	embedded = "../../user/web/dist/isobar/index.html"
	modules  = "../../ui/node_modules/playwright-core/package.json"
	password = "Browser-Walk-2718"
	limit    = 5 * time.Minute // of the walk, on a machine that is busy with other tests; alone it takes about one
)

// TestWalk logs in, finds a device, watches its chart, raises an alarm over MQTT, closes a valve, meets the limits of a user without
// permissions, gives and explains access, logs in with a second factor, makes and erases a tenant, and takes pictures of every main screen
// (kept in $ISOBAR_SHOTS if that is set).
func TestWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser")
	}
	if _, err := os.Stat(embedded); err != nil {
		t.Fatal("the web front is not built, so the platform serves none: run `make ui` (", err, ")")
	}
	if _, err := os.Stat(modules); err != nil {
		t.Fatal("the packages of the web front are missing: run `make ui` (", err, ")")
	}
	for _, tool := range []string{"/usr/bin/chromium", "node", "mosquitto_pub"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(tool, " is missing: run `make prerequisites`; Node.js 20 or later has to be installed")
		}
	}
	shots := os.Getenv("ISOBAR_SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	shots, err := filepath.Abs(shots)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	web, mqtt := demo(t)

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	walk := exec.CommandContext(ctx, "node", "walk.mjs")
	walk.Env = append(os.Environ(), "ISOBAR_URL="+web, "ISOBAR_MQTT="+mqtt, "ISOBAR_PASSWORD="+password, "ISOBAR_SHOTS="+shots)
	walk.WaitDelay = 5 * time.Second
	out, err := walk.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the walk failed: %v (pictures of the failed steps: %s)", errors.Join(err, ctx.Err()), shots)
	}
}

// demo runs `isobar demo` in this process and returns the addresses it announces; its end is awaited when the test is over.
func demo(t *testing.T) (web, mqtt string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	ended := make(chan int, 1)
	args := []string{"demo", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--homes", "2", "--interval", "1s", "--log-level", "warn"}
	go func() {
		code := app.Main(ctx, args, []string{"ISOBAR_ADMIN_PASSWORD=" + password}, strings.NewReader(""), write, t.Output())
		write.Close()
		ended <- code
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("the demonstration ended with code %d", code)
		}
	})
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		switch name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), " "); name {
		case "Web":
			web = strings.TrimSpace(value)
		case "mqtt":
			mqtt = strings.TrimSpace(value)
		}
		if web != "" && mqtt != "" {
			go func() { _, _ = io.Copy(io.Discard, read) }()
			return web, mqtt
		}
	}
	t.Fatal("the demonstration told no addresses")
	return "", ""
}
