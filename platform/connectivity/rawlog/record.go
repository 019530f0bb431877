package rawlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Record is one publication as it came in.
type Record struct {
	Time        time.Time // of arrival, milliseconds; set by Append
	Seq         uint32    // tells records of one millisecond apart; set by Append
	Transport   string    // "mqtt" or "http"
	Client      string    // MQTT client id, empty for HTTP
	User        iot.UserName
	Topic       string // topic, or path of the request
	ContentType string
	QoS         byte
	Payload     []byte
}

const (
	tagRecord = 'r' // tenant, hour, time, seq -> record
	tagHour   = 'h' // tenant, hour -> bytes of the records of that hour
	version   = 1
	hourMS    = 3_600_000
	crcBytes  = 4
	// overhead is what a record takes besides its texts and its payload, roughly.
	overhead = 64
)

// castagnoli is the table of CRC-32C, for which processors have an instruction; read-only.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func prefix(tag byte, t iot.TenantID) []byte {
	return append([]byte{tag, byte(len(t))}, t...)
}

// hourKey is the start of the keys of an hour since 1970.
func hourKey(tag byte, t iot.TenantID, hour int64) []byte {
	return binary.BigEndian.AppendUint32(prefix(tag, t), uint32(hour))
}

func recordKey(t iot.TenantID, ms int64, seq uint32) []byte {
	b := hourKey(tagRecord, t, ms/hourMS)
	b = binary.BigEndian.AppendUint64(b, uint64(ms))
	return binary.BigEndian.AppendUint32(b, seq)
}

// after returns the smallest key that is greater than every key with the prefix, which does not end in 0xff only.
func after(b []byte) []byte {
	b = append([]byte(nil), b...)
	for i := len(b) - 1; ; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
}

func (r *Record) size() int64 {
	return overhead + int64(len(r.Client)+len(r.User)+len(r.Topic)+len(r.ContentType)+len(r.Payload))
}

func sum(key, b []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, b)
}

func (r *Record) encode(key []byte) []byte {
	b := make([]byte, crcBytes, r.size())
	b = append(b, version, r.QoS)
	for _, s := range []string{r.Transport, r.Client, string(r.User), r.Topic, r.ContentType} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = append(b, r.Payload...)
	binary.LittleEndian.PutUint32(b, sum(key, b[crcBytes:]))
	return b
}

// decode reads a record whose key ends in time and sequence. What it returns does not share memory with its arguments.
func decode(key, v []byte) (r Record, err error) {
	bad := func(what string) (Record, error) {
		return Record{}, fault.E(fault.Op("rawlog.Scan"), fault.Corrupt, fault.Subject(fmt.Sprintf("key %x", key)), "a kept publication is damaged: "+what)
	}
	if len(key) < 12 || len(v) < crcBytes+2 || binary.LittleEndian.Uint32(v) != sum(key, v[crcBytes:]) {
		return bad("checksum does not match")
	}
	if v[crcBytes] != version {
		return bad("unknown version")
	}
	r.QoS = v[crcBytes+1]
	r.Time = iot.FromMillis(int64(binary.BigEndian.Uint64(key[len(key)-12:])))
	r.Seq = binary.BigEndian.Uint32(key[len(key)-4:])
	var user string
	rest := v[crcBytes+2:]
	for _, s := range []*string{&r.Transport, &r.Client, &user, &r.Topic, &r.ContentType} {
		n, w := binary.Uvarint(rest)
		if w <= 0 || n > uint64(len(rest)-w) {
			return bad("it is cut short")
		}
		*s = string(rest[w : w+int(n)])
		rest = rest[w+int(n):]
	}
	r.User, r.Payload = iot.UserName(user), append([]byte{}, rest...)
	return r, nil
}
