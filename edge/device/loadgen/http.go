package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// HTTPConn sends requests that were built before, one after the other. It is for one goroutine.
type HTTPConn struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

// DialHTTP connects to a server without encryption.
func DialHTTP(addr string) (*HTTPConn, error) {
	nc, err := net.DialTimeout("tcp", addr, connectTimeout)
	if err != nil {
		return nil, err
	}
	return &HTTPConn{Conn: nc, r: bufio.NewReaderSize(nc, 16<<10)}, nil
}

// Request builds a request. Headers are pairs of a name and a value.
func Request(method, addr, path string, body []byte, headers ...string) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, addr)
	for i := 0; i+1 < len(headers); i += 2 {
		b = fmt.Appendf(b, "%s: %s\r\n", headers[i], headers[i+1])
	}
	if body != nil {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(body))
	}
	return append(append(b, '\r', '\n'), body...)
}

// Do sends a request and returns the status and the body, which is valid until the next call. It waits for 30 s at most.
func (c *HTTPConn) Do(request []byte) (status int, body []byte, err error) {
	_ = c.SetDeadline(time.Now().Add(drainTimeout))
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("not a status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, fmt.Errorf("not a status line: %q", line)
	}
	length, chunked, err := c.header()
	if err != nil {
		return 0, nil, err
	}
	c.body = c.body[:0]
	if !chunked {
		err := c.read(length)
		return status, c.body, err
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return 0, nil, fmt.Errorf("not the length of a chunk: %q", line)
		}
		if err := c.read(int(n)); err != nil {
			return 0, nil, err
		}
		if _, err := c.r.Discard(2); err != nil || n == 0 {
			return status, c.body, err
		}
	}
}

// header reads to the end of the header.
func (c *HTTPConn) header() (length int, chunked bool, err error) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !ok {
			return length, chunked, nil
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, false, fmt.Errorf("not a length: %q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
}

// read appends to the body.
func (c *HTTPConn) read(n int) error {
	from := len(c.body)
	if cap(c.body) < from+n {
		c.body = append(make([]byte, 0, 2*(from+n)), c.body...)
	}
	c.body = c.body[:from+n]
	_, err := io.ReadFull(c.r, c.body[from:])
	return err
}

// HTTPLoad is a run over HTTP: every connection sends its request again and again, each after the answer to the last one.
type HTTPLoad struct {
	Addr     string
	Conns    int
	Request  func(conn int) (next func() []byte) // called for each connection; what it returns, for each request of it
	Duration time.Duration
}

// RunHTTP runs the load. An answer other than 2xx ends it with an error that quotes it.
func RunHTTP(ctx context.Context, l HTTPLoad) (*Result, error) {
	conns := make([]*HTTPConn, l.Conns)
	for i := range conns {
		c, err := DialHTTP(l.Addr)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		conns[i] = c
	}
	before, clock := Usage(), time.Now()
	var mu sync.Mutex
	var r Result
	var wg sync.WaitGroup
	errs := make([]error, l.Conns)
	for i, c := range conns {
		wg.Go(func() {
			var h Histogram
			next := l.Request(i)
			for at := time.Now(); errs[i] == nil && at.Sub(clock) < l.Duration && ctx.Err() == nil; {
				status, body, err := c.Do(next())
				if err == nil && status/100 != 2 {
					err = fmt.Errorf("answered with %d: %.300s", status, body)
				}
				errs[i] = err
				now := time.Now()
				h.Add(now.Sub(at))
				at = now
			}
			mu.Lock()
			defer mu.Unlock()
			r.Ack.Merge(&h)
		})
	}
	wg.Wait()
	r.Took, r.Cores = time.Since(clock), (Usage()-before).Seconds()/time.Since(clock).Seconds()
	r.Sent, r.Acked = int(r.Ack.Count()), int(r.Ack.Count())
	return &r, errors.Join(errs...)
}
