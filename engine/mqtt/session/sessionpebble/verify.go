package sessionpebble

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// Verify reads every record of the store and returns how many there are. What is damaged is told to report; an error means that it could not look.
func (s *Store) Verify(report func(err error)) (n int64, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: s.prefix, UpperBound: after(s.prefix)})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
		v, err := it.ValueAndErr()
		if err == nil {
			err = verify(it.Key()[len(s.prefix):], v)
		}
		if err != nil {
			report(fmt.Errorf("record %q: %w", it.Key(), err))
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		report(err)
	}
	return n, nil
}

// sized cuts a name with its length off.
func sized(key []byte) (rest []byte, ok bool) {
	if len(key) < 4 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint32(key))
	if n > len(key)-4 {
		return nil, false
	}
	return key[4+n:], true
}

func verify(key, value []byte) (err error) {
	key, ok := sized(key)
	if !ok || len(key) == 0 {
		return session.ErrCorrupt
	}
	if key[0] == 't' {
		_, err = session.DecodeMessage(value)
		return err
	}
	key, ok = sized(key[1:])
	if !ok || len(key) == 0 {
		return session.ErrCorrupt
	}
	switch key[0] {
	case 'm':
		_, err = decodeMeta(value)
	case 'f':
		_, err = decodeSub(string(key[1:]), value)
	case 'q':
		_, err = session.DecodeEntry(value)
	}
	return err
}
