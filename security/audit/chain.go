package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// Hash is a SHA-256 sum.
type Hash [sha256.Size]byte

// Every hash and signature starts with a label of its own, so that none can stand for another.
const (
	labelRecord  = "isobar audit record 1"
	labelHead    = "isobar audit head 1"
	labelStub    = "isobar audit stub 1"
	labelLine    = "isobar audit checkpoint 1"
	labelWitness = "isobar audit witness 1"
)

// message is what is hashed or signed: fields with their length in front, so that no two lists of fields give the same bytes.
type message []byte

func newMessage(label string) message { return make(message, 0, 256).text(label) }

func (m message) text(s string) message {
	return append(binary.BigEndian.AppendUint32(m, uint32(len(s))), s...)
}

func (m message) hash(h Hash) message {
	return append(binary.BigEndian.AppendUint32(m, uint32(len(h))), h[:]...)
}

func (m message) number(n uint64) message {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(m, 8), n)
}

func (m message) time(t time.Time) message { return m.number(uint64(t.UnixMilli())) }

// link is the hash of the record with a number, which follows a record with the hash prev (zero for the first).
func link(t iot.TenantID, seq uint64, prev, digest Hash) Hash {
	return sha256.Sum256(newMessage(labelRecord).text(string(t)).number(seq).hash(prev).hash(digest))
}

// Row is a record as it is stored.
type Row struct {
	Columns
	Seq    uint64
	Doc    []byte // empty in a stub
	Digest Hash
	Hash   Hash
	Stub   []byte // nil, or the signature that allowed to empty the record

	// Bad is set by a Reader for a row whose columns are not even of the right kind; the other members are then worth nothing.
	Bad string
}

// Head is the signed end of a tenant's chain. The zero Head, apart from Tenant, is that of a tenant without records.
type Head struct {
	Tenant    iot.TenantID
	Seq       uint64
	Hash      Hash
	Time      time.Time // of the append, to the millisecond
	Key       string    // names the key that has signed
	Signature []byte
}

func (h Head) message() message {
	return newMessage(labelHead).text(string(h.Tenant)).number(h.Seq).hash(h.Hash).time(h.Time).text(h.Key)
}

// Extend returns the rows of further records and the head after them, signed.
func (h Head) Extend(drafts []Draft, at time.Time, by *Signer) ([]Row, Head) {
	rows := make([]Row, len(drafts))
	for i, d := range drafts {
		h.Seq++
		digest := Hash(sha256.Sum256(d.Doc))
		h.Hash = link(h.Tenant, h.Seq, h.Hash, digest)
		rows[i] = Row{Columns: d.Columns, Seq: h.Seq, Doc: d.Doc, Digest: digest, Hash: h.Hash}
	}
	h.Time, h.Key = at.Truncate(time.Millisecond), by.ID
	h.Signature = by.sign(h.message())
	return rows, h
}

// StubOf returns what must stand in the column stub of a record that is emptied.
func StubOf(t iot.TenantID, seq uint64, hash Hash, by *Signer) []byte {
	return append([]byte(by.ID), by.sign(stubMessage(t, seq, hash, by.ID))...)
}

func stubMessage(t iot.TenantID, seq uint64, hash Hash, key string) message {
	return newMessage(labelStub).text(string(t)).number(seq).hash(hash).text(key)
}

// Witness says how long a checkpoint file was. It is kept in the database.
type Witness struct {
	File      Hash // of the file's first line
	Lines     uint64
	Last      Hash // of line number Lines
	Key       string
	Signature []byte
}

func (w Witness) message() message {
	return newMessage(labelWitness).hash(w.File).number(w.Lines).hash(w.Last).text(w.Key)
}
