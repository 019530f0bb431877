package c8yrest

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// requestHeader carries the id by which an answer is found again in the log.
const requestHeader = "X-Request-Id"

const (
	maxRequestID   = 64
	requestIDChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
)

// WithRequestID gives a request and its answer the id under which the log knows it, for all handlers. One that the client or a proxy gave is kept if it is well-formed.
func WithRequestID(w http.ResponseWriter, r *http.Request) {
	id := requestID(r)
	r.Header.Set(requestHeader, id)
	w.Header().Set(requestHeader, id)
}

// requestID returns the id that the client or a proxy gave the request, a new one if there is none or if it could not stand in a log as it is.
func requestID(r *http.Request) string {
	if id := r.Header.Get(requestHeader); id != "" && len(id) <= maxRequestID && strings.Trim(id, requestIDChars) == "" {
		return id
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
