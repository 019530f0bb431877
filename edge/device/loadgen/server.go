package loadgen

import (
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
)

// Server is a platform that runs as a child of this process, only to be measured: on loopback, with limits that protect it from one address lifted.
type Server struct {
	*Process
	HTTP, MQTT string // addresses
	Login      Login
	auth       string // header
}

// ServerOptions say what is started.
type ServerOptions struct {
	Bin     string   // the program
	Data    string   // its folder
	Args    []string // more arguments
	Wrapper []string // a command that runs it, such as a tracer: its only child is measured
}

// unlimited lifts what protects a server from one address: here all devices have the same.
var unlimited = []string{"--limit-requests-address", "0", "--limit-requests-user", "0", "--limit-requests-tenant", "0",
	"--limit-connects-address", "0", "--limit-connections-address", "0"}

// StartServer starts a platform and waits until it is ready. Settings of this process' environment (ISOBAR_...) are not passed on.
func StartServer(o ServerOptions) (*Server, error) {
	password := rand.Text()
	s := &Server{Login: Login{ClientID: "bench-", User: "main/admin", Password: "Aa1-" + password}}
	s.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(s.Login.User+":"+s.Login.Password))
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
	cmd.Env = append(cmd.Env, "ISOBAR_ADMIN_PASSWORD="+s.Login.Password)
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

// Posts returns the load of connections that each POST n measurements for a device of their own, again and again.
func (s *Server) Posts(conns, n int) (HTTPLoad, error) {
	requests := make([][]byte, conns)
	for i := range requests {
		id, err := s.Device(fmt.Sprint("bench ", i))
		if err != nil {
			return HTTPLoad{}, err
		}
		requests[i] = s.measurements(id, n)
	}
	return HTTPLoad{Addr: s.HTTP, Conns: conns, Request: func(i int) []byte { return requests[i] }}, nil
}

func (s *Server) measurements(source string, n int) []byte {
	var b []byte
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"source":{"id":"%s"},"time":"2026-01-02T03:%02d:%02d.%03dZ","type":"c8y_Temperature","c8y_Temperature":{"T":{"value":%d.%d,"unit":"C"}}}`,
			source, i/60%60, i%60, i%1000, 20+i%10, i%7)
	}
	kind := "measurement"
	if n > 1 {
		b = append(append([]byte(`{"measurements":[`), b...), "]}"...)
		kind = "measurementCollection"
	}
	return s.Request("POST", "/measurement/measurements", b, "application/vnd.com.nsn.cumulocity."+kind+"+json")
}

// Idle opens connections with one subscription that then do nothing, and returns what each added to the server's resident memory, in bytes.
func (s *Server) Idle(n int) (float64, error) { return Idle(s.Process, s.MQTT, s.Login, n) }

// Idle is the same for any broker.
func Idle(p *Process, addr string, l Login, n int) (float64, error) {
	before := p.Resident()
	for i := range n {
		l.ClientID = fmt.Sprint("idle-", i)
		c, err := Dial(addr, l)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		if err := c.Subscribe("s/ds"); err != nil {
			return 0, err
		}
	}
	return float64(p.Resident()-before) / float64(n), nil
}
