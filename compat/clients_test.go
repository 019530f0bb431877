package compat_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// nodeModules installs the exact versions of the lock file once; nothing of them runs while it does.
func nodeModules(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	lock, err := os.ReadFile("clients/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	const stamp = "clients/node_modules/.installed"
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, lock) {
		return
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = "clients"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.WriteFile(stamp, lock, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNodeClients runs the published @c8y/client and mqtt packages against the platform, on both engines.
func TestNodeClients(t *testing.T) {
	nodeModules(t)
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			s := rig.Start(t, engine.options(t))
			scripts, err := filepath.Glob("clients/*.test.mjs")
			if err != nil || len(scripts) < 2 {
				t.Fatalf("scripts %v: %v", scripts, err)
			}
			for i := range scripts {
				scripts[i] = filepath.Base(scripts[i])
			}
			cmd := exec.Command("node", append([]string{"--test", "--test-reporter=tap"}, scripts...)...)
			cmd.Dir = "clients"
			cmd.Env = append(os.Environ(), "ISOBAR_URL="+s.URL, "ISOBAR_MQTT=mqtt://"+s.MQTT, "ISOBAR_ADMIN_PASSWORD="+rig.AdminPassword, "ISOBAR_BOOTSTRAP_PASSWORD="+rig.BootstrapPassword)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			} else if !bytes.Contains(out, []byte("\n# fail 0\n")) || bytes.Contains(out, []byte("\n# pass 0\n")) {
				t.Errorf("no summary of passed tests\n%s", out)
			}
			noDefects(t, s)
		})
	}
}

// TestMosquittoClients runs the Mosquitto project's command line clients as they come with Debian.
func TestMosquittoClients(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, name := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	s := rig.Start(t, rig.Options{})
	host, port, _ := strings.Cut(s.MQTT, ":")
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			d, other := s.Register(t, "mosquitto-"+version), s.Register(t, "listener-"+version)
			args := func(d rig.Device, more ...string) []string {
				return append([]string{"-h", host, "-p", port, "-V", version, "-i", d.Serial, "-u", d.User, "-P", d.Password}, more...)
			}
			run := func(name string, args ...string) string {
				t.Helper()
				out, err := exec.Command(name, args...).CombinedOutput()
				if err != nil {
					t.Fatalf("%s %q: %v\n%s", name, args, err, out)
				}
				return string(out)
			}
			for _, qos := range []string{"0", "1", "2"} {
				run("mosquitto_pub", args(d, "-q", qos, "-t", "s/us", "-m", "400,compat_Mosquitto,qos "+qos)...)
			}
			var texts []string
			rig.Eventually(t, "three events", func() bool { // QoS 0 is not acknowledged
				texts = nil
				var got struct{ Events []struct{ Text string } }
				s.Admin().Want(t, 200, "GET", "/event/events?type=compat_Mosquitto&source="+d.ID+"&pageSize=100", nil, &got)
				for _, e := range got.Events {
					texts = append(texts, e.Text)
				}
				return len(texts) == 3
			})
			if all := strings.Join(texts, "|"); !strings.Contains(all, "qos 0") || !strings.Contains(all, "qos 1") || !strings.Contains(all, "qos 2") {
				t.Errorf("events %q", all)
			}

			// An operation that waits for the device is what mosquitto_sub prints first.
			s.Admin().Create(t, "/devicecontrol/operations", map[string]any{"deviceId": d.ID, "c8y_Restart": map[string]any{}})
			if got := strings.TrimSpace(run("mosquitto_sub", args(d, "-q", "1", "-t", "s/ds", "-C", "1", "-W", "10")...)); got != "510,"+d.Serial {
				t.Errorf("s/ds printed %q", got)
			}

			// A retained message of a free topic, and a request and its answer on a pair of them.
			run("mosquitto_pub", args(d, "-q", "1", "-r", "-t", "compat/"+version+"/retained", "-m", "kept")...)
			if got := strings.TrimSpace(run("mosquitto_sub", args(other, "-q", "1", "-t", "compat/"+version+"/#", "-C", "1", "-W", "10")...)); got != "kept" {
				t.Errorf("the retained message is %q", got)
			}

			wrong := d
			wrong.Password = "wrong"
			if out, err := exec.Command("mosquitto_pub", args(wrong, "-t", "s/us", "-m", "x")...).CombinedOutput(); err == nil {
				t.Errorf("a wrong password is accepted: %s", out)
			}
			// What a mosquitto bridge subscribes to must not be refused.
			if got := strings.TrimSpace(run("mosquitto_sub", args(d, "-q", "1", "-t", "s/dc/#", "-t", "s/e", "-t", "s/ds", "-C", "1", "-W", "10")...)); got != "510,"+d.Serial {
				t.Errorf("with s/dc/# it printed %q", got)
			}
		})
	}
	noDefects(t, s)
}
