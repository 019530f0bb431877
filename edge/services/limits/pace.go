package limits

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Pace is how slowly a client may send the body of a request: nothing at all for Stall, and after that never less than Slowest bytes per second on the
// whole. Long uploads over slow lines pass; who only holds a connection does not.
type Pace struct {
	Stall   time.Duration
	Slowest int64
}

// DefaultPace lets a radio link of 4 kbit/s pass.
var DefaultPace = Pace{Stall: 30 * time.Second, Slowest: 512}

// What a client still sends when its request was answered is read and thrown away within these bounds: many clients read nothing before they have sent
// everything, and would see a reset connection instead of the reason why they were refused.
const (
	leftoverBytes = 64 << 20         // four times the longest JSON body
	leftoverTime  = 20 * time.Second // in all
	leftoverStall = 5 * time.Second  // of silence
)

// Handler holds the bodies of the requests to next to the pace: reading from one that is too slow fails, and its connection ends. What next leaves of a body is
// read within bounds after the answer was sent; who asked whether to send it, and was refused, is not asked for it.
func (p Pace) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		b := &body{ReadCloser: r.Body, pace: p, conn: http.NewResponseController(w), began: time.Now()}
		r.Body = b
		asked := strings.EqualFold(r.Header.Get("Expect"), "100-continue")
		if asked {
			_ = b.conn.EnableFullDuplex() // else net/http waits, before it answers, for a body that the client holds back
		}
		defer func() {
			r.Body = b.ReadCloser // by which net/http knows that it was never asked for
			switch begun, err := b.state(); {
			case errors.Is(err, io.EOF):
			case asked && !begun: // nothing comes
				_ = b.conn.SetReadDeadline(time.Now())
			default:
				_ = b.conn.SetReadDeadline(time.Now().Add(leftoverStall))
			}
		}()
		next.ServeHTTP(w, r)
		if begun, err := b.state(); err == nil && r.ProtoMajor == 1 && (begun || !asked) {
			r.Body = b.ReadCloser // of a body that it does not know, net/http reads some before it answers
			b.discard()
		}
	})
}

// body reads with a deadline that moves on as long as enough comes. It is read by one goroutine at a time, as any body; a proxy's may be the last one still when
// the handler has returned.
type body struct {
	io.ReadCloser
	conn *http.ResponseController

	mu    sync.Mutex // guards what follows
	pace  Pace
	began time.Time
	end   time.Time // of all reading, zero if there is none
	n     int64
	begun bool
	err   error // once an end was met, or the body was closed, it stays
}

func (b *body) state() (begun bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.begun, b.err
}

// discard sends the answer and reads the rest of the body, within the bounds of leftovers.
func (b *body) discard() {
	_ = b.conn.SetReadDeadline(time.Now().Add(leftoverStall)) // of a short rest as well
	if b.conn.Flush() != nil {
		return
	}
	b.mu.Lock()
	b.pace.Stall, b.began, b.n = leftoverStall, time.Now(), 0
	b.end = b.began.Add(leftoverTime)
	b.mu.Unlock()
	_, _ = io.CopyN(io.Discard, b, leftoverBytes)
}

// Close implements io.Closer: a body that was closed is read by nobody.
func (b *body) Close() error {
	b.mu.Lock()
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// until is when the next read must have brought something.
func (b *body) until() (time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
	until := b.began.Add(b.pace.Stall + time.Duration(b.n/b.pace.Slowest)*time.Second)
	if stall := time.Now().Add(b.pace.Stall); stall.Before(until) {
		until = stall
	}
	if !b.end.IsZero() && b.end.Before(until) {
		until = b.end
	}
	return until, b.err
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	until, err := b.until()
	if err != nil {
		return 0, err
	}
	_ = b.conn.SetReadDeadline(until) // what cannot have one, such as a recorder in a test, has none
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += int64(n)
	if err != nil && b.err == nil {
		b.err = err
	}
	if errors.Is(err, io.EOF) {
		_ = b.conn.SetReadDeadline(time.Time{}) // the server reads on, to see when the client goes away
	}
	return n, err
}
