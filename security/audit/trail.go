package audit

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/secret"
)

// maxLine bounds a line of a checkpoint file; ours have less than 500 bytes.
const maxLine = 4096

// Line is one line of a checkpoint file: it says that the record Seq of a tenant had a hash. The first line of a file names no tenant; its
// hash is random, so that no two files begin alike.
type Line struct {
	Number    uint64
	Previous  Hash // of the bytes of the line before; zero in the first
	Tenant    iot.TenantID
	Seq       uint64
	Hash      Hash
	Time      time.Time // when the line was written, to the millisecond
	Note      string    // damage that the server met; empty in a good life
	Key       string
	Signature []byte
}

func (l Line) message() message {
	return newMessage(labelLine).number(l.Number).hash(l.Previous).text(string(l.Tenant)).number(l.Seq).hash(l.Hash).time(l.Time).text(l.Note).text(l.Key)
}

// lineJSON is the form of a line in the file.
type lineJSON struct {
	Line      uint64 `json:"line"`
	Previous  string `json:"previous"`
	Tenant    string `json:"tenant,omitempty"`
	Seq       uint64 `json:"seq"`
	Hash      string `json:"hash"`
	Time      string `json:"time"`
	Note      string `json:"note,omitempty"`
	Key       string `json:"key"`
	Signature string `json:"signature"`
}

func (l Line) encode() ([]byte, error) {
	return json.Marshal(lineJSON{Line: l.Number, Previous: hex.EncodeToString(l.Previous[:]), Tenant: string(l.Tenant), Seq: l.Seq, Hash: hex.EncodeToString(l.Hash[:]),
		Time: iot.FormatTime(l.Time), Note: l.Note, Key: l.Key, Signature: base64.StdEncoding.EncodeToString(l.Signature)})
}

// ParseLine reads a line without its end. Only the exact form that is written is accepted, so that every changed byte shows.
func ParseLine(b []byte) (l Line, err error) {
	var j lineJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return l, fmt.Errorf("not a checkpoint: %w", err)
	}
	previous, err1 := hex.DecodeString(j.Previous)
	hash, err2 := hex.DecodeString(j.Hash)
	at, err3 := iot.ParseTime(j.Time)
	signature, err4 := base64.StdEncoding.DecodeString(j.Signature)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return l, fmt.Errorf("not a checkpoint: %w", err)
	}
	if len(previous) != len(l.Previous) || len(hash) != len(l.Hash) {
		return l, errors.New("not a checkpoint: a hash has the wrong length")
	}
	l = Line{Number: j.Line, Previous: Hash(previous), Tenant: iot.TenantID(j.Tenant), Seq: j.Seq, Hash: Hash(hash), Time: at, Note: j.Note, Key: j.Key, Signature: signature}
	again, err := l.encode()
	if err == nil && !bytes.Equal(again, b) {
		err = errors.New("not written in the form of a checkpoint")
	}
	return l, err
}

// Trail is the writer of a checkpoint file. It is safe for concurrent use. One process writes a file.
//
// A line has about 400 bytes. A tenant gets one at most every 1000 records and otherwise at most every minute in which it had records: up to
// 0.6 MB a day for one that is busy all day, nothing for one that rests.
type Trail struct {
	by *Signer

	mu   sync.Mutex // guards the following, and is held while lines are written
	f    *os.File
	size int64
	w    Witness // what the database should know: not signed
}

// tail is what a scan of an existing file has found.
type tail struct {
	last map[iot.TenantID]Line // the newest line of each tenant
	cut  int64                 // bytes of an unfinished last line, which were taken off
	bad  uint64                // number of the first line that could not be read
}

