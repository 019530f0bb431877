package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// bearer as the user of a request says that the password is a token: checking a person's password costs more than all the rest.
const bearer = ""

// token logs the administrator in.
func (p *process) token() (string, error) {
	a, err := http.PostForm("http://"+p.http+"/tenant/oauth/token", url.Values{"grant_type": {"PASSWORD"}, "tenant_id": {"main"}, "username": {"admin"}, "password": {password}})
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(a.Body).Decode(&got); err != nil || got.Token == "" {
		return "", fmt.Errorf("log in: %s, %v", a.Status, err)
	}
	return got.Token, nil
}

// request sends one request and reads the answer, whose status must be below 300.
func (p *process) request(user, password, method, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, "http://"+p.http+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	if r.SetBasicAuth(user, password); user == bearer {
		r.Header.Set("Authorization", "Bearer "+password)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	switch {
	case err != nil:
		return err
	case a.StatusCode >= 300:
		return fmt.Errorf("%s %s: %d %s", method, path, a.StatusCode, text)
	case into != nil:
		return json.Unmarshal(text, into)
	}
	return nil
}

// each runs f for 0 to n-1 on many goroutines and returns the first error.
func each(n, workers int, f func(i int) error) error {
	next, failed := make(chan int), make(chan error, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	close(failed)
	return <-failed
}

// comeBack registers devices, restarts the server and lets all of them connect, subscribe and send one event at the same moment, as a fleet does after an
// outage. Nobody may be refused.
func (o options) comeBack(dir string) error {
	data := filepath.Join(dir, "herd")
	p, err := o.startServer(data)
	if err != nil {
		return err
	}
	admin, err := p.token()
	if err != nil {
		p.stop()
		return err
	}
	began := time.Now()
	passwords := make([]string, o.herd)
	err = each(o.herd, 16, func(i int) error {
		id := map[string]string{"id": fmt.Sprint("herd-", i)}
		if err := p.request(bearer, admin, "POST", "/devicecontrol/newDeviceRequests", id, nil); err != nil {
			return err
		}
		_ = p.request("management/devicebootstrap", password, "POST", "/devicecontrol/deviceCredentials", id, nil) // refused until it is accepted
		if err := p.request(bearer, admin, "PUT", "/devicecontrol/newDeviceRequests/"+id["id"], map[string]string{"status": "ACCEPTED"}, nil); err != nil {
			return err
		}
		var got struct{ Password string }
		err := p.request("management/devicebootstrap", password, "POST", "/devicecontrol/deviceCredentials", id, &got)
		passwords[i] = got.Password
		return err
	})
	p.stop()
	if err != nil {
		return err
	}
	registered := time.Since(began)
	if p, err = o.startServer(data); err != nil {
		return err
	}
	defer p.stop()
	took, clients := make([]float64, o.herd), make([]*client, o.herd)
	before := p.rss()
	began = time.Now()
	refused := 0
	var first error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range o.herd {
		wg.Go(func() {
			c, err := dialAs(p.mqtt, fmt.Sprint("herd-", i), fmt.Sprint("main/device_herd-", i), passwords[i])
			if err == nil {
				clients[i] = c
				if err = c.subscribe("s/ds"); err == nil {
					err = c.event()
				}
			}
			took[i] = time.Since(began).Seconds()
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				if refused++; first == nil {
					first = err
				}
			}
		})
	}
	wg.Wait()
	all := time.Since(began).Seconds()
	slices.Sort(took)
	fmt.Printf("%d devices registered in %s, back at once: %d refused (%v), median %.2f s, p99 %.2f s, all after %.2f s, %.1f KiB each\n", o.herd, registered.Round(time.Second), refused, first,
		took[o.herd/2], took[o.herd*99/100], all, (p.rss()-before)/1024/float64(o.herd))
	for _, c := range clients {
		if c != nil {
			c.conn.Close()
		}
	}
	return nil
}
