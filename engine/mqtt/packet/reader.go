package packet

import (
	"bufio"
	"errors"
	"io"
)

// Reader cuts a byte stream into packets. It holds one small buffer; a packet that does not fit gets its own slice,
// which grows with the bytes that really arrive, so that a peer cannot make us allocate by announcing a length.
type Reader struct {
	br    *bufio.Reader
	limit int // Largest whole packet, header included.
	used  int // Bytes of the buffer that the last packet still occupies.
}

// NewReader reads from r with a buffer of the given size and refuses packets above limit bytes, fixed header included.
func NewReader(r io.Reader, buffer, limit int) *Reader {
	return &Reader{br: bufio.NewReaderSize(r, buffer), limit: limit}
}

// Next returns the next packet's header and body. The body is valid until the next call. io.EOF means that the stream
// ended between packets; *Error with PacketTooLarge or MalformedPacket means that the stream must be given up.
func (r *Reader) Next() (Header, []byte, error) {
	if r.used > 0 {
		r.br.Discard(r.used) //nolint:errcheck // The bytes were peeked, they are there.
		r.used = 0
	}
	first, err := r.br.ReadByte()
	if err != nil {
		return Header{}, nil, err
	}
	n, size, err := r.length()
	if err != nil {
		return Header{}, nil, err
	}
	h := Header{Type: Type(first >> 4), Flags: first & 15, Remaining: n}
	if h.Type == 0 {
		return h, nil, malformed("packet type 0 is reserved")
	}
	if 1+size+n > r.limit {
		return h, nil, &Error{PacketTooLarge, "packet is larger than the limit"}
	}
	body, err := r.body(n)
	return h, body, err
}

// SetLimit changes the largest packet that is taken from now on.
func (r *Reader) SetLimit(limit int) { r.limit = limit }

// Buffered tells how many bytes can be read without touching the stream.
func (r *Reader) Buffered() int { return r.br.Buffered() - r.used }

func (r *Reader) length() (n, size int, err error) {
	for i := 0; i < 4; i++ {
		d, err := r.br.ReadByte()
		if err != nil {
			return 0, 0, unexpected(err)
		}
		n |= int(d&127) << (7 * i)
		if d&128 == 0 {
			if d == 0 && i > 0 {
				return 0, 0, malformed("remaining length is longer than needed")
			}
			return n, i + 1, nil
		}
	}
	return 0, 0, malformed("remaining length is longer than four bytes")
}

func (r *Reader) body(n int) ([]byte, error) {
	if n <= r.br.Size() {
		b, err := r.br.Peek(n)
		if err != nil {
			return nil, unexpected(err)
		}
		r.used = n
		return b, nil
	}
	const step = 64 << 10
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(n, 2*cap(b)))
			copy(grown, b)
			b = grown
		}
		m, err := r.br.Read(b[len(b):cap(b)])
		b = b[:len(b)+m]
		if err != nil && len(b) < n {
			return nil, unexpected(err)
		}
	}
	return b, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
