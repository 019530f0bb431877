package loadgen

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Server is a platform that runs as a child of this process, only to be measured: on loopback, with limits that protect it from one address lifted.
type Server struct {
	*Process
	HTTP, MQTT string // addresses
	Login      Login
	auth       string // header
	bootstrap  string // header of devices that ask for credentials
}

// ServerOptions say what is started.
type ServerOptions struct {
	Bin     string   // the program
	Data    string   // its folder
	Args    []string // more arguments
	Login   *Login   // with a folder that is not new: Server.Login of the start that made it
	Wrapper []string // a command that runs it, such as a tracer: its only child is measured
}

// unlimited lifts what protects a server from one address: here all devices have the same.
var unlimited = []string{"--limit-requests-address", "0", "--limit-requests-user", "0", "--limit-requests-tenant", "0",
	"--limit-connects-address", "0", "--limit-connections-address", "0"}

// StartServer starts a platform and waits until it is ready. Settings of this process' environment (ISOBAR_...) are not passed on.
func StartServer(o ServerOptions) (*Server, error) {
	s := &Server{Login: Login{ClientID: "bench-", User: "main/admin", Password: "Aa1-" + rand.Text()}}
	if o.Login != nil {
		s.Login = *o.Login
	}
	s.auth = basic(s.Login.User, s.Login.Password)
	s.bootstrap = basic("management/devicebootstrap", s.Login.Password)
	announced, err := os.CreateTemp(filepath.Dir(o.Data), "announcement-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(announced.Name())
	defer announced.Close()
	args := append(o.Wrapper[:len(o.Wrapper):len(o.Wrapper)], o.Bin, "server", "--data", o.Data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--log-level", "warn")
	args = append(append(args, unlimited...), o.Args...)
	cmd := exec.Command(args[0], args[1:]...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "ISOBAR_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "ISOBAR_ADMIN_PASSWORD="+s.Login.Password, "ISOBAR_BOOTSTRAP_PASSWORD="+s.Login.Password)
	cmd.Stdout = announced
	if s.Process, err = Start(cmd, func() bool { return s.announced(announced.Name()) }); err != nil {
		return nil, err
	}
	if len(o.Wrapper) > 0 {
		if s.PID, err = childOf(s.PID); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return s, nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// announced reads the addresses that the server prints when it is ready.
func (s *Server) announced(file string) bool {
	b, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		switch f := strings.Fields(line); {
		case len(f) != 2:
		case f[0] == "Web":
			s.HTTP = strings.TrimPrefix(f[1], "http://")
		case f[0] == "mqtt":
			s.MQTT = f[1]
		}
	}
	return s.HTTP != "" && s.MQTT != ""
}

// childOf returns the process that a tracer has started.
func childOf(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) == 0 {
		return 0, errors.New("the tracer has started nothing")
	}
	return strconv.Atoi(f[0])
}

// Request builds a request of the server's administrator.
func (s *Server) Request(method, path string, body []byte, contentType string) []byte {
	headers := []string{"Authorization", s.auth, "Accept", "application/json"}
	if body != nil {
		headers = append(headers, "Content-Type", contentType)
	}
	return Request(method, s.HTTP, path, body, headers...)
}

// Do sends one request on a connection of its own.
func (s *Server) Do(method, path string, body []byte) (int, []byte, error) {
	c, err := DialHTTP(s.HTTP)
	if err != nil {
		return 0, nil, err
	}
	defer c.Close()
	return c.Do(s.Request(method, path, body, "application/json"))
}

// Stored asks over REST how many measurements there are.
func (s *Server) Stored() (int, error) {
	status, body, err := s.Do("GET", "/measurement/measurements?pageSize=1&withTotalElements=true", nil)
	if err != nil {
		return 0, err
	}
	var v struct {
		Statistics struct{ TotalElements *int }
	}
	if err := json.Unmarshal(body, &v); err != nil || v.Statistics.TotalElements == nil {
		return 0, fmt.Errorf("count: answered with %d: %.300s", status, body)
	}
	return *v.Statistics.TotalElements, nil
}

// SmartREST is one value as devices send it: without a time, which the server gives.
func SmartREST(_, n int) (topic, payload string) {
	return "s/us", fmt.Sprintf("200,c8y_Temperature,T,%02d.%d,C", 20+n%10, n%7)
}

// Device creates a device over REST.
func (s *Server) Device(name string) (id string, err error) {
	status, body, err := s.Do("POST", "/inventory/managedObjects", fmt.Appendf(nil, `{"name":%q,"c8y_IsDevice":{}}`, name))
	if err != nil {
		return "", err
	}
	var v struct{ ID string }
	if err := json.Unmarshal(body, &v); err != nil || status != http.StatusCreated {
		return "", fmt.Errorf("create a device: answered with %d: %.300s", status, body)
	}
	return v.ID, nil
}

// timeFormat is how times are written in requests; all are equally long.
const timeFormat = "2006-01-02T15:04:05.000Z"

// devicesOfPost is how many devices the measurements of a connection are for, if it posts as many at once.
const devicesOfPost = 10

// Posts returns the load of connections that each POST n measurements of now, for devices of their own, again and again.
func (s *Server) Posts(conns, n int) (HTTPLoad, error) {
	requests := make([][]byte, conns)
	for i := range requests {
		var ids []string
		for len(ids) < min(n, devicesOfPost) {
			id, err := s.Device(fmt.Sprintf("bench %d.%d", i, len(ids)))
			if err != nil {
				return HTTPLoad{}, err
			}
			ids = append(ids, id)
		}
		requests[i] = s.measurements(ids, n)
	}
	return HTTPLoad{Addr: s.HTTP, Conns: conns, Request: func(i int) func() []byte { return timed(requests[i], n) }}, nil
}

// timed returns a function that gives the measurements of a request new times: no device has two at the same time, since that is not what devices do.
func timed(template []byte, n int) func() []byte {
	request, scratch := bytes.Clone(template), make([]byte, 0, 2*len(timeFormat))
	var at []int
	for from := 0; ; {
		i := bytes.Index(request[from:], []byte(timeFormat))
		if i < 0 {
			break
		}
		from += i + len(timeFormat)
		at = append(at, from-len(timeFormat))
	}
	var last time.Time
	return func() []byte {
		now := time.Now().UTC()
		if !now.After(last) {
			now = last
		}
		for i, pos := range at {
			copy(request[pos:], now.Add(time.Duration(i/devicesOfPost)*time.Millisecond).AppendFormat(scratch, timeFormat))
		}
		last = now.Add(time.Duration((n-1)/devicesOfPost+1) * time.Millisecond)
		return request
	}
}

func (s *Server) measurements(sources []string, n int) []byte {
	var b []byte
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"source":{"id":"%s"},"time":"%s","type":"c8y_Temperature","c8y_Temperature":{"T":{"value":%d.%d,"unit":"C"}}}`,
			sources[i%len(sources)], timeFormat, 20+i%10, i%7)
	}
	kind := "measurement"
	if n > 1 {
		b = append(append([]byte(`{"measurements":[`), b...), "]}"...)
		kind = "measurementCollection"
	}
	return s.Request("POST", "/measurement/measurements", b, "application/vnd.com.nsn.cumulocity."+kind+"+json")
}

// Waiting is what connections cost that do nothing.
type Waiting struct {
	Memory float64 // what each adds to the resident memory, in bytes
	CPU    float64 // cores that the program uses while they wait
}

// Idle opens connections with one subscription that then do nothing, and watches them for a while.
func (s *Server) Idle(n int, watch time.Duration) (Waiting, error) {
	return Idle(s.Process, s.MQTT, s.Login, n, watch)
}

// settleTime is how long connections are left alone before they are watched: until timers that follow a connect have run.
const settleTime = 2 * time.Second

// Idle is the same for any broker. A watch of zero leaves the CPU out.
func Idle(p *Process, addr string, l Login, n int, watch time.Duration) (w Waiting, err error) {
	before := p.Resident()
	for i := range n {
		l.ClientID = fmt.Sprint("idle-", i)
		c, err := Dial(addr, l)
		if err != nil {
			return w, err
		}
		defer c.Close()
		if err := c.Subscribe("s/ds"); err != nil {
			return w, err
		}
	}
	w.Memory = float64(p.Resident()-before) / float64(n)
	if watch > 0 {
		time.Sleep(settleTime)
		cpu, began := p.CPU(), time.Now()
		time.Sleep(watch)
		w.CPU = (p.CPU() - cpu).Seconds() / time.Since(began).Seconds()
	}
	return w, nil
}
