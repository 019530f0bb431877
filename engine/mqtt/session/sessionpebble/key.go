package sessionpebble

import "encoding/binary"

// appendSized appends a length and a name. Four bytes: ids come from the wire and hold at most 65,535.
func appendSized(b []byte, name string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(name))), name...)
}

func (s *Store) realmKey(realm string) []byte {
	b := make([]byte, 0, len(s.prefix)+len(realm)+64)
	return appendSized(append(b, s.prefix...), realm)
}

func (s *Store) retainedKey(realm, topic string) []byte {
	return append(append(s.realmKey(realm), 't'), topic...)
}

func (s *Store) clientKey(realm, clientID string, part byte) []byte {
	return append(appendSized(append(s.realmKey(realm), 's'), clientID), part)
}

func (s *Store) seqKey(realm, clientID string, part byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(s.clientKey(realm, clientID, part), seq)
}

// after returns the first key behind all keys that start with b. Our prefixes never consist of 0xFF alone.
func after(b []byte) []byte {
	end := append([]byte(nil), b...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
