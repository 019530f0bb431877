package isobar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocsAreLinked: a page that the index does not name is not found by anybody.
func TestDocsAreLinked(t *testing.T) {
	index, err := os.ReadFile("docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("docs/*/*.md")
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, p := range pages {
		if link := "](" + strings.TrimPrefix(filepath.ToSlash(p), "docs/") + ")"; !strings.Contains(string(index), link) {
			t.Errorf("docs/README.md has no link to %s", p)
		}
	}
}
