package seriespebble

import (
	"encoding/binary"

	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
	"github.com/isobar-iot/isobar/iot"
)

const rowVersion = 1

// appendRow appends the value of a row: version, checksum, shape number, one number per series of the shape, and the free members
// as one JSON object, if there are any.
func appendRow(b, key []byte, shape uint32, m *iot.Measurement) []byte {
	at := len(b)
	b = append(b, rowVersion, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, uint64(shape))
	for i := range m.Samples {
		b = chunk.AppendNumber(b, m.Samples[i].Value)
	}
	if len(m.Extra) > 0 {
		b = m.Extra.AppendTo(b)
	}
	binary.LittleEndian.PutUint32(b[at+1:], checksum(key, b[at+1+crcBytes:]))
	return b
}

// rowShape verifies a row and returns the number of its shape and what follows.
func rowShape(key, b []byte) (id uint32, rest []byte, err error) {
	if len(b) < 1+crcBytes || b[0] != rowVersion {
		return 0, nil, damaged(key, "unknown version or cut short")
	}
	if binary.LittleEndian.Uint32(b[1:]) != checksum(key, b[1+crcBytes:]) {
		return 0, nil, damaged(key, "checksum does not match")
	}
	b = b[1+crcBytes:]
	n, w := binary.Uvarint(b)
	if w <= 0 || n == 0 || n > 1<<32-1 {
		return 0, nil, damaged(key, "no shape number")
	}
	return uint32(n), b[w:], nil
}

// rowNumbers reads n numbers into nums and returns the free members, empty if there are none.
func rowNumbers(key []byte, nums []iot.Number, n int, b []byte) ([]iot.Number, []byte, error) {
	nums = nums[:0]
	for range n {
		v, rest, ok := chunk.ReadNumber(b)
		if !ok {
			return nums, nil, damaged(key, "numbers are cut short")
		}
		nums, b = append(nums, v), rest
	}
	return nums, b, nil
}
