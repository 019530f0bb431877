package series

import "encoding/binary"

// Delivery names the delivery that brought a measurement, so that a repetition of it can be told from a new measurement. A repetition has
// everything but the connection in common with the first; two readings never do, though they may share their time and their values.
type Delivery struct {
	Client uint64 // hash of the client's name in the tenant
	Conn   int64  // the connection, in ascending order per client
	Packet uint16 // the client's identifier of the delivery on that connection
	Part   uint16 // the place of the measurement in the delivery
	Hash   uint64 // of what was delivered
}

// Remembered is how many commits of a client Deliveries looks back at least. Each holds one delivery or more.
const Remembered = 64

// DeliveryBytes is what AppendDelivery appends.
const DeliveryBytes = 20

// AppendDelivery appends what a driver keeps of a delivery, without the client.
func AppendDelivery(b []byte, d *Delivery) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(d.Conn))
	b = binary.LittleEndian.AppendUint16(b, d.Packet)
	b = binary.LittleEndian.AppendUint16(b, d.Part)
	return binary.LittleEndian.AppendUint64(b, d.Hash)
}

// ParseDeliveries appends the deliveries of a client that AppendDelivery wrote one after the other. ok is false if b is none such.
func ParseDeliveries(out []Delivery, client uint64, b []byte) (all []Delivery, ok bool) {
	for ; len(b) >= DeliveryBytes; b = b[DeliveryBytes:] {
		out = append(out, Delivery{Client: client, Conn: int64(binary.LittleEndian.Uint64(b)), Packet: binary.LittleEndian.Uint16(b[8:]),
			Part: binary.LittleEndian.Uint16(b[10:]), Hash: binary.LittleEndian.Uint64(b[12:])})
	}
	return out, len(b) == 0
}
