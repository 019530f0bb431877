package seriespebble

import "github.com/cockroachdb/pebble/v2"

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
