package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/smartrest"
	"github.com/isobar-iot/isobar/fault"
)

const (
	bootstrapPoll    = time.Second // between two questions of the device
	bootstrapTimeout = time.Minute
	maxAnswerBytes   = 64 << 10
	mediaJSON        = "application/json"
)

// bootstrap is the public registration of a new device, both sides of it: the operator announces and accepts the device over HTTP, and
// the device, which knows only the bootstrap password, asks for credentials of its own over MQTT.
type bootstrap struct {
	conf Config
	base *url.URL
	http *http.Client
	dial dialer
	poll time.Duration
}

// obtain registers one device. It returns when the device has its credentials, after a minute at the latest.
func (b *bootstrap) obtain(ctx context.Context, id string) (known, error) {
	ctx, cancel := context.WithTimeout(ctx, bootstrapTimeout)
	defer cancel()
	err := b.call(ctx, http.MethodPost, "/devicecontrol/newDeviceRequests", map[string]string{"id": id})
	if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
		return known{}, err
	}
	announced := err // a request that exists already is as good; if it was refused for another reason, this is the one to tell
	c, err := b.dial(ctx, login{clientID: id, user: b.conf.BootstrapUser, password: b.conf.BootstrapPassword})
	if err != nil {
		return known{}, err
	}
	defer c.Close()
	answers := make(chan string, 1)
	err = c.Subscribe(ctx, "s/dcr", func(payload string) {
		select {
		case answers <- payload:
		default: // one answer is enough
		}
	})
	if err != nil {
		return known{}, b.gaveUp(id, err)
	}
	return b.ask(ctx, c, id, answers, announced)
}

// ask lets the device ask and the operator accept, in turns, until the server answers.
func (b *bootstrap) ask(ctx context.Context, c Client, id string, answers <-chan string, announced error) (known, error) {
	accepted, last := false, announced
	ticker := time.NewTicker(b.poll)
	defer ticker.Stop()
	for {
		if err := c.Publish(ctx, "s/ucr", ""); err != nil {
			return known{}, b.gaveUp(id, errors.Join(err, last))
		}
		if !accepted {
			// Before the server has noticed the device's first question it may refuse the acceptance, so it is tried again.
			err := b.call(ctx, http.MethodPut, "/devicecontrol/newDeviceRequests/"+url.PathEscape(id), map[string]string{"status": "ACCEPTED"})
			if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Denied) {
				return known{}, err
			}
			if accepted = err == nil; accepted {
				continue // ask at once
			}
			last = errors.Join(announced, err)
		}
		select {
		case payload := <-answers:
			if k, ok := parseCredentials(payload); ok {
				return k, nil
			}
		case <-c.Lost():
			return known{}, b.gaveUp(id, errors.Join(errors.New("the server closed the connection"), last))
		case <-ctx.Done():
			return known{}, b.gaveUp(id, errors.Join(ctx.Err(), last))
		case <-ticker.C:
		}
	}
}

func (b *bootstrap) gaveUp(id string, cause error) error {
	return fault.E(fault.Op("simulator.Register"), fault.Unavailable, fault.Subject(id), "the device did not get credentials from the server", cause)
}

// parseCredentials reads 70,<tenant>,<user>,<password>.
func parseCredentials(payload string) (known, bool) {
	for _, f := range smartrest.Parse(payload) {
		if len(f) >= 4 && f[0] == "70" && f[2] != "" {
			return known{Tenant: f[1], User: f[2], Password: f[3]}, true
		}
	}
	return known{}, false
}

// call makes one request as the operator. What the server does not like is an error that quotes it.
func (b *bootstrap) call(ctx context.Context, method, path string, body any) error {
	const op = fault.Op("simulator.Register")
	j, err := json.Marshal(body)
	if err != nil {
		return err
	}
	target := b.base.String() + path
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(j))
	if err != nil {
		return fault.E(op, fault.Invalid, fault.Subject(target), err)
	}
	user := b.conf.User
	if b.conf.Tenant != "" && !strings.Contains(user, "/") {
		user = b.conf.Tenant + "/" + user
	}
	req.SetBasicAuth(user, b.conf.Password)
	req.Header.Set("Content-Type", mediaJSON)
	req.Header.Set("Accept", mediaJSON)
	resp, err := b.http.Do(req)
	if err != nil {
		return fault.E(op, fault.Unavailable, fault.Subject(b.base.String()), "the server does not answer: check the URL and that it is running", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fault.E(op, fault.Unavailable, fault.Subject(target), err)
	}
	if resp.StatusCode < 300 {
		return nil
	}
	return fault.E(op, answerKind(resp.StatusCode), fault.Subject(method+" "+target), answerText(user, resp.StatusCode, answer))
}

func answerKind(status int) fault.Kind {
	switch {
	case status == http.StatusUnauthorized:
		return fault.Unauthenticated
	case status == http.StatusForbidden:
		return fault.Denied
	case status == http.StatusConflict:
		return fault.Conflict
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity:
		return fault.Invalid
	case status >= 500:
		return fault.Unavailable
	}
	return fault.NotFound
}

func answerText(user string, status int, body []byte) string {
	switch status {
	case http.StatusUnauthorized:
		return "the server refuses the password of user " + user
	case http.StatusForbidden:
		return "user " + user + " may not register devices"
	}
	var told struct{ Message string }
	if json.Unmarshal(body, &told) == nil && told.Message != "" {
		return fmt.Sprintf("the server answers %d: %s", status, told.Message)
	}
	return fmt.Sprintf("the server answers %d: is this the right URL", status)
}
