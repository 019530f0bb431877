package packet

import (
	"errors"
	"io"
	"sync"
	"time"
)

// Reader cuts a byte stream into packets. While the peer is quiet it holds next to nothing: a packet that follows after a pause is read into
// a few bytes of the Reader itself, and only streams, and packets that do not fit there, borrow a buffer. What fits no buffer gets its own slice,
// which grows with the bytes that really arrive, so that a peer cannot make us allocate by announcing a length.
type Reader struct {
	src   io.Reader
	pool  *Buffers
	limit int // Largest whole packet, header included.

	buf  []byte // small, or borrowed.
	r, w int    // What is buffered is buf[r:w].
	used int    // Bytes after r that the last packet still occupies.

	last   time.Time // When bytes came last.
	streak int       // How often in a row without a pause.
	small  [smallBuffer]byte
}

const (
	smallBuffer = 48 // holds acknowledgements, pings and short publishes
	streamAfter = 4  // reads without a pause make a stream
	pause       = 500 * time.Millisecond
)

// Buffers are the buffers that Readers share. It is safe for concurrent use.
type Buffers struct {
	size int
	pool sync.Pool // *[]byte
}

// NewBuffers makes buffers of a size.
func NewBuffers(size int) *Buffers {
	b := &Buffers{size: max(size, 2*smallBuffer)}
	b.pool.New = func() any { v := make([]byte, b.size); return &v }
	return b
}

// NewReader reads from r with a buffer of the given size and refuses packets above limit bytes, fixed header included.
func NewReader(r io.Reader, buffer, limit int) *Reader {
	return NewBuffers(buffer).NewReader(r, limit)
}

// NewReader reads from r and refuses packets above limit bytes, fixed header included.
func (b *Buffers) NewReader(r io.Reader, limit int) *Reader {
	x := &Reader{src: r, pool: b, limit: limit}
	x.buf = x.small[:]
	return x
}

// Next returns the next packet's header and body. The body is valid until the next call. io.EOF means that the stream
// ended between packets; *Error with PacketTooLarge or MalformedPacket means that the stream must be given up.
func (r *Reader) Next() (Header, []byte, error) {
	r.r += r.used
	r.used = 0
	if r.r == r.w {
		r.rest()
	}
	first, err := r.byte()
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

// rest runs when nothing is buffered: a quiet peer gives its buffer back, a stream gets one.
func (r *Reader) rest() {
	r.r, r.w = 0, 0
	switch {
	case r.streak >= streamAfter:
		r.borrow()
	case len(r.buf) != smallBuffer:
		b := r.buf
		r.pool.pool.Put(&b)
		r.buf = r.small[:]
	}
}

// borrow changes to a large buffer, which keeps what is buffered.
func (r *Reader) borrow() {
	if len(r.buf) != smallBuffer {
		return
	}
	b := *r.pool.pool.Get().(*[]byte)
	r.w = copy(b, r.buf[r.r:r.w])
	r.buf, r.r = b, 0
}

// Release gives the buffer back. The Reader must not be used any more.
func (r *Reader) Release() {
	if len(r.buf) != smallBuffer {
		b := r.buf
		r.pool.pool.Put(&b)
	}
	r.buf, r.r, r.w, r.used = nil, 0, 0, 0
}

// SetLimit changes the largest packet that is taken from now on.
func (r *Reader) SetLimit(limit int) { r.limit = limit }

// Buffered tells how many bytes can be read without touching the stream.
func (r *Reader) Buffered() int { return r.w - r.r - r.used }

// fill reads more bytes behind what is buffered; there must be room.
func (r *Reader) fill() error {
	for range 100 { // as bufio does: a reader that gives nothing is broken
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if n > 0 {
			r.note()
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (r *Reader) note() {
	now := time.Now()
	if now.Sub(r.last) > pause {
		r.streak = 0
	} else if r.streak < streamAfter {
		r.streak++
	}
	r.last = now
}

func (r *Reader) byte() (byte, error) {
	if r.r == r.w {
		r.r, r.w = 0, 0
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	b := r.buf[r.r]
	r.r++
	return b, nil
}

func (r *Reader) length() (n, size int, err error) {
	for i := 0; i < 4; i++ {
		d, err := r.byte()
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
	if n > len(r.buf) && n <= r.pool.size {
		r.borrow()
	}
	if n <= len(r.buf) {
		return r.view(n)
	}
	const step = 64 << 10
	b := make([]byte, 0, min(n, step))
	m := min(n, r.w-r.r)
	b = append(b, r.buf[r.r:r.r+m]...)
	r.r += m
	for len(b) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(n, 2*cap(b)))
			copy(grown, b)
			b = grown
		}
		m, err := r.src.Read(b[len(b):min(cap(b), n)])
		b = b[:len(b)+m]
		if err != nil && len(b) < n {
			return nil, unexpected(err)
		}
	}
	return b, nil
}

// view returns n bytes of the buffer.
func (r *Reader) view(n int) ([]byte, error) {
	if r.r+n > len(r.buf) {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	for r.w-r.r < n {
		if err := r.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
	r.used = n
	return r.buf[r.r : r.r+n : r.r+n], nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
