package c8yrest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"path"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/kit/blob"
)

// maxRanges bounds the parts of one answer; who asks for more gets the whole file.
const maxRanges = 16

// sendFile sends a stored file so that no browser will run it in our origin: whole or in ranges, or not at all if the client has it already.
// The entity tag and the header Repr-Digest (RFC 9530) are the SHA-256 of the whole.
func (c *call) sendFile(name, contentType string, b *blob.Blob) error {
	h := c.w.Header()
	tag := `"` + b.SHA256 + `"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache") // may be kept, but is asked for again
	h.Set("Accept-Ranges", "bytes")
	if matches(c.r.Header.Get("If-None-Match"), tag) {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Repr-Digest", "sha-256=:"+base64Of(b.SHA256)+":")
	header := c.r.Header.Get("Range")
	if v := c.r.Header.Get("If-Range"); v != "" && v != tag { // another file by now: all of it. A date cannot tell, as it has no part of a second.
		header = ""
	}
	parts, ok := rangesOf(header, b.Size)
	if !ok {
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(b.Size, 10))
		c.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	h.Set("Content-Disposition", disposition(name))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	contentType = mediaTypeOf(contentType)
	switch len(parts) {
	case 0:
		h.Set("Content-Type", contentType)
		return c.sendPart(http.StatusOK, b, span{0, b.Size})
	case 1:
		h.Set("Content-Type", contentType)
		h.Set("Content-Range", parts[0].header(b.Size))
		return c.sendPart(http.StatusPartialContent, b, parts[0])
	}
	return c.sendParts(contentType, b, parts)
}

// sendPart answers with a part of a file. What fails after the first byte ends the connection: the client must not take it for the whole.
func (c *call) sendPart(status int, b *blob.Blob, s span) error {
	r, err := b.Reader(c.ctx, s.from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	c.w.Header().Set("Content-Length", strconv.FormatInt(s.length, 10))
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead {
		return nil
	}
	return c.cut(copyTo(c.w, r, s.length))
}

// copyTo copies n bytes to w in large steps.
func copyTo(w io.Writer, r io.Reader, n int64) error {
	got, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.LimitReader(r, n)}, make([]byte, min(n+1, 256<<10)))
	if err == nil && got < n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// cut breaks an answer off that cannot be completed.
func (c *call) cut(err error) error {
	if err == nil {
		return nil
	}
	if c.ctx.Err() == nil {
		c.s.Log.Warn("a download was cut off", "tenant", c.p.Tenant, "path", c.r.URL.Path, "err", err)
	}
	panic(http.ErrAbortHandler)
}

// sendParts answers with several ranges (RFC 9110 section 14.6).
func (c *call) sendParts(contentType string, b *blob.Blob, parts []span) error {
	var length counter
	m := multipart.NewWriter(&length)
	for _, s := range parts {
		if _, err := m.CreatePart(s.partHeader(contentType, b.Size)); err != nil {
			return err
		}
		length += counter(s.length)
	}
	if err := m.Close(); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "multipart/byteranges; boundary="+m.Boundary())
	h.Set("Content-Length", strconv.FormatInt(int64(length), 10))
	c.w.WriteHeader(http.StatusPartialContent)
	if c.r.Method == http.MethodHead {
		return nil
	}
	out := multipart.NewWriter(c.w)
	err := out.SetBoundary(m.Boundary())
	for i := 0; i < len(parts) && err == nil; i++ {
		err = c.writePart(out, contentType, b, parts[i])
	}
	if err == nil {
		err = out.Close()
	}
	return c.cut(err)
}

func (c *call) writePart(out *multipart.Writer, contentType string, b *blob.Blob, s span) error {
	r, err := b.Reader(c.ctx, s.from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := out.CreatePart(s.partHeader(contentType, b.Size))
	if err != nil {
		return err
	}
	return copyTo(w, r, s.length)
}

// counter counts what is written to it.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// span is a part of a file.
type span struct{ from, length int64 }

func (s span) header(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.from, s.from+s.length-1, size)
}

func (s span) partHeader(contentType string, size int64) textproto.MIMEHeader {
	return textproto.MIMEHeader{"Content-Type": {contentType}, "Content-Range": {s.header(size)}}
}

// rangesOf reads the header Range (RFC 9110 section 14.2) for a file of a size. None means the whole file: the header is absent, not understood, or
// asks for too many parts or for more bytes than there are. ok is false if no range lies inside of the file.
func rangesOf(header string, size int64) (parts []span, ok bool) {
	list, found := strings.CutPrefix(header, "bytes=")
	if !found || strings.Count(list, ",") >= maxRanges {
		return nil, true
	}
	total, outside := int64(0), false
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.Trim(text, " \t"); text == "" {
			continue
		}
		s, valid := rangeOf(text, size)
		switch {
		case !valid:
			return nil, true
		case s.length == 0:
			outside = true
		default:
			parts = append(parts, s)
			total += s.length
		}
	}
	switch {
	case len(parts) == 0:
		return nil, !outside
	case len(parts) > 1 && total > size: // they overlap: nobody needs that
		return nil, true
	}
	return parts, true
}

// rangeOf reads one range. Its length is 0 if it lies outside of the file.
func rangeOf(text string, size int64) (s span, valid bool) {
	from, to, found := strings.Cut(text, "-")
	first, err1 := strconv.ParseUint(from, 10, 62)
	last, err2 := strconv.ParseUint(to, 10, 62)
	switch {
	case !found:
		return s, false
	case from == "" && err2 == nil: // the last so many bytes
		n := min(int64(last), size)
		return span{size - n, n}, true
	case err1 != nil || (to != "" && (err2 != nil || last < first)):
		return s, false
	case int64(first) >= size:
		return s, true
	case to == "" || int64(last) >= size:
		return span{int64(first), size - int64(first)}, true
	}
	return span{int64(first), int64(last-first) + 1}, true
}

// matches reports whether a list of entity tags names one.
func matches(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}

// disposition makes a browser store a file, under a name without folders.
func disposition(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == "/" || name == ".." {
		name = "file"
	}
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}

// mediaTypeOf returns what the file was stored as, if that is a media type.
func mediaTypeOf(contentType string) string {
	if _, _, err := mime.ParseMediaType(contentType); err != nil || !strings.Contains(contentType, "/") {
		return "application/octet-stream"
	}
	return contentType
}

// base64Of writes hexadecimal bytes in base64.
func base64Of(hexadecimal string) string {
	b, err := hex.DecodeString(hexadecimal)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}
