// Package isobar holds only this test: the rules of the tree that are not written in any single package.
package isobar_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/isobar-iot/isobar/"

// pkg is one package of the tree.
type pkg struct {
	dir     string   // with slashes, relative to the root
	comment string   // the package comment
	imports []string // without test files
}

func packages(t *testing.T) []pkg {
	t.Helper()
	byDir := map[string]*pkg{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		p := byDir[dir]
		if p == nil {
			p = &pkg{dir: dir}
			byDir[dir] = p
		}
		if f.Doc != nil {
			p.comment += f.Doc.Text()
		}
		for _, i := range f.Imports {
			p.imports = append(p.imports, strings.Trim(i.Path.Value, `"`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []pkg
	for _, p := range byDir {
		out = append(out, *p)
	}
	return out
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.comment) < 40 {
			t.Errorf("%s has no package comment", p.dir)
		}
	}
}

// TestImportsPointDown holds the direction of imports, so that a part can be cut out, moved and understood alone.
func TestImportsPointDown(t *testing.T) {
	rules := []struct{ from, never, because string }{
		{"iot", "", "the vocabulary imports only the standard library"},
		{"fault", "kit engine platform wire app security governance edge user", "errors know only the vocabulary"},
		{"kit", "engine platform wire app security governance edge user", "kit is free of the domain"},
		{"engine", "platform wire app security governance edge user", "engines are shared by cloud and gateway"},
		{"security", "platform wire app edge user governance", "components ask security, not the other way round"},
		{"governance", "platform wire app edge user", "governance does not touch what components own"},
		{"platform", "wire app edge user", "components do not know dialects"},
		{"enterprise", "platform wire app edge user", "directories know access only"},
		{"wire", "app edge user", "dialects call faces"},
		{"edge", "platform wire app security governance user", "the edge talks over a wire"},
		{"user", "platform wire app edge", "the web front uses the public API"},
	}
	for _, p := range packages(t) {
		top, _, _ := strings.Cut(p.dir, "/")
		for _, r := range rules {
			if r.from != top {
				continue
			}
			for _, imp := range p.imports {
				own, isOwn := strings.CutPrefix(imp, module)
				root, _, _ := strings.Cut(own, "/")
				switch {
				case r.from == "iot" && strings.Contains(imp, "."):
					t.Errorf("%s imports %s: %s", p.dir, imp, r.because)
				case isOwn && slices.Contains(strings.Fields(r.never), root):
					t.Errorf("%s imports %s: %s", p.dir, imp, r.because)
				}
			}
		}
	}
}

// TestDriversAreImportedByAppOnly keeps components from knowing how they are stored.
func TestDriversAreImportedByAppOnly(t *testing.T) {
	driver := regexp.MustCompile(`/(\w+)(sql|pebble)$`)
	for _, p := range packages(t) {
		for _, imp := range p.imports {
			own, isOwn := strings.CutPrefix(imp, module)
			m := driver.FindStringSubmatch(own)
			if !isOwn || m == nil || p.dir == "app" || strings.HasPrefix(p.dir, "compat") || strings.HasPrefix(p.dir, path.Dir(own)) {
				continue
			}
			t.Errorf("%s imports the driver %s", p.dir, own)
		}
	}
}

var row = regexp.MustCompile(`(?m)^\| ([^|]+) \| ([a-z/]+) \| (works|partial|not yet)([^|]*) \|$`)

// TestTheTableOfComponentsIsTrue compares ARCHITECTURE.md with the tree.
func TestTheTableOfComponentsIsTrue(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		folder, state := m[2], m[3]
		listed[folder] = true
		_, err := os.Stat(folder)
		switch {
		case state == "not yet" && err == nil:
			t.Errorf("%s has code, but the table says not yet", folder)
		case state != "not yet" && err != nil:
			t.Errorf("%s is not there, but the table says %s", folder, state)
		case state == "partial" && strings.TrimSpace(strings.TrimPrefix(m[4], ":")) == "":
			t.Errorf("%s is partial, but the table does not say what is missing", folder)
		}
	}
	if len(listed) < 20 {
		t.Fatalf("only %d rows were understood", len(listed))
	}
	for _, tier := range []string{"platform", "security", "governance", "enterprise"} {
		entries, _ := os.ReadDir(tier)
		for _, e := range entries {
			if e.IsDir() && !listed[tier+"/"+e.Name()] {
				t.Errorf("%s/%s is missing in the table", tier, e.Name())
			}
		}
	}
}

// TestEveryDependencyHasAReason compares go.mod and ui/package.json with docs/dependencies.md.
func TestEveryDependencyHasAReason(t *testing.T) {
	reasons, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mod), "\n") {
		f := strings.Fields(line)
		if len(f) == 2 && strings.Contains(f[0], ".") && !strings.Contains(line, "//") && !strings.Contains(string(reasons), "| "+f[0]+" |") {
			t.Errorf("docs/dependencies.md gives no reason for %s", f[0])
		}
	}
	ui, err := os.ReadFile("ui/package.json")
	if err != nil {
		t.Fatal(err)
	}
	_, deps, _ := strings.Cut(string(ui), `"dependencies"`)
	deps, _, _ = strings.Cut(deps, "}")
	for _, m := range regexp.MustCompile(`"([@a-z0-9/.-]+)": "[0-9]`).FindAllStringSubmatch(deps, -1) {
		if !strings.Contains(string(reasons), m[1]) {
			t.Errorf("docs/dependencies.md gives no reason for %s", m[1])
		}
	}
}
