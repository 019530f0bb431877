package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/isobar-iot/isobar/fault"
)

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ReadManifest reads export.json of a complete export.
func ReadManifest(dir string) (m Manifest, err error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fault.E(fault.Op("transfer.Read"), fault.NotFound, err, dir+" holds no complete export: there is no "+manifestName)
	}
	if err != nil {
		return m, fault.E(fault.Op("transfer.Read"), fault.Unavailable, err, err.Error())
	}
	return parseManifest(b)
}

func parseManifest(b []byte) (m Manifest, err error) {
	const op = fault.Op("transfer.Read")
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fault.E(op, fault.Corrupt, err, manifestName+" is damaged: "+err.Error())
	}
	if m.Format != Format {
		return m, fault.Errorf(op, fault.Unsupported, "the export has format %d, this version reads format %d", m.Format, Format)
	}
	for _, f := range m.Files {
		if !hexSum.MatchString(f.SHA256) || f.Of != "objects" && f.Of != "events" {
			return m, fault.E(op, fault.Corrupt, manifestName+" names a file that cannot be")
		}
	}
	return m, nil
}

// Verify reads all of an export and returns a line for everything that is not as it was written.
func Verify(dir string) (m Manifest, damage []string, err error) {
	if m, err = ReadManifest(dir); err != nil {
		return m, nil, err
	}
	for _, k := range kinds {
		want, ok := m.Kinds[k.name]
		if !ok {
			damage = append(damage, k.name+" is not named by "+manifestName)
			continue
		}
		got, err := partOf(filepath.Join(dir, k.name+".jsonl"))
		if err == nil {
			err = lines(dir, k.name, func(doc) error { got.Count++; return nil })
		}
		switch {
		case err != nil:
			damage = append(damage, fmt.Sprintf("%s.jsonl cannot be read: %v", k.name, err))
		case got != want:
			damage = append(damage, k.name+".jsonl is not as it was written")
		}
	}
	for _, f := range m.Files {
		switch got, err := partOf(filepath.Join(dir, filesFolder, f.SHA256)); {
		case err != nil:
			damage = append(damage, fmt.Sprintf("the file of %s %s cannot be read: %v", f.Of, f.ID, err))
		case got.SHA256 != f.SHA256 || got.Bytes != f.Size:
			damage = append(damage, fmt.Sprintf("the file of %s %s was changed", f.Of, f.ID))
		}
	}
	return m, damage, nil
}

func partOf(file string) (p Part, err error) {
	f, err := os.Open(file)
	if err != nil {
		return p, err
	}
	defer f.Close()
	h := sha256.New()
	p.Bytes, err = io.Copy(h, f)
	p.SHA256 = hex.EncodeToString(h.Sum(nil))
	return p, err
}

// lines calls f for each document of a kind.
func lines(dir, kind string, f func(doc) error) error {
	in, err := os.Open(filepath.Join(dir, kind+".jsonl"))
	if err != nil {
		return fault.E(fault.Op("transfer.Read"), fault.NotFound, err, err.Error())
	}
	defer in.Close()
	return readLines(in, kind, f)
}

func readLines(in io.Reader, kind string, f func(doc) error) error {
	const op = fault.Op("transfer.Read")
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; s.Scan(); n++ {
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.UseNumber()
		var v doc
		if err := d.Decode(&v); err != nil || v == nil {
			return fault.Errorf(op, fault.Corrupt, "line %d of %s is no JSON object", n, kind)
		}
		if err := f(v); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fault.E(op, fault.Corrupt, err, kind+" cannot be read: "+err.Error())
	}
	return nil
}
