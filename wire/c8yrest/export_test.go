package c8yrest

import (
	"archive/zip"
	"io"
	"net/http"
	"strconv"
)

// Workbook writes a workbook with a head and numbers, whose sheets have at most so many rows.
func Workbook(w io.Writer, most, rows int) error {
	t := &xlsxTable{zip: zip.NewWriter(w), most: most}
	for i := range rows {
		x := cell{"head", false}
		if i > 0 {
			x = cell{strconv.Itoa(i), true}
		}
		if err := t.row([]cell{x}); err != nil {
			return err
		}
	}
	return t.end()
}

// Match returns the route that a request would take.
func Match(r *http.Request) Route {
	n := router{literal: map[string]*router{}}
	for _, rt := range Routes() {
		n.add(rt)
	}
	return n.route(r)
}
