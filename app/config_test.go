package app_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/isobar-iot/isobar/app"
)

// TestDemoKeepsTheFolderOfTheFile: a data folder that only the configuration file names is as good as one in a flag.
func TestDemoKeepsTheFolderOfTheFile(t *testing.T) {
	dir := t.TempDir()
	data, file := filepath.Join(dir, "kept"), filepath.Join(dir, "isobar.conf")
	if err := os.WriteFile(file, []byte("data = "+data+"\nhttp = 127.0.0.1:0\nmqtt = 127.0.0.1:0\nlog-level = error\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := &until{text: "otp=", then: cancel}
	if code := app.Main(ctx, []string{"demo", "--config", file, "--homes", "0", "--machines", "1"}, nil, nil, out, &bytes.Buffer{}); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out.String())
	}
	if _, err := os.Stat(filepath.Join(data, "documents.db")); err != nil {
		t.Errorf("the folder was not used: %v", err)
	}
}

// until is a writer that calls then once a text was written.
type until struct {
	bytes.Buffer
	text string
	then func()
}

func (u *until) Write(b []byte) (int, error) {
	defer func() {
		if bytes.Contains(u.Bytes(), []byte(u.text)) {
			u.then()
		}
	}()
	return u.Buffer.Write(b)
}
