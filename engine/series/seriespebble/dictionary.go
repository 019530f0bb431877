package seriespebble

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Bounds of each of the two generations of the cache. A usual shape takes some hundred bytes.
const (
	cachedShapes    = 1 << 16
	cachedShapeText = 16 << 20
)

type shapeName struct {
	tenant iot.TenantID
	id     uint32
}

// dictionary finds shapes by content and by number. It holds at most two generations of the cache; what is not asked for drops out.
type dictionary struct {
	db *pebble.DB

	mu       sync.Mutex // guards byText, byID and their older generation
	byText   map[string]uint32
	textSize int
	oldText  map[string]uint32
	byID     map[shapeName]*shape
	oldID    map[shapeName]*shape
	nextFree map[iot.TenantID]uint32 // guarded by the store's append lock: only Append makes shapes
}

func newDictionary(db *pebble.DB) *dictionary {
	d := &dictionary{db: db}
	d.reset()
	return d
}

// reset forgets everything that is cached, after a write that did not succeed or a tenant that was dropped.
func (d *dictionary) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byText, d.oldText, d.textSize = map[string]uint32{}, nil, 0
	d.byID, d.oldID = map[shapeName]*shape{}, nil
	d.nextFree = map[iot.TenantID]uint32{}
}

// number returns the number of the shape whose nameKey is given. A new shape gets a number and goes into the batch.
// The caller holds the append lock.
func (d *dictionary) number(b *pebble.Batch, tenant iot.TenantID, name []byte) (uint32, error) {
	d.mu.Lock()
	id, ok := d.byText[string(name)]
	if !ok {
		id, ok = d.oldText[string(name)]
	}
	d.mu.Unlock()
	if ok {
		return id, nil
	}
	stored := storedName(tenant, name)
	id, err := d.stored(stored)
	if err != nil {
		return 0, err
	}
	if id == 0 {
		if id, err = d.add(b, tenant, name, stored); err != nil {
			return 0, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.byText) >= cachedShapes || d.textSize >= cachedShapeText {
		d.byText, d.oldText, d.textSize = map[string]uint32{}, d.byText, 0
	}
	d.textSize += len(name)
	d.byText[string(name)] = id
	return id, nil
}

// nameKey appends the key of the cache: the tenant and the canonical text of the shape.
func nameKey(b []byte, tenant iot.TenantID, m *iot.Measurement) []byte {
	return appendShape(appendTenant(b, tagName, tenant), m)
}

// storedName returns the key in the database. The text may be long, so its digest stands for it.
func storedName(tenant iot.TenantID, name []byte) []byte {
	digest := sha256.Sum256(name[2+len(tenant):])
	return append(appendTenant(nil, tagName, tenant), digest[:]...)
}

func (d *dictionary) stored(name []byte) (uint32, error) {
	v, closer, err := d.db.Get(name)
	if err == pebble.ErrNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if len(v) != shapeBytes || binary.BigEndian.Uint32(v) == 0 {
		return 0, damaged(name, "shape number has a wrong length")
	}
	return binary.BigEndian.Uint32(v), nil
}

func (d *dictionary) add(b *pebble.Batch, tenant iot.TenantID, name, stored []byte) (uint32, error) {
	id := d.nextFree[tenant]
	if id == 0 {
		last, err := d.lastNumber(tenant)
		if err != nil {
			return 0, err
		}
		id = last + 1
	}
	if id == math.MaxUint32 {
		return 0, fault.E(fault.Exhausted, "too many different kinds of measurements")
	}
	d.nextFree[tenant] = id + 1
	key := shapeKey(tenant, id)
	text := name[2+len(tenant):]
	value := binary.LittleEndian.AppendUint32(nil, checksum(key, text))
	if err := b.Set(key, append(value, text...), nil); err != nil {
		return 0, err
	}
	return id, b.Set(stored, binary.BigEndian.AppendUint32(nil, id), nil)
}

func (d *dictionary) lastNumber(tenant iot.TenantID) (uint32, error) {
	prefix := appendTenant(nil, tagShape, tenant)
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	defer it.Close()
	if !it.Last() {
		return 0, it.Error()
	}
	if len(it.Key()) != len(prefix)+shapeBytes {
		return 0, damaged(it.Key(), "shape key has a wrong length")
	}
	return binary.BigEndian.Uint32(it.Key()[len(prefix):]), nil
}

// shape returns the shape with a number, which some row or chunk claims to have.
func (d *dictionary) shape(tenant iot.TenantID, id uint32) (*shape, error) {
	name := shapeName{tenant, id}
	d.mu.Lock()
	s := d.byID[name]
	if s == nil {
		s = d.oldID[name]
	}
	d.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := d.load(tenant, id)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.byID) >= cachedShapes {
		d.byID, d.oldID = map[shapeName]*shape{}, d.byID
	}
	d.byID[name] = s
	return s, nil
}

func (d *dictionary) load(tenant iot.TenantID, id uint32) (*shape, error) {
	key := shapeKey(tenant, id)
	v, closer, err := d.db.Get(key)
	if err == pebble.ErrNotFound {
		return nil, damaged(key, "shape is missing")
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	if len(v) < crcBytes || binary.LittleEndian.Uint32(v) != checksum(key, v[crcBytes:]) {
		return nil, damaged(key, "checksum does not match")
	}
	return parseShape(key, v[crcBytes:], id)
}

const crcBytes = 4

// castagnoli is the table of CRC-32C, for which processors have an instruction; read-only.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the checksum that binds a value to its key.
func checksum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, payload)
}
