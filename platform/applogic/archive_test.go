package applogic

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"io/fs"
	"net"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
)

// packed makes a ZIP file; change may spoil the head of a file.
func packed(t *testing.T, files map[string]string, change func(*zip.FileHeader)) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if change != nil {
			change(h)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func inspected(b []byte) error {
	_, err := inspect(bytes.NewReader(b), int64(len(b)), Hosted)
	return err
}

func TestArchivesThatAttackAreRefused(t *testing.T) {
	with := func(name string) []byte { return packed(t, map[string]string{"index.html": "x", name: "y"}, nil) }
	many := map[string]string{"index.html": "x"}
	for i := range maxFiles + 1 {
		many[strings.Repeat("f", 1+i%7)+"/"+string(rune('a'+i%26))+strings.Repeat("0", i%97)+"/"+strings.Repeat("b", i/700)] = ""
	}
	lying := packed(t, map[string]string{"index.html": strings.Repeat("a", 1000)}, nil)
	at := bytes.Index(lying, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(lying[at+24:], 10) // the size in the directory
	broken := packed(t, map[string]string{"index.html": strings.Repeat("abc", 1000)}, nil)
	broken[45] ^= 0xff
	for what, b := range map[string][]byte{
		"no zip": []byte("hello"), "empty": nil, "no index": packed(t, map[string]string{"a.txt": "x"}, nil),
		"up": with("../evil"), "up inside": with("a/../../evil"), "absolute": with("/etc/passwd"), "backslash": with(`..\evil`), "drive": with("C:/evil"), "stream": with("a:b"), "dot": with("./a"),
		"doubled slash": with("a//b"), "control": with("a\nb"), "dot at the end": with("a./b"), "blank at the end": with("a /b"), "invalid UTF-8": with("a\xffb"),
		"long": with(strings.Repeat("a", maxPath+1)), "nested": with(strings.Repeat("a/", maxNesting+1) + "b"), "other case": with("INDEX.html"), "file and folder": with("index.html/x"),
		"other case of a folder": with("Index.HTML/x"),
		"link":                   packed(t, map[string]string{"index.html": "/etc/passwd"}, func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }),
		"pipe":                   packed(t, map[string]string{"index.html": ""}, func(h *zip.FileHeader) { h.SetMode(fs.ModeNamedPipe | 0o600) }),
		"bomb":                   packed(t, map[string]string{"index.html": strings.Repeat("\x00", 32<<20)}, nil),
		"size that lies":         lying, "damaged": broken, "too many": packed(t, many, nil), "bad manifest": packed(t, map[string]string{"cumulocity.json": "{"}, nil),
	} {
		if err := inspected(b); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := inspected(with("deep/er/app-1a2b3c4d.js")); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestGzipOfAnEntryIsItsContent(t *testing.T) {
	want := strings.Repeat("hello world ", 500)
	b := packed(t, map[string]string{"index.html": want}, nil)
	dir, _, err := directory(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	e := dir.files["index.html"]
	raw, err := io.ReadAll(e.gzip(bytes.NewReader(b[e.offset:])))
	if err != nil || int64(len(raw)) != e.packed+gzipOverhead {
		t.Fatalf("%d bytes: %v", len(raw), err)
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Errorf("%d bytes: %v", len(got), err)
	}
	if got, err := io.ReadAll(e.plain(bytes.NewReader(b[e.offset:]))); err != nil || string(got) != want {
		t.Errorf("plain %d bytes: %v", len(got), err)
	}
}

func TestOnlyPublicAddresses(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "::", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
		"2002:7f00:1::", "224.0.0.1", "255.255.255.255"} {
		if err := PublicOnly("tcp", net.JoinHostPort(a, "80"), nil); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"93.184.216.34", "2606:2800:220:1::1"} {
		if err := PublicOnly("tcp", net.JoinHostPort(a, "80"), nil); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var x tail
	for range 3 {
		_, _ = x.Write(bytes.Repeat([]byte("a"), maxLog))
	}
	_, _ = x.Write([]byte("end"))
	if b := x.bytes(); len(b) != maxLog || !bytes.HasSuffix(b, []byte("aend")) {
		t.Errorf("%d bytes", len(b))
	}
}
