package compat_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// copy returns what was acknowledged so far.
func (l *ledger) copy() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &ledger{acked: map[string]map[string]bool{}}
	for kind, markers := range l.acked {
		out.acked[kind] = maps.Clone(markers)
	}
	return out
}

// isobar runs a command and demands its exit code and a part of what it says.
func isobar(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	p := rig.Run(t, nil, args...)
	got := p.Exit(t, 60*time.Second)
	if said := p.Out.String() + p.Err.String(); got != code || !strings.Contains(said, says) {
		t.Errorf("isobar %s: exit code %d, want %d, and %q:\n%s", strings.Join(args, " "), got, code, says, said)
	}
}

// TestBackup backs a server up while devices and users write, restores it elsewhere, and compares with what was acknowledged before the backup
// began. Then it damages the backup.
func TestBackup(t *testing.T) {
	options := rig.Options{Data: t.TempDir()}
	c := &crash{t: t, all: ledger{acked: map[string]map[string]bool{}}}
	server := rig.Start(t, options)
	c.register(server)
	backup, second := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "second")
	var before, later *ledger
	c.load(server, time.Second, func() {
		before = c.cycle.copy()
		isobar(t, 0, "with everything that was acknowledged before", "backup", backup, "--data", options.Data)
		time.Sleep(300 * time.Millisecond) // a load between the two
		later = c.cycle.copy()
		isobar(t, 0, "with everything that was acknowledged before", "backup", second, "--data", options.Data)
	})
	if before.total() == 0 || later.total() == before.total() {
		t.Fatalf("the load is too weak to show anything: %d and %d", before.total(), later.total())
	}
	noDefects(t, server)
	isobar(t, 3, "is not empty", "backup", backup, "--data", options.Data)
	isobar(t, 2, "must not lie inside of the data folder", "backup", filepath.Join(options.Data, "copy"), "--data", options.Data)
	isobar(t, 3, "is not empty", "restore", backup, "--data", options.Data)
	isobar(t, 2, "must not lie inside of the backup", "restore", backup, "--data", filepath.Join(backup, "data"))
	isobar(t, 3, "a server uses "+options.Data, "verify", "--data", options.Data)
	server.Kill()
	isobar(t, 5, "no server runs on", "backup", filepath.Join(t.TempDir(), "none"), "--data", options.Data)

	for folder, want := range map[string]*ledger{backup: before, second: later} {
		restored := rig.Options{Data: filepath.Join(t.TempDir(), "data")}
		isobar(t, 0, "restored", "restore", folder, "--data", restored.Data)
		verifyAudit(t, restored)
		s := rig.Start(t, restored)
		c.seen = map[string]bool{}
		c.verify(s, "restored", want, time.Unix(0, 0))
		noDefects(t, s)
		s.Kill()
		t.Logf("%d acknowledged before the backup, all restored", want.total())
	}
	damageBackup(t, backup)
}

// damageBackup changes, cuts and removes each file of a backup in turn. No damage may be restored, and nothing may be left of the attempt.
func damageBackup(t *testing.T, backup string) {
	t.Helper()
	for _, name := range rig.Files(t, backup) {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(whole) == 0 {
			continue
		}
		bad := append([]byte(nil), whole...)
		bad[len(bad)/2] ^= 4
		for what, content := range map[string][]byte{"changed": bad, "cut": whole[:len(whole)/2], "removed": nil} {
			if content == nil {
				err = os.Remove(name)
			} else {
				err = os.WriteFile(name, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(t.TempDir(), "data")
			p := rig.Run(t, nil, "restore", backup, "--data", data)
			if code := p.Exit(t, 30*time.Second); code == 0 {
				t.Errorf("%s was %s, and the restore says:\n%s", name, what, p.Out.String())
			} else if left := leftIn(data); len(left) > 0 {
				t.Errorf("%s was %s: the restore left %v", name, what, left)
			}
			if err := os.WriteFile(name, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	name := rig.Files(t, backup)[0]
	if err := errors.Join(os.Remove(name), os.Mkdir(name, 0o700)); err != nil {
		t.Fatal(err)
	}
	isobar(t, 6, "is not a file", "restore", backup, "--data", filepath.Join(t.TempDir(), "data"))
}

func leftIn(dir string) (names []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestBackupOfPostgres is refused with a way out.
func TestBackupOfPostgres(t *testing.T) {
	options := rig.Options{Data: t.TempDir(), Postgres: rig.Postgres(t)}
	server := rig.Start(t, options)
	isobar(t, 2, "pg_dump", "backup", filepath.Join(t.TempDir(), "backup"), "--data", options.Data)
	server.Kill()
}
