package c8yrest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exchange is one request of a golden file with the answer that it must get:
//
//	# a remark
//	# as reader:Secret-123          (admin if absent; also anonymous, management, bootstrap)
//	# capture dev = .id             (a value of the answer, shown as {dev} from here on; also "header Location", its last segment, and "cookie NAME")
//	# show Accept-Ranges            (one more header of the answer)
//	# until .c8y_Availability       (repeat until the answer has it)
//	# brief                         (leave out empty lists of references, which every managed object has)
//	POST /inventory/managedObjects
//	Accept: application/json
//
//	{"name":"pump"}
//	----
//	201
//	Content-Type: ...
//
//	{"id":"{dev}", ...}
//
// Exchanges are separated by a line of four equals signs and run in order, each file on a platform of its own.
type exchange struct {
	upper        string // the text above the dashes, as it stands in the file
	as           string
	captures     []capture
	show         []string
	brief        bool
	until        string
	method, path string
	header       http.Header
	body         string
	want         string
}

type capture struct{ name, from string }

const (
	dashes = "----"
	equals = "\n====\n"
)

func goldenFiles(t testing.TB) []string {
	files, err := filepath.Glob("testdata/*/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	return files
}

func readScript(t testing.TB, file string) []exchange {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []exchange
	for part := range strings.SplitSeq(strings.Trim(string(b), "\n"), equals) {
		upper, want, _ := strings.Cut(part+"\n", "\n"+dashes+"\n")
		e := exchange{upper: strings.Trim(upper, "\n"), want: strings.Trim(want, "\n"), as: "admin", header: http.Header{}}
		if err := e.parse(); err != "" {
			t.Fatalf("%s: %s in\n%s", file, err, e.upper)
		}
		out = append(out, e)
	}
	return out
}

func (e *exchange) parse() (problem string) {
	head, body, _ := strings.Cut(e.upper, "\n\n")
	e.body = body
	for line := range strings.SplitSeq(head, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			e.directive(strings.Fields(line[1:]))
		case e.method == "":
			e.method, e.path, _ = strings.Cut(line, " ")
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				return "the header " + line
			}
			e.header.Add(name, strings.TrimSpace(value))
		}
	}
	if e.method == "" || !strings.HasPrefix(e.path, "/") {
		return "no request line"
	}
	return ""
}

func (e *exchange) directive(words []string) {
	switch {
	case len(words) == 2 && words[0] == "as":
		e.as = words[1]
	case len(words) >= 4 && words[0] == "capture" && words[2] == "=":
		e.captures = append(e.captures, capture{words[1], strings.Join(words[3:], " ")})
	case len(words) == 2 && words[0] == "show":
		e.show = append(e.show, words[1])
	case len(words) == 1 && words[0] == "brief":
		e.brief = true
	case len(words) == 2 && words[0] == "until":
		e.until = words[1]
	}
}

func writeScript(t testing.TB, file string, exchanges []exchange) {
	t.Helper()
	var parts []string
	for _, e := range exchanges {
		parts = append(parts, e.upper+"\n"+dashes+"\n"+e.want)
	}
	if err := os.WriteFile(file, []byte(strings.Join(parts, equals)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

var placeholder = regexp.MustCompile(`\{([a-z]\w*)\}`)

// fill replaces {name} by what was captured; other braces stay.
func fill(s string, captured map[string]string) string {
	return placeholder.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := captured[m[1:len(m)-1]]; ok {
			return v
		}
		return m
	})
}
