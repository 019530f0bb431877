package c8yrest_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestLargeBodiesAreBounded begins more large requests than there is memory for, and sends nothing of them. Who comes then is told to come
// again, small requests go on, and when the others leave there is room again.
func TestLargeBodiesAreBounded(t *testing.T) {
	s := start(t)
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+adminPassword))
	head := "POST /inventory/managedObjects HTTP/1.1\r\nHost: x\r\nAuthorization: " + auth + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
	var open []net.Conn
	for range 16 {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprint(c, head); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	post := func(size int) *http.Response {
		t.Helper()
		r, err := http.NewRequest("POST", s.url+"/inventory/managedObjects", strings.NewReader(`{"name":"`+strings.Repeat("x", size)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", auth)
		r.Header.Set("Content-Type", "application/json")
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	const large = 20_000
	until := time.Now().Add(20 * time.Second)
	for { // until all of them have come so far
		res := post(large)
		if res.StatusCode == http.StatusTooManyRequests {
			if res.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			break
		}
		if time.Now().After(until) {
			t.Fatalf("large requests are taken without end: %d", res.StatusCode)
		}
	}
	if res := post(100); res.StatusCode != http.StatusCreated {
		t.Errorf("a small request gets %d", res.StatusCode)
	}
	for _, c := range open {
		c.Close()
	}
	for until = time.Now().Add(20 * time.Second); post(large).StatusCode == http.StatusTooManyRequests; {
		if time.Now().After(until) {
			t.Fatal("there is no room again")
		}
	}
}
