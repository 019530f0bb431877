package bayeux

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// Meta channels.
const (
	metaHandshake   = "/meta/handshake"
	metaConnect     = "/meta/connect"
	metaSubscribe   = "/meta/subscribe"
	metaUnsubscribe = "/meta/unsubscribe"
	metaDisconnect  = "/meta/disconnect"
)

// Errors of replies, in the form code:arguments:text of Bayeux. c8y: clients compare these texts.
const (
	errHandshake = "403::Handshake denied"
	errClient    = "402::Unknown client"
	errBusy      = "503::Too many sessions"
	errMessage   = "400::Unknown channel"
)

const (
	// maxBody bounds a request or frame of a client.
	maxBody = 256 << 10
	// maxBatch bounds the messages of one request.
	maxBatch = 1000
	// advisedTimeout is how long we say that we hold a connect, in milliseconds. c8y: 90 minutes; an earlier, empty reply is always allowed.
	advisedTimeout = 5_400_000
	// busyInterval is how long to wait before another handshake after one that was refused, in milliseconds.
	busyInterval = 10_000
)

// message is what a client sends.
type message struct {
	ID           json.RawMessage `json:"id"` // a text or a number; echoed as it came
	Channel      string          `json:"channel"`
	ClientID     string          `json:"clientId"`
	Subscription json.RawMessage `json:"subscription"` // a text or a list of texts
	Advice       struct {
		Timeout json.RawMessage `json:"timeout"`
	} `json:"advice"`
	Ext struct {
		Authn credentials `json:"com.cumulocity.authn"`
	} `json:"ext"`
}

// credentials are what a handshake may carry of its own.
type credentials struct {
	Token string `json:"token"` // base64 of tenant/user:password, or a JWT
	XSRF  string `json:"xsrfToken"`
}

// reply answers a message.
type reply struct {
	ID             json.RawMessage `json:"id,omitempty"`
	Channel        string          `json:"channel"`
	ClientID       string          `json:"clientId,omitempty"`
	Subscription   json.RawMessage `json:"subscription,omitempty"`
	Successful     bool            `json:"successful"`
	Version        string          `json:"version,omitempty"`
	MinimumVersion string          `json:"minimumVersion,omitempty"`
	Types          []string        `json:"supportedConnectionTypes,omitempty"`
	Error          string          `json:"error,omitempty"`
	Advice         *advice         `json:"advice,omitempty"`
}

type advice struct {
	Reconnect string `json:"reconnect"`
	Interval  int64  `json:"interval"`
	Timeout   int64  `json:"timeout,omitempty"`
}

func retry() *advice { return &advice{Reconnect: "retry", Timeout: advisedTimeout} }

// refuse answers a message with an error.
func (m *message) refuse(text string) reply {
	r := reply{ID: m.ID, Channel: m.Channel, Subscription: m.Subscription, Error: text}
	switch text {
	case errClient:
		r.Advice = &advice{Reconnect: "handshake"}
	case errHandshake, errBusy:
		r.Advice = &advice{Reconnect: "handshake", Interval: busyInterval}
	}
	return r
}

// timeout is how long the client wants its connect to be held; ok is false if it does not say.
func (m *message) timeout() (d time.Duration, ok bool) {
	var ms float64
	if json.Unmarshal(m.Advice.Timeout, &ms) != nil || iot.IsNull(m.Advice.Timeout) {
		return 0, false
	}
	return time.Duration(min(max(ms, 0), float64(maxHold.Milliseconds()))) * time.Millisecond, true
}

// channels are the channels that a subscribe or unsubscribe names.
func (m *message) channels() ([]string, error) {
	var one string
	if json.Unmarshal(m.Subscription, &one) == nil && one != "" {
		return []string{one}, nil
	}
	var many []string
	if err := json.Unmarshal(m.Subscription, &many); err != nil {
		return nil, err
	}
	if len(many) == 0 {
		return nil, errNoChannel
	}
	return many, nil
}

var (
	errNoChannel = errors.New("the subscription names no channel")
	errTooMany   = errors.New("too many messages in one request")
)

// parseMessages reads a list of messages, or a single one.
func parseMessages(b []byte) ([]message, error) {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '{' {
		var m message
		err := json.Unmarshal(b, &m)
		return []message{m}, err
	}
	var ms []message
	if err := json.Unmarshal(b, &ms); err != nil {
		return nil, err
	}
	if len(ms) > maxBatch {
		return nil, errTooMany
	}
	return ms, nil
}

// encode makes the list of data messages and replies that a client receives.
func encode(items []item, replies ...reply) []byte {
	size := 2 + 256*len(replies)
	for i := range items {
		size += items[i].size()
	}
	b := append(make([]byte, 0, size), '[')
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = items[i].appendTo(b)
	}
	for i := range replies {
		if len(b) > 1 {
			b = append(b, ',')
		}
		text, err := json.Marshal(&replies[i])
		if err != nil { // only an id that is no JSON could do that, and it was parsed as JSON
			text = []byte("{}")
		}
		b = append(b, text...)
	}
	return append(b, ']')
}

// denied is the error of a subscription that is refused. c8y: 403:<channel>:<text>.
func denied(channel, text string) string {
	return "403:" + strings.ReplaceAll(channel, ":", "%3A") + ":" + text
}
