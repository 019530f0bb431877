package c8yrest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/isobar-iot/isobar/fault"
)

// worthCoding is the size in bytes from which on an answer is compressed: a smaller one fits into one packet anyway.
const worthCoding = 1400

// coders are writers that wait for their next answer: one is some hundred KB large.
type coders struct{ pool sync.Pool }

// pack returns the body in gzip.
func (k *coders) pack(body []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(body) / 4)
	w := k.writer(&out)
	defer k.pool.Put(w)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// writer returns a coder from the pool that writes to w.
func (k *coders) writer(w io.Writer) *gzip.Writer {
	z, ok := k.pool.Get().(*gzip.Writer)
	if !ok {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for levels that do not exist only
	}
	z.Reset(w)
	return z
}

// takesGzip reports whether a client takes gzip. RFC 9110, 12.5.3: a weight of zero means no, and what is named wins over *.
func takesGzip(h http.Header) bool {
	takes := false
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "x-gzip" && name != "*" {
			continue
		}
		weight := 1.0
		if text, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); ok {
			if q, err := strconv.ParseFloat(text, 64); err == nil {
				weight = q
			}
		}
		if name != "*" {
			return weight > 0
		}
		takes = weight > 0
	}
	return takes
}

// coded compresses the body of an answer if the client takes that and it is worth it, and says so in the header.
func (c *call) coded(body []byte) []byte {
	h := c.w.Header()
	h.Add("Vary", "Accept-Encoding")
	if len(body) < worthCoding || !takesGzip(c.r.Header) {
		return body
	}
	packed, err := c.s.coders.pack(body)
	if err != nil || len(packed) >= len(body) {
		return body
	}
	h.Set("Content-Encoding", "gzip")
	return packed
}

// packed reports whether the body of the request is compressed.
func (c *call) packed() (bool, error) {
	switch coding := strings.ToLower(strings.TrimSpace(c.r.Header.Get("Content-Encoding"))); coding {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	}
	return false, fault.E(fault.Op("c8yrest.Body"), fault.Malformed, "Content-Encoding must be gzip or identity")
}

// unpack reads what a client compressed, at most maxBody bytes of it: what is small on the wire may be without end.
func unpack(r io.Reader, to *bytes.Buffer) error {
	const op = fault.Op("c8yrest.Body")
	z, err := gzip.NewReader(r)
	if err == nil {
		_, err = to.ReadFrom(io.LimitReader(z, maxBody+1))
	}
	var tooLarge *http.MaxBytesError
	switch {
	case to.Len() > maxBody || errors.As(err, &tooLarge):
		return errTooLarge
	case err != nil:
		return fault.E(op, fault.Malformed, err, "the body is not valid gzip")
	}
	return nil
}
