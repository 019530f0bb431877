package rawlog

import "encoding/binary"

// For the fuzz target: the decoder with a checksum that is right.
var (
	Decode    = decode
	RecordKey = recordKey
)

func (r *Record) Encode(key []byte) []byte { return r.encode(key) }

func Reseal(key, v []byte) []byte {
	v = append([]byte(nil), v...)
	if len(v) > crcBytes {
		binary.LittleEndian.PutUint32(v, sum(key, v[crcBytes:]))
	}
	return v
}
