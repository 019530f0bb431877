package seriespebble

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/isobar-iot/isobar/iot"
)

// The key spaces: the first byte of every key. Then comes the tenant with its length in front, so that no tenant is a prefix of another.
const (
	tagMeta    = 'm' // name -> value, without tenant
	tagRow     = 'r' // tenant, source, time, seq -> row
	tagChunk   = 'c' // tenant, source, shape, last time, last seq -> chunk
	tagShape   = 's' // tenant, shape number -> shape
	tagName    = 'n' // tenant, shape -> shape number
	tagCatalog = 'k' // tenant, source, shape number -> nothing: the source has used the shape
	tagTrail   = 't' // tenant, client -> latest deliveries of the client as of the last fold
	tagJournal = 'j' // number, without tenant -> deliveries of one commit, of all clients and tenants in it
	tagFrom    = 'd' // before format 3: deliveries
)

const (
	sourceBytes = 8
	stampBytes  = 12 // time and seq
	shapeBytes  = 4
)

// stamp is the place of a row within its source.
type stamp struct {
	ms  int64
	seq uint32
}

func (a stamp) before(b stamp) bool { return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq }

func appendTenant(b []byte, tag byte, t iot.TenantID) []byte {
	b = append(b, tag, byte(len(t)))
	return append(b, t...)
}

func appendSource(b []byte, tag byte, t iot.TenantID, source iot.ID) []byte {
	return binary.BigEndian.AppendUint64(appendTenant(b, tag, t), uint64(source))
}

// appendStamp appends time and seq so that bytes sort as numbers do: the sign bit is flipped.
func appendStamp(b []byte, s stamp) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.ms)^1<<63)
	return binary.BigEndian.AppendUint32(b, s.seq)
}

func readStamp(b []byte) stamp {
	return stamp{int64(binary.BigEndian.Uint64(b) ^ 1<<63), binary.BigEndian.Uint32(b[8:])}
}

func rowKey(b []byte, t iot.TenantID, source iot.ID, s stamp) []byte {
	return appendStamp(appendSource(b, tagRow, t, source), s)
}

// parseRowKey reads a row's key below a tenant's prefix of n bytes.
func parseRowKey(key []byte, n int) (source iot.ID, s stamp, err error) {
	if len(key) != n+sourceBytes+stampBytes {
		return 0, s, damaged(key, "row key has a wrong length")
	}
	return iot.ID(binary.BigEndian.Uint64(key[n:])), readStamp(key[n+sourceBytes:]), nil
}

func chunkPrefix(b []byte, t iot.TenantID, source iot.ID, shape uint32) []byte {
	return binary.BigEndian.AppendUint32(appendSource(b, tagChunk, t, source), shape)
}

func chunkKey(b []byte, t iot.TenantID, source iot.ID, shape uint32, last stamp) []byte {
	return appendStamp(chunkPrefix(b, t, source, shape), last)
}

func shapeKey(t iot.TenantID, shape uint32) []byte {
	return binary.BigEndian.AppendUint32(appendTenant(nil, tagShape, t), shape)
}

func catalogKey(b []byte, t iot.TenantID, source iot.ID, shape uint32) []byte {
	return binary.BigEndian.AppendUint32(appendSource(b, tagCatalog, t, source), shape)
}

// after returns the smallest key that is greater than every key with the prefix.
func after(prefix []byte) []byte {
	b := append([]byte(nil), prefix...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0xff {
			b[i]++
			return b[:i+1]
		}
	}
	return []byte{0xff, 0xff}
}

// floor returns the first stamp of a millisecond, also for bounds outside of what is stored.
func floor(ms int64) stamp { return stamp{ms: ms} }

// next returns the stamp that follows.
func (a stamp) next() stamp {
	if a.seq == math.MaxUint32 {
		return stamp{ms: a.ms + 1}
	}
	return stamp{a.ms, a.seq + 1}
}

// describe names a key for people, without the bytes of the value.
func describe(key []byte) string {
	if len(key) < 2 || len(key) < 2+int(key[1]) {
		return fmt.Sprintf("key %x", key)
	}
	rest := key[2+int(key[1]):]
	switch {
	case key[0] == tagRow && len(rest) == sourceBytes+stampBytes:
		s := readStamp(rest[sourceBytes:])
		return fmt.Sprintf("row of source %d at %d ms seq %d", binary.BigEndian.Uint64(rest), s.ms, s.seq)
	case key[0] == tagChunk && len(rest) == sourceBytes+shapeBytes+stampBytes:
		s := readStamp(rest[sourceBytes+shapeBytes:])
		return fmt.Sprintf("chunk of source %d shape %d up to %d ms seq %d", binary.BigEndian.Uint64(rest), binary.BigEndian.Uint32(rest[sourceBytes:]), s.ms, s.seq)
	}
	return fmt.Sprintf("key %x", key)
}