// openTrail opens or starts a checkpoint file. witness returns what the database remembers of the file that begins with a line; what is found to
// contradict it is noted in the file.
func openTrail(file string, by *Signer, now time.Time, witness func(first Hash) (Witness, bool, error)) (*Trail, tail, error) {
	found := tail{last: map[iot.TenantID]Line{}}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, found, err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, found, err
	}
	t := &Trail{by: by, f: f}
	known, note, err := t.scan(&found, witness)
	if err == nil && t.w.Lines == 0 {
		start := Line{Time: now}
		_, _ = rand.Read(start.Hash[:])
		err = errors.Join(t.Append(start), secret.SyncFolder(filepath.Dir(file)))
	}
	if err == nil && note == "" && t.w.Lines < known.Lines {
		note = fmt.Sprintf("this file has %d lines, and the database has seen %d", t.w.Lines, known.Lines)
	}
	if err == nil && note != "" {
		err = t.Append(Line{Time: now, Note: note})
	}
	if err != nil {
		return nil, found, errors.Join(err, f.Close())
	}
	return t, found, nil
}

// scan reads the whole file and takes off a last line that a crash has left unfinished.
func (t *Trail) scan(found *tail, witness func(Hash) (Witness, bool, error)) (known Witness, note string, err error) {
	end, err := eachLine(t.f, func(b []byte, _ int64) error {
		t.w.Lines, t.w.Last = t.w.Lines+1, sha256.Sum256(b)
		if t.w.Lines == 1 {
			t.w.File = t.w.Last
			var err error
			if known, _, err = witness(t.w.File); err != nil {
				return err
			}
		}
		if t.w.Lines == known.Lines && t.w.Last != known.Last {
			note = fmt.Sprintf("line %d is not the one that the database has seen", known.Lines)
		}
		if l, err := ParseLine(b); err == nil {
			found.last[l.Tenant] = l
		} else if found.bad == 0 {
			found.bad = t.w.Lines
		}
		return nil
	})
	if err != nil {
		return known, note, err
	}
	info, err := t.f.Stat()
	if err != nil {
		return known, note, err
	}
	if found.cut = info.Size() - end; found.cut > 0 {
		err = t.f.Truncate(end)
	}
	t.size = end
	return known, note, err
}

// eachLine calls fn with every complete line of r, without its end, and the offset where it begins. It returns the offset after the last complete
// line. A line that is too long is given in part.
func eachLine(r io.Reader, fn func(line []byte, at int64) error) (end int64, err error) {
	b := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := b.ReadSlice('\n')
		skipped := 0
		head := line
		if errors.Is(err, bufio.ErrBufferFull) {
			head = bytes.Clone(line)
			for errors.Is(err, bufio.ErrBufferFull) {
				skipped += len(line)
				line, err = b.ReadSlice('\n')
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return end, nil
		case err != nil:
			return end, err
		}
		if skipped == 0 {
			head = line[:len(line)-1]
		}
		if err := fn(head, end); err != nil {
			return end, err
		}
		end += int64(skipped + len(line))
	}
}

// Append writes lines and returns when they are on disk. Number, Previous, Key and Signature are filled in.
func (t *Trail) Append(lines ...Line) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.f == nil {
		return os.ErrClosed
	}
	w, buf := t.w, []byte(nil)
	for _, l := range lines {
		l.Number, l.Previous, l.Key, l.Time = w.Lines+1, w.Last, t.by.ID, l.Time.Truncate(time.Millisecond)
		l.Signature = t.by.sign(l.message())
		b, err := l.encode()
		if err != nil {
			return err
		}
		w.Lines, w.Last = l.Number, sha256.Sum256(b)
		if w.Lines == 1 {
			w.File = w.Last
		}
		buf = append(append(buf, b...), '\n')
	}
	_, err := t.f.WriteAt(buf, t.size)
	if err == nil {
		err = t.f.Sync()
	}
	if err != nil { // what was written in part must not stand before the next line
		return errors.Join(err, t.f.Truncate(t.size))
	}
	t.size, t.w = t.size+int64(len(buf)), w
	return nil
}

// Witness returns what the database should remember of the file, signed.
func (t *Trail) Witness() Witness {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.w
	w.Key = t.by.ID
	w.Signature = t.by.sign(w.message())
	return w
}

// Close closes the file.
func (t *Trail) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.f == nil {
		return nil
	}
	f := t.f
	t.f = nil
	return f.Close()
}
