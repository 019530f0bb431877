package c8yrest

import (
	"io"
	"strings"
)

var csvKind = &tableKind{media: "text/csv;charset=UTF-8", open: func(w io.Writer) table { return &csvTable{w: w} }}

// csvTable writes RFC 4180.
type csvTable struct {
	w io.Writer
	b []byte
}

// csvBlock is how much is written at once.
const csvBlock = 32 << 10

func (t *csvTable) row(cells []cell) error {
	for i, x := range cells {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.b = appendCSV(t.b, x)
	}
	t.b = append(t.b, '\r', '\n')
	if len(t.b) < csvBlock {
		return nil
	}
	return t.flush()
}

func (t *csvTable) flush() error {
	_, err := t.w.Write(t.b)
	t.b = t.b[:0]
	return err
}

func (t *csvTable) end() error { return t.flush() }

// appendCSV appends a cell. Texts that a spreadsheet would take for a formula get an apostrophe before them, which it takes for the mark of a text: who
// names a device must not run anything at those who open a report.
func appendCSV(b []byte, x cell) []byte {
	s := x.text
	if !x.number && len(s) > 1 && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		s = "'" + s
	}
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
