package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// registrars is how many devices register at once.
const registrars = 8

// Register registers n devices in the ordinary way, asked for and accepted, and returns how each logs in: with a password of its own.
func (s *Server) Register(ctx context.Context, n int) ([]Login, error) {
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	logins, errs := make([]Login, n), make([]error, registrars)
	var wg sync.WaitGroup
	for worker := range registrars {
		wg.Go(func() {
			c, err := DialHTTP(s.HTTP)
			if err != nil {
				errs[worker] = err
				return
			}
			defer c.Close()
			r := registrar{c, s, "Bearer " + token}
			for i := worker; i < n && errs[worker] == nil && ctx.Err() == nil; i += registrars {
				logins[i], errs[worker] = r.register(fmt.Sprint("herd-", i))
			}
		})
	}
	wg.Wait()
	return logins, errors.Join(append(errs, ctx.Err())...)
}

// token logs the administrator in once: to check the password of a person costs more than all the rest of a request.
func (s *Server) token() (string, error) {
	c, err := DialHTTP(s.HTTP)
	if err != nil {
		return "", err
	}
	defer c.Close()
	form := url.Values{"grant_type": {"PASSWORD"}, "tenant_id": {"main"}, "username": {"admin"}, "password": {s.Login.Password}}.Encode()
	status, body, err := c.Do(Request("POST", s.HTTP, "/tenant/oauth/token", []byte(form), "Content-Type", "application/x-www-form-urlencoded"))
	if err != nil {
		return "", err
	}
	var v struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &v); err != nil || v.Token == "" {
		return "", fmt.Errorf("log in: answered with %d: %.300s", status, body)
	}
	return v.Token, nil
}

// registrar registers devices one after the other.
type registrar struct {
	c    *HTTPConn
	s    *Server
	auth string // header of the administrator
}

// send sends a request whose answer must be one of those given, and returns its body, which is valid until the next call.
func (r registrar) send(method, path, auth, body string, want ...int) ([]byte, error) {
	status, answer, err := r.c.Do(Request(method, r.s.HTTP, path, []byte(body), "Authorization", auth, "Accept", "application/json", "Content-Type", "application/json"))
	if err != nil {
		return nil, err
	}
	for _, w := range want {
		if status == w {
			return answer, nil
		}
	}
	return nil, fmt.Errorf("%s %s: answered with %d: %.300s", method, path, status, answer)
}

func (r registrar) register(id string) (Login, error) {
	ask := fmt.Sprintf(`{"id":%q}`, id)
	if _, err := r.send("POST", "/devicecontrol/newDeviceRequests", r.auth, ask, http.StatusCreated); err != nil {
		return Login{}, err
	}
	if _, err := r.send("POST", "/devicecontrol/deviceCredentials", r.s.bootstrap, ask, http.StatusNotFound); err != nil { // nobody has accepted it yet
		return Login{}, err
	}
	if _, err := r.send("PUT", "/devicecontrol/newDeviceRequests/"+id, r.auth, `{"status":"ACCEPTED"}`, http.StatusOK); err != nil {
		return Login{}, err
	}
	body, err := r.send("POST", "/devicecontrol/deviceCredentials", r.s.bootstrap, ask, http.StatusCreated)
	if err != nil {
		return Login{}, err
	}
	var v struct{ TenantID, Username, Password string }
	if err := json.Unmarshal(body, &v); err != nil || v.Password == "" {
		return Login{}, fmt.Errorf("credentials of %s: %.300s", id, body)
	}
	return Login{ClientID: id, User: v.TenantID + "/" + v.Username, Password: v.Password}, nil
}

// Return is what a fleet found that came back at once.
type Return struct {
	Served  Histogram     // from the common beginning until the event of a device was acknowledged
	Last    time.Duration // until the last one was
	Refused int           // devices that were not served
	First   error         // why the first of them was not
	conns   []*Conn
}

// Close ends all connections, which stay until then.
func (r *Return) Close() {
	for _, c := range r.conns {
		c.Close()
	}
}

// ComeBack lets all devices connect at the same moment, subscribe and send one event. Who is not served within the time given is refused. The caller
// sees to it that there may be as many open files (RaiseFiles).
func ComeBack(addr string, logins []Login, within time.Duration) *Return {
	r := &Return{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for _, l := range logins {
		wg.Go(func() {
			c, err := back(addr, l, began.Add(within))
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if r.Refused++; r.First == nil {
					r.First = err
				}
				return
			}
			r.conns = append(r.conns, c)
			r.Served.Add(took)
			r.Last = max(r.Last, took)
		})
	}
	wg.Wait()
	return r
}

func back(addr string, l Login, until time.Time) (*Conn, error) {
	c, err := dial(addr, l, until)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(until)
	if err = c.Subscribe("s/ds"); err == nil {
		err = c.Publish("s/us", "400,bench_Back,back again")
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", l.ClientID, err)
	}
	return c, c.SetDeadline(time.Time{})
}
