package protect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// files is a certificate and its key that somebody else renews. load and forget are for one goroutine; current is for all.
type files struct {
	cert, key string
	current   atomic.Pointer[tls.Certificate]
	seen      [2]stamp // of what was last tried, good or bad
}

// stamp tells one content of a file from another, without reading it.
type stamp struct {
	at   time.Time
	size int64
}

// forget makes the next load read the files, whatever their times say.
func (f *files) forget() { f.seen = [2]stamp{} }

// load reads the pair if one of its files changed since the last call. On error the pair in use stays, and the same content is not tried again.
func (f *files) load() (changed bool, err error) {
	before, err := f.stamps()
	if before == f.seen && err == nil {
		return false, nil
	}
	if err != nil {
		if f.seen == ([2]stamp{{size: -1}, {size: -1}}) {
			return false, nil // said already
		}
		f.seen = [2]stamp{{size: -1}, {size: -1}}
		return false, fmt.Errorf("certificate: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(f.cert, f.key)
	if after, serr := f.stamps(); serr != nil || after != before {
		if f.current.Load() == nil {
			return false, errors.New("certificate: the files are being changed, try again")
		}
		return false, nil // in the middle of being replaced: the next look decides
	}
	f.seen = before
	if err != nil {
		return false, fmt.Errorf("certificate %s with key %s: %w", f.cert, f.key, err)
	}
	f.current.Store(&cert)
	return true, nil
}

func (f *files) stamps() (s [2]stamp, err error) {
	for i, name := range []string{f.cert, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return s, err
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, nil
}
