package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// User speaks REST as somebody.
type User struct {
	URL, Name, Password string // Name is tenant/user
}

// Admin is the administrator of the main tenant.
func (s *Server) Admin() User { return User{s.URL, "main/admin", AdminPassword} }

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request; body may be nil, a string, bytes, or anything that becomes JSON. It returns an error only if no answer came.
func (u User) Do(method, path string, body any, header ...string) (Answer, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, u.URL+path, r)
	if err != nil {
		return Answer{}, err
	}
	if u.Name != "" {
		req.SetBasicAuth(u.Name, u.Password)
	}
	req.Header.Set("Accept", "application/json")
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, raw}, err
}

// Want sends a request, demands a status and, unless into is nil, reads the JSON of the answer.
func (u User) Want(t testing.TB, status int, method, path string, body, into any) {
	t.Helper()
	a, err := u.Do(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status != status {
		t.Fatalf("%s %s: status %d, want %d\n%s", method, path, a.Status, status, a.Body)
	}
	if into != nil {
		if err := json.Unmarshal(a.Body, into); err != nil {
			t.Fatalf("%s %s: %v\n%s", method, path, err, a.Body)
		}
	}
}

// Object is the part of an answer that most tests want.
type Object struct {
	ID, Status string
}

// Create posts something and returns its id.
func (u User) Create(t testing.TB, path string, body any) string {
	t.Helper()
	var o Object
	u.Want(t, http.StatusCreated, "POST", path, body, &o)
	return o.ID
}

// Each calls f with every item of a collection, page by page in the given order.
func (u User) Each(t testing.TB, path, list string, f func(json.RawMessage)) {
	t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	const size = 2000
	for page := 1; ; page++ {
		var all map[string]json.RawMessage
		u.Want(t, http.StatusOK, "GET", fmt.Sprintf("%s%spageSize=%d&currentPage=%d", path, sep, size, page), nil, &all)
		var items []json.RawMessage
		if err := json.Unmarshal(all[list], &items); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, item := range items {
			f(item)
		}
		if len(items) < size {
			return
		}
	}
}

// Device is an account with which a device connects.
type Device struct {
	Serial, User, Password string // User is tenant/user
	ID                     string // of its managed object
}

// Register lets a device register in the ordinary way, and makes its managed object.
func (s *Server) Register(t testing.TB, serial string) Device {
	t.Helper()
	admin, boot := s.Admin(), User{s.URL, "management/devicebootstrap", BootstrapPassword}
	ask := map[string]string{"id": serial}
	admin.Want(t, 201, "POST", "/devicecontrol/newDeviceRequests", ask, nil)
	boot.Want(t, 404, "POST", "/devicecontrol/deviceCredentials", ask, nil)
	admin.Want(t, 200, "PUT", "/devicecontrol/newDeviceRequests/"+url.PathEscape(serial), map[string]string{"status": "ACCEPTED"}, nil)
	var got struct{ TenantID, Username, Password string }
	boot.Want(t, 201, "POST", "/devicecontrol/deviceCredentials", ask, &got)
	d := Device{Serial: serial, User: got.TenantID + "/" + got.Username, Password: got.Password}
	me := User{s.URL, d.User, d.Password}
	d.ID = me.Create(t, "/inventory/managedObjects", map[string]any{"name": serial, "type": "compat_Device", "c8y_IsDevice": map[string]any{}, "com_cumulocity_model_Agent": map[string]any{}})
	me.Want(t, 201, "POST", "/identity/globalIds/"+d.ID+"/externalIds", map[string]string{"type": "c8y_Serial", "externalId": serial}, nil)
	return d
}

// Eventually repeats a check until it is true.
func Eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
