package c8yrest

import (
	"archive/zip"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
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

// RouteOf finds the route of a request.
func RouteOf(method, target string) (Route, bool) {
	n := &router{literal: map[string]*router{}, methods: map[string]Route{}}
	for _, rt := range Routes() {
		n.add(rt)
	}
	end, _ := n.end(httptest.NewRequest(method, target, nil))
	if end == nil {
		return Route{}, false
	}
	rt, ok := end.methods[method]
	return rt, ok
}

// DescribedRoutes are the routes that the tables of the OpenAPI document name.
func DescribedRoutes() []string {
	return slices.Concat(slices.Collect(maps.Keys(filters)), slices.Collect(maps.Keys(media)), slices.Collect(maps.Keys(summaries)), slices.Collect(maps.Keys(levels)), slices.Collect(maps.Keys(free)))
}
