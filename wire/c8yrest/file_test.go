package c8yrest

import (
	"mime"
	"strings"
	"testing"
)

func FuzzRanges(f *testing.F) {
	for _, s := range []string{"", "bytes=0-", "bytes=-5", "bytes=0-0,2-3", "bytes=9-1", "bytes=,", "bytes=99-", "bytes=-0", "bytes=0-9,0-9", "items=0-1", "bytes=18446744073709551615-"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		parts, ok := rangesOf(header, size)
		total := int64(0)
		for _, s := range parts {
			if s.from < 0 || s.length <= 0 || s.from > size-s.length {
				t.Fatalf("%q of %d: %+v", header, size, s)
			}
			total += s.length
		}
		if len(parts) > maxRanges || total > size || (!ok && len(parts) > 0) {
			t.Fatalf("%q of %d: %+v, %v", header, size, parts, ok)
		}
	})
}

func FuzzDisposition(f *testing.F) {
	for _, s := range []string{"", "a.txt", "../../etc/passwd", `c:\x\y.exe`, "ä\r\nSet-Cookie: a=b", `"; filename=x.html`, "\x00", "..", "a/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d := disposition(name)
		kind, p, err := mime.ParseMediaType(d)
		if strings.ContainsAny(d, "\r\n\x00") || kind != "attachment" || err != nil || strings.ContainsAny(p["filename"], `/\`) {
			t.Fatalf("%q: %q, %v", name, d, err)
		}
	})
}
