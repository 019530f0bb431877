package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/isobar-iot/isobar/fault"
)

const (
	tries     = 12
	firstWait = 100 * time.Millisecond // each is twice as long; about two minutes in all
	maxWait   = 30 * time.Second
	maxPage   = 2000
	maxBody   = 256 << 20 // of a page: 2000 documents
)

// Platform is a tenant of a platform as one of its users sees it.
type Platform struct {
	URL      string
	User     string // tenant/name
	Password string
	// Rate bounds the requests per second; 0: 200.
	Rate   float64
	Client *http.Client // nil: one of its own

	limiter *rate.Limiter
}

// errUnsure says that nobody knows whether a request was carried out.
var errUnsure = errors.New("the answer was lost")

func (p *Platform) open() error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return fault.E(fault.Op("transfer.Open"), fault.Invalid, "the platform's URL must be of the form https://host:port")
	}
	p.URL = strings.TrimRight(p.URL, "/")
	if p.Rate <= 0 {
		p.Rate = 200
	}
	if p.Client == nil {
		p.Client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: workers, ResponseHeaderTimeout: 2 * time.Minute}}
	}
	p.limiter = rate.NewLimiter(rate.Limit(p.Rate), max(1, int(p.Rate/10)))
	return nil
}

// do sends a request until it is answered for good. A POST that may have been carried out is not sent again: the error is errUnsure. The caller
// closes the body. body must be the same at each call.
func (p *Platform) do(ctx context.Context, method, path, contentType string, body func() (io.Reader, error)) (*http.Response, error) {
	const op = fault.Op("transfer.Request")
	for n := 1; ; n++ {
		if err := p.limiter.Wait(ctx); err != nil {
			return nil, err
		}
		var r io.Reader
		if body != nil {
			var err error
			if r, err = body(); err != nil {
				return nil, err
			}
		}
		req, err := http.NewRequestWithContext(ctx, method, p.URL+path, r)
		if err != nil {
			return nil, fault.E(op, fault.Invalid, err)
		}
		req.SetBasicAuth(p.User, p.Password)
		req.Header.Set("Accept", "application/json")
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		resp, err := p.Client.Do(req)
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), closeBody(resp))
		}
		wait := min(maxWait, firstWait<<(n-1))
		switch {
		case err == nil && resp.StatusCode < 400:
			return resp, nil
		case err == nil && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode < 500:
			return nil, refusal(op, method, path, resp)
		case err == nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable):
			if s, e := strconv.Atoi(resp.Header.Get("Retry-After")); e == nil && s >= 0 {
				wait = min(maxWait, time.Duration(s)*time.Second)
			}
		case method == http.MethodPost:
			return nil, errors.Join(errUnsure, err, closeBody(resp))
		}
		if n == tries {
			if err != nil {
				return nil, fault.E(op, fault.Unavailable, err, p.URL+" does not answer: "+err.Error())
			}
			return nil, refusal(op, method, path, resp)
		}
		if err := errors.Join(closeBody(resp), sleep(ctx, wait)); err != nil {
			return nil, err
		}
	}
}

func closeBody(resp *http.Response) error {
	if resp == nil {
		return nil
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// refusal makes an error of an answer and closes it.
func refusal(op fault.Op, method, path string, resp *http.Response) error {
	var said struct{ Message string }
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	_ = json.Unmarshal(b, &said)
	kind := fault.Invalid
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		kind = fault.Unauthenticated
	case http.StatusForbidden:
		kind = fault.Denied
	case http.StatusNotFound:
		kind = fault.NotFound
	case http.StatusConflict:
		kind = fault.Exists
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		kind = fault.Unavailable
	case http.StatusInsufficientStorage:
		kind = fault.Full
	}
	path, _, _ = strings.Cut(path, "?")
	return fault.Errorf(op, kind, "%s %s was answered with %d %s", method, path, resp.StatusCode, said.Message)
}

// json sends a document, if any, and reads the answer into a value, if any.
func (p *Platform) json(ctx context.Context, method, path string, doc, into any) error {
	var body func() (io.Reader, error)
	contentType := ""
	if doc != nil {
		b, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		body, contentType = func() (io.Reader, error) { return bytes.NewReader(b), nil }, "application/json"
	}
	resp, err := p.do(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return closeBody(resp)
	}
	d := json.NewDecoder(io.LimitReader(resp.Body, maxBody))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		if method == http.MethodPost {
			return errors.Join(errUnsure, err)
		}
		return fault.E(fault.Op("transfer.Request"), fault.Unavailable, err, fmt.Sprintf("%s %s: the answer could not be read", method, path))
	}
	return nil
}

// page reads one page of a list; last says that no more follow.
func (p *Platform) page(ctx context.Context, path, list string, n int) (docs []doc, last bool, err error) {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	var raw map[string]json.RawMessage
	if err := p.json(ctx, http.MethodGet, fmt.Sprintf("%s%spageSize=%d&currentPage=%d", path, sep, maxPage, n), nil, &raw); err != nil {
		return nil, false, err
	}
	d := json.NewDecoder(bytes.NewReader(raw[list]))
	d.UseNumber()
	if len(raw[list]) > 0 {
		err = d.Decode(&docs)
	}
	if err != nil {
		return nil, false, fault.E(fault.Op("transfer.Page"), fault.Unavailable, err, "the list "+list+" could not be read")
	}
	var next string
	_ = json.Unmarshal(raw["next"], &next)
	// A platform may cut pages shorter than was asked for, and may name a next page that is empty.
	return docs, len(docs) == 0 || next == "" && len(docs) < maxPage, nil
}

// each calls f for every element of a list.
func (p *Platform) each(ctx context.Context, path, list string, f func(doc) error) error {
	for n := 1; ; n++ {
		docs, last, err := p.page(ctx, path, list, n)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if err := f(d); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}
