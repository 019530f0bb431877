package simulator

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/isobar-iot/isobar/fault"
)

// known is what the fleet remembers of one device on one server.
type known struct {
	Tenant   string  `json:"tenant,omitempty"`
	User     string  `json:"user,omitempty"`
	Password string  `json:"password,omitempty"`
	History  bool    `json:"history,omitempty"` // the device has sent its past
	Meter    float64 `json:"meter,omitempty"`   // reading of its water meter in litres, which must never go back
}

// login returns what the device connects with.
func (k known) login(id string) login {
	user := k.User
	if k.Tenant != "" {
		user = k.Tenant + "/" + user
	}
	return login{clientID: id, user: user, password: k.Password}
}

// state is the memory of the fleet between two runs: a small JSON file, mode 0600, with one section per server so that
// a password is never offered to another server. It is safe for concurrent use.
type state struct {
	path   string // empty keeps everything in memory
	server string

	// mu guards servers, and is held while the file is written, so that an older state never replaces a newer one.
	mu      sync.Mutex
	servers map[string]map[string]known
}

func openState(path, server string) (*state, error) {
	s := &state{path: path, server: server, servers: map[string]map[string]known{}}
	if path != "" {
		b, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fault.E(fault.Op("simulator.State"), fault.Unavailable, fault.Subject(path), "the file with the credentials of the fleet cannot be read", err)
		default:
			if err := json.Unmarshal(b, &s.servers); err != nil {
				return nil, fault.E(fault.Op("simulator.State"), fault.Corrupt, fault.Subject(path),
					"the file with the credentials of the fleet is damaged: remove it to register the devices anew", err)
			}
		}
	}
	if s.servers == nil { // the file said null
		s.servers = map[string]map[string]known{}
	}
	if s.servers[server] == nil {
		s.servers[server] = map[string]known{}
	}
	return s, nil
}

// get returns what is known of a device; found is false if it has no credentials.
func (s *state) get(id string) (k known, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k = s.servers[s.server][id]
	return k, k.User != ""
}

// update changes what is known of a device and saves it.
func (s *state) update(id string, change func(*known)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.servers[s.server][id]
	change(&k)
	s.servers[s.server][id] = k
	return s.save()
}

// save writes the file in one step, so that a crash leaves the old or the new one. The lock must be held.
func (s *state) save() error {
	if s.path == "" {
		return nil
	}
	b, err := json.MarshalIndent(s.servers, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(s.path, b); err != nil {
		return fault.E(fault.Op("simulator.State"), fault.Unavailable, fault.Subject(s.path), "the file with the credentials of the fleet cannot be written", err)
	}
	return nil
}

func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".fleet-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // it is useless; the first error is the one to tell
		}
	}()
	if _, err = f.Write(b); err != nil {
		_ = f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
