package limits

import (
	"errors"
	"io"
	"net/http"
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

// leftover is how long the server may wait for the rest of a body that nobody wants.
const leftover = 5 * time.Second

// Handler holds the bodies of the requests to next to the pace: reading from one that is too slow fails, and its connection ends.
func (p Pace) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		b := &body{ReadCloser: r.Body, pace: p, conn: http.NewResponseController(w), began: time.Now()}
		r.Body = b
		defer func() {
			if !errors.Is(b.err, io.EOF) {
				_ = b.conn.SetReadDeadline(time.Now().Add(leftover))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// body reads with a deadline that moves on as long as enough comes. It is used by one goroutine at a time, as any body.
type body struct {
	io.ReadCloser
	pace  Pace
	conn  *http.ResponseController
	began time.Time
	n     int64
	err   error // once an end was met it stays
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	now := time.Now()
	until := b.began.Add(b.pace.Stall + time.Duration(b.n/b.pace.Slowest)*time.Second)
	if stall := now.Add(b.pace.Stall); stall.Before(until) {
		until = stall
	}
	_ = b.conn.SetReadDeadline(until) // what cannot have one, such as a recorder in a test, has none
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil {
		b.err = err
		if errors.Is(err, io.EOF) {
			_ = b.conn.SetReadDeadline(time.Time{}) // the server reads on, to see when the client goes away
		}
	}
	return n, err
}
