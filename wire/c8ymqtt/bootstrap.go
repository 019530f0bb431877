package c8ymqtt

import (
	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// credentialsTopic is where a new device gets its account.
const credentialsTopic = "s/dcr"

// publishBootstrap takes s/ucr: c8y: every poll is answered when the device was accepted, and agents send the first one before they
// subscribe. Credentials are handed out once, so that question waits until there is somebody to hear the answer.
func (h *handler) publishBootstrap(levels []string, m *mqtt.Message, done func(mqtt.Verdict)) {
	if len(levels) != 2 || levels[0] != "s" || levels[1] != "ucr" {
		done(mqtt.Verdict{Reason: packet.NotAuthorized})
		return
	}
	if _, ok := h.conn.SubscribedTo(credentialsTopic); !ok {
		token := string(m.Payload)
		h.mu.Lock()
		h.poll = &token
		h.mu.Unlock()
		done(mqtt.Verdict{})
		return
	}
	done(verdict(h.askCredentials(string(m.Payload))))
}

// answerPoll answers the question that waited.
func (h *handler) answerPoll() {
	h.mu.Lock()
	token := h.poll
	h.poll = nil
	h.mu.Unlock()
	if token != nil {
		_ = h.askCredentials(*token) // the publish was acknowledged; the device asks again
	}
}

func (h *handler) askCredentials(token string) error {
	cred, err := h.g.Registrations.Credentials(h.ctx, h.p, h.serial, token)
	if err == nil {
		h.conn.Deliver(credentialsTopic, []byte(smartrest.ReplyCredentials(cred.Tenant, cred.User, cred.Password)), 1, nil)
	} else if !fault.Is(err, fault.NotFound) {
		h.lineError(smartrest.Failed("70", err))
	}
	return err
}

func (h *handler) token(done func(mqtt.Verdict)) {
	token, err := h.g.Users.DeviceToken(h.ctx, h.p)
	if err == nil {
		h.conn.Deliver("s/dat", []byte(smartrest.ReplyToken(token)), 1, nil)
	} else {
		h.lineError(smartrest.Failed("71", err))
	}
	done(verdict(err))
}
