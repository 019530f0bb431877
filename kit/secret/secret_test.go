package secret_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/isobar-iot/isobar/kit/secret"
)

func TestBox(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys", "secrets.key")
	box, err := secret.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	sealed := box.Seal([]byte("hello"), "ta", "ann")
	if strings.Contains(sealed, "hello") || sealed == box.Seal([]byte("hello"), "ta", "ann") {
		t.Errorf("sealed: %s", sealed)
	}
	again, err := secret.Open(file) // as after a restart
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(sealed, "ta", "ann"); err != nil || string(plain) != "hello" {
		t.Errorf("%q %v", plain, err)
	}
	other, err := secret.Open(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another user":             openErr(box, sealed, "ta", "bob"),
		"another tenant":           openErr(box, sealed, "tb", "ann"),
		"parts cut elsewhere":      openErr(box, sealed, "taa", "nn"),
		"no owner":                 openErr(box, sealed),
		"another key":              openErr(other, sealed, "ta", "ann"),
		"cut":                      openErr(box, sealed[:len(sealed)-3], "ta", "ann"),
		"empty":                    openErr(box, "", "ta", "ann"),
		"without its version":      openErr(box, sealed[3:], "ta", "ann"),
		"only the start":           openErr(box, "v1.", "ta", "ann"),
		"a byte changed":           openErr(box, sealed[:20]+"A"+sealed[21:], "ta", "ann"), /* one in 64: the byte was an A */
		"something else entirely!": openErr(box, "v1.????", "ta", "ann"),
	} {
		if !errors.Is(err, secret.ErrBroken) && !(name == "a byte changed" && sealed[20] == 'A') {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func openErr(b *secret.Box, sealed string, owner ...string) error {
	_, err := b.Open(sealed, owner...)
	return err
}

func TestTheKeyIsForItsOwnerOnlyAndMadeOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys", "secrets.key")
	sealed := make(chan string, 8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			box, err := secret.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			sealed <- box.Seal([]byte("x"))
		})
	}
	wg.Wait()
	close(sealed)
	box, err := secret.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	for s := range sealed {
		if _, err := box.Open(s); err != nil {
			t.Errorf("made with another key: %v", err)
		}
	}
	for _, name := range []string{file, filepath.Dir(file)} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Open(file); err == nil {
		t.Error("a damaged key was taken")
	}
}
