package web

import "testing"

func TestImmutable(t *testing.T) {
	for name, want := range map[string]bool{"main.1a2b3c4d5e6f7a8b.js": true, "assets/index-CQHisDHr.js": true, "a/chunk-0a1b2c3d.css": true, "index.html": false, "remoteEntry.js": false, "app-version2.js": false, "chunk-ABCD2345.js": true,
		"my-component.js": false, "user-settings.js": false, "main.js": false, "cumulocity.json": false, "app.20240101.css": false, "de-DATENBANK.json": false} {
		if got := immutable(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestContentTypes(t *testing.T) {
	for name, want := range map[string]string{"a.JS": "text/javascript; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8", "a.svg": "image/svg+xml", "a": "application/octet-stream", "a.wasm": "application/wasm"} {
		if got := contentType(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
