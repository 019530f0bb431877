package identity

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
)

const (
	// maxTable bounds a file, in bytes, maxColumns the cells of a line.
	maxTable   = 8 << 20
	maxColumns = 200
)

// table is a file of values whose first line names the columns.
type table struct {
	head []string
	rows []row
}

type row struct {
	line  int
	cells []string // at least one; those that the line does not have at its end are missing
}

// cell returns a value without white space around it; empty if there is none.
func (r row) cell(i int) string {
	if i < 0 || i >= len(r.cells) {
		return ""
	}
	return strings.TrimSpace(r.cells[i])
}

// parseTable reads a file in UTF-8 or, if it is not that, Latin-1, with or without a byte order mark. The first line tells what separates the values: a tabulator, a
// semicolon or a comma. Values may be quoted; lines without any value are skipped. What is not a table, and one of more than most lines, is a fault of kind
// Malformed.
func parseTable(b []byte, most int) (table, error) {
	const op = fault.Op("identity.Table")
	if len(b) > maxTable {
		return table{}, fault.Errorf(op, fault.TooLarge, "the file is larger than %d bytes", maxTable)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if !utf8.Valid(b) {
		b = latin1(b)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return table{}, fault.E(op, fault.Malformed, "the file must be text in UTF-8 or ANSI")
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = separator(b), -1, true
	var t table
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return table{}, fault.E(op, fault.Malformed, err, "the file is not a table: "+err.Error())
		}
		if strings.TrimSpace(strings.Join(cells, "")) == "" {
			continue
		}
		if len(cells) > maxColumns {
			return table{}, fault.Errorf(op, fault.Malformed, "a line has more than %d values", maxColumns)
		}
		if t.head == nil {
			for _, c := range cells {
				t.head = append(t.head, strings.TrimSpace(c))
			}
			continue
		}
		if len(t.rows) == most {
			return table{}, fault.Errorf(op, fault.Malformed, "the file has more than %d lines", most)
		}
		line, _ := r.FieldPos(0)
		t.rows = append(t.rows, row{line, cells})
	}
	if t.head == nil {
		return table{}, fault.E(op, fault.Malformed, "the file is empty")
	}
	return t, nil
}

// separator is what separates the values of the first line that has any; a comma if there is only one value.
func separator(b []byte) rune {
	first, _, _ := bytes.Cut(bytes.TrimLeft(b, "\r\n"), []byte("\n"))
	best, most := ',', 0
	for _, c := range "\t;," {
		if n := bytes.Count(first, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

func latin1(b []byte) []byte {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return []byte(string(out))
}
