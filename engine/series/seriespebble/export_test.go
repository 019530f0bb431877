package seriespebble

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// WriteAmplification returns bytes written to tables and log per byte that came in with batches.
func (s *Store) WriteAmplification() float64 {
	m := s.db.Metrics()
	t := m.Total()
	return float64(m.WAL.BytesWritten+t.TableBytesFlushed+t.TableBytesCompacted) / float64(m.WAL.BytesIn)
}

// DB gives tests the engine, to do damage.
func (s *Store) DB() *pebble.DB { return s.db }

// RowShape and RowNumbers are the row decoder, for fuzzing.
var (
	RowShape   = rowShape
	RowNumbers = rowNumbers
	ParseShape = parseShape
	Checksum   = checksum
)

// Forget drops all caches, as a restart would.
func (s *Store) Forget() {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	s.forget()
}

// Fold moves what clients delivered from the journal into their trails.
func (s *Store) Fold() error { return s.foldJournal() }

// ReadJournal reads a value of the journal with that content and a good checksum.
func ReadJournal(content []byte, fn func(client uint64, commit []byte)) bool {
	key := journalKey(nil, 1)
	v := binary.LittleEndian.AppendUint32(nil, checksum(key, content))
	return eachClient(key, append(v, content...), func(k clientKey, commit []byte) { fn(k.client, commit) })
}
