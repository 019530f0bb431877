package applogic

import (
	"archive/zip"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Limits of an archive. They bound what one upload can cost; real applications have some hundred files and some ten MB.
const (
	MaxArchive  = 256 << 20 // bytes of the archive
	maxUnpacked = 512 << 20 // bytes of all files together
	maxFiles    = 10_000
	maxPath     = 400 // bytes of the name of a file
	maxNesting  = 32
	maxRatio    = 200     // of the whole archive
	freeRatio   = 4 << 20 // bytes of files up to which the ratio does not matter: small texts compress well
	maxManifest = 256 << 10
	manifestAt  = "cumulocity.json"
)

// entry is where a file lies in an archive.
type entry struct {
	offset       int64 // of the compressed bytes
	packed, size int64
	crc          uint32
	deflated     bool
	exec         bool
}

// archive is the checked directory of a ZIP file.
type archive struct {
	files map[string]entry
}

const archiveOp = fault.Op("applogic.Archive")

func badArchive(format string, args ...any) error {
	return fault.E(archiveOp, fault.Invalid, fault.Reason("archive"), "the archive is refused: "+fmt.Sprintf(format, args...))
}

// directory reads and checks the directory of a ZIP file, but not the content of its files.
func directory(r io.ReaderAt, size int64) (*archive, []*zip.File, error) {
	z, err := zip.NewReader(&counted{r: r, left: maxDirectory}, size)
	if err != nil {
		return nil, nil, badArchive("it is no ZIP file")
	}
	if len(z.File) > maxFiles {
		return nil, nil, badArchive("it has more than %d files", maxFiles)
	}
	a := &archive{files: make(map[string]entry, len(z.File))}
	folded := make(map[string]string, len(z.File))
	var unpacked uint64
	for _, f := range z.File {
		if f.Mode().IsDir() && strings.HasSuffix(f.Name, "/") {
			if err := checkPath(strings.TrimSuffix(f.Name, "/")); err != nil {
				return nil, nil, err
			}
			continue
		}
		if err := checkFile(f); err != nil {
			return nil, nil, err
		}
		// Two names that differ in case only are one file on some machines.
		if other, taken := folded[strings.ToLower(f.Name)]; taken {
			return nil, nil, badArchive("it has the file %q twice, also as %q", f.Name, other)
		}
		folded[strings.ToLower(f.Name)] = f.Name
		if unpacked += f.UncompressedSize64; unpacked > maxUnpacked || f.UncompressedSize64 > maxUnpacked {
			return nil, nil, badArchive("its files are larger than %d MB together", maxUnpacked>>20)
		}
		offset, err := f.DataOffset()
		if err != nil || offset < 0 || f.CompressedSize64 > uint64(size) || offset > size-int64(f.CompressedSize64) {
			return nil, nil, badArchive("the file %q lies outside of it", f.Name)
		}
		a.files[f.Name] = entry{offset: offset, packed: int64(f.CompressedSize64), size: int64(f.UncompressedSize64), crc: f.CRC32,
			deflated: f.Method == zip.Deflate, exec: f.Mode()&0o111 != 0}
	}
	if unpacked > freeRatio && unpacked > uint64(size)*maxRatio {
		return nil, nil, badArchive("its files are more than %d times as large as itself", maxRatio)
	}
	for name := range a.files { // a file cannot be a folder as well
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if other, taken := folded[strings.ToLower(dir)]; taken {
				return nil, nil, badArchive("%q is a file and a folder", other)
			}
		}
	}
	return a, z.File, nil
}

// maxDirectory bounds the bytes that are read for the directory and the heads of the files.
const maxDirectory = 64 << 20

// counted ends what makes the reader of a directory read without end.
type counted struct {
	r    io.ReaderAt
	left int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return c.r.ReadAt(p, off)
}

func checkFile(f *zip.File) error {
	if err := checkPath(f.Name); err != nil {
		return err
	}
	switch {
	case !f.Mode().IsRegular():
		return badArchive("%q is a link or a special file", f.Name)
	case f.Flags&1 != 0:
		return badArchive("%q is encrypted", f.Name)
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return badArchive("%q is compressed in a way that is not supported", f.Name)
	case f.Method == zip.Store && f.CompressedSize64 != f.UncompressedSize64:
		return badArchive("the sizes of %q contradict each other", f.Name)
	}
	return nil
}

// checkPath accepts relative names with forward slashes that mean the same everywhere.
func checkPath(name string) error {
	bad := name == "" || len(name) > maxPath || !utf8.ValidString(name) || path.Clean(name) != name || path.IsAbs(name) || name == "." || name == ".." ||
		strings.HasPrefix(name, "../") || strings.ContainsAny(name, `\:`) || strings.ContainsFunc(name, unicode.IsControl) || strings.Count(name, "/") >= maxNesting
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ")
	}
	if bad {
		return badArchive("the name %.100q is not a relative path without dots, backslashes, colons and control characters", name)
	}
	return nil
}

// verify unpacks every file once, to nowhere: what is stored is neither damaged nor larger than it says.
func verify(files []*zip.File) error {
	for _, f := range files {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return badArchive("the file %q cannot be read", f.Name)
		}
		n, err := io.Copy(io.Discard, io.LimitReader(r, int64(f.UncompressedSize64)+1))
		_ = r.Close()
		if err != nil || n != int64(f.UncompressedSize64) {
			return badArchive("the file %q is damaged", f.Name)
		}
	}
	return nil
}

// readManifest reads the manifest of an archive; nil if it has none.
func readManifest(files []*zip.File) (iot.Doc, error) {
	for _, f := range files {
		if f.Name != manifestAt {
			continue
		}
		if f.UncompressedSize64 > maxManifest {
			return nil, badArchive("%s is larger than %d KiB", manifestAt, maxManifest>>10)
		}
		r, err := f.Open()
		if err != nil {
			return nil, badArchive("%s cannot be read", manifestAt)
		}
		defer func() { _ = r.Close() }()
		b, err := io.ReadAll(io.LimitReader(r, maxManifest))
		if err != nil {
			return nil, badArchive("%s cannot be read", manifestAt)
		}
		d, err := iot.ParseDoc(b, iot.MaxDepth)
		if err != nil {
			return nil, badArchive("%s is not valid JSON: %v", manifestAt, err)
		}
		return d, nil
	}
	return nil, nil
}

// plain returns the content of a file from its packed bytes.
func (e entry) plain(packed io.Reader) io.Reader {
	if !e.deflated {
		return io.LimitReader(packed, e.size)
	}
	return io.LimitReader(flate.NewReader(io.LimitReader(packed, e.packed)), e.size)
}

// gzipOverhead is what a gzip stream has beside the deflated bytes.
const gzipOverhead = 18

// gzip returns the packed bytes as a gzip stream (RFC 1952), without compressing anything again: both formats hold the same bytes.
func (e entry) gzip(packed io.Reader) io.Reader {
	var tail [8]byte
	binary.LittleEndian.PutUint32(tail[:], e.crc)
	binary.LittleEndian.PutUint32(tail[4:], uint32(e.size)) // modulo 2^32, as the format wants it
	head := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	return io.MultiReader(strings.NewReader(head), io.LimitReader(packed, e.packed), strings.NewReader(string(tail[:])))
}
