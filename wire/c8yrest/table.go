package c8yrest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
)

// table is what measurements are written to instead of JSON: rows of texts and numbers. begin comes before the first row and end after the last one.
type table interface {
	row(cells []cell) error
	end() error
}

// cell is a text or, if it is a number, one that a table may calculate with.
type cell struct {
	text   string
	number bool
}

// tableKind is a form of tables.
type tableKind struct {
	media  string // of the answer
	name   string // of the file
	packed bool   // already: gzip gains nothing
	open   func(w io.Writer) table
}

// tableKinds are the forms by what clients ask for. c8y: also by a name that is no registered media type.
var tableKinds = []struct {
	accept string
	kind   *tableKind
}{{"text/csv", csvKind}, {"application/vnd.ms-excel", xlsxKind}, {"application/xlsx", xlsxKind}, {xlsxMedia, xlsxKind}}

// tableKind is the form that the client wants, nil for JSON.
func (c *call) tableKind() *tableKind {
	for part := range strings.SplitSeq(strings.Join(c.r.Header.Values("Accept"), ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		if refuses(parameters) {
			continue
		}
		for _, k := range tableKinds {
			if strings.EqualFold(strings.TrimSpace(name), k.accept) {
				return k.kind
			}
		}
	}
	return nil
}

// refuses reports whether the parameters of a media type hold a q of zero: what they belong to is not wanted.
func refuses(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && q <= 0
		}
	}
	return false
}

// onlyHead reports whether the client wants the header of a table alone, for which nothing is read.
func (c *call) onlyHead() bool { return c.r.Method == http.MethodHead }

// stream is an answer that is sent while it is made: nothing is kept but what was not sent yet. Until begin it can still become another answer; what
// fails later can only be seen by the end of the connection.
type stream struct {
	c    *call
	kind *tableKind
	t    table
	pack *gzip.Writer
}

func (c *call) stream(kind *tableKind) *stream { return &stream{c: c, kind: kind} }

// begin sends the header of the answer, once.
func (s *stream) begin() table {
	if s.t != nil {
		return s.t
	}
	h := s.c.w.Header()
	h.Set("Content-Type", s.kind.media)
	h.Add("Vary", "Accept")
	if s.kind.name != "" {
		h.Set("Content-Disposition", disposition(s.kind.name))
	}
	var w io.Writer = s.c.w
	if h.Add("Vary", "Accept-Encoding"); !s.kind.packed && takesGzip(s.c.r.Header) {
		h.Set("Content-Encoding", "gzip")
		s.pack = s.c.s.coders.writer(w)
		w = s.pack
	}
	s.c.w.WriteHeader(http.StatusOK)
	s.t = s.kind.open(w)
	return s.t
}

// end completes the answer, or breaks it off if err says that something is missing.
func (s *stream) end(err error) error {
	if s.t == nil && err != nil {
		return err
	}
	if err == nil {
		err = s.begin().end()
	}
	if err == nil && s.pack != nil {
		err = s.pack.Close()
	}
	if s.pack != nil {
		s.c.s.coders.pool.Put(s.pack)
	}
	if err == nil {
		return nil
	}
	if s.c.ctx.Err() != nil {
		return fault.E(fault.Op("c8yrest.Table"), fault.Canceled, err) // nobody reads it
	}
	return s.c.cut(err)
}
