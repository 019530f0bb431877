package exchange

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/isobar-iot/isobar/iot"
)

const (
	streamPrefix = "n2-"
	markHeader   = "Isobar-Mark"
	// lookBack is how many of its newest messages a stream keeps, done or not, so that what was written before a crash is found there.
	lookBack = 4096
	// atOnce messages are written in one step with one sync; the server takes up to 1000.
	atOnce = 500
	// atOnceBytes bounds such a step.
	atOnceBytes = 4 << 20
)

// topics are the streams of persistent topics.
type topics struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	maxBytes int64

	mu sync.Mutex // guards m
	m  map[string]*topic
}

// topic is one stream. Its mutex is held while it is written to, so that batches of two relays do not mix.
type topic struct {
	key     topicKey
	stream  jetstream.Stream
	subject string

	mu    sync.Mutex
	marks map[string]bool // of the newest messages; nil: not known
}

func newTopics(conn *nats.Conn, maxBytes int64) (*topics, error) {
	js, err := jetstream.New(conn)
	return &topics{conn: conn, js: js, maxBytes: maxBytes, m: map[string]*topic{}}, err
}

func streamName(t iot.TenantID, name string) string { return streamPrefix + string(t) + "-" + name }

// get opens the stream of a topic, which is made if it is not there.
func (s *topics) get(ctx context.Context, t iot.TenantID, name string) (*topic, error) {
	key := streamName(t, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.m[key]; x != nil {
		return x, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	x := &topic{key: topicKey{Tenant: t, Topic: name}, subject: "n2." + string(t) + "." + name}
	stream, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: key, Subjects: []string{x.subject}, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardOld, MaxAge: keepFor, MaxBytes: s.maxBytes, Storage: jetstream.FileStorage, AllowAtomicPublish: true, AllowDirect: true})
	if err != nil {
		return nil, fmt.Errorf("stream of a topic: %w", err)
	}
	x.stream = stream
	s.m[key] = x
	return x, nil
}

// post appends letters in their order and returns how many were written. When it returns without an error, they are on the disk.
func (s *topics) post(ctx context.Context, t iot.TenantID, name string, letters []letter, again bool) (n int, err error) {
	x, err := s.get(ctx, t, name)
	if err != nil {
		return 0, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	defer func() {
		if err != nil { // it may have been written although nobody said so
			x.marks = nil
		}
		if errors.Is(err, nats.ErrNoResponders) { // another node removed it: it is made again
			s.forget(t, name)
		}
	}()
	if again {
		if err := x.look(ctx); err != nil {
			return 0, err
		}
	}
	var batch []*nats.Msg
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := s.write(ctx, batch)
		if err == nil {
			n += len(batch)
			x.remember(batch)
		}
		batch, size = nil, 0
		return err
	}
	for i := range letters {
		l := &letters[i]
		if again && x.marks[l.mark] {
			continue
		}
		m := &nats.Msg{Subject: x.subject, Header: nats.Header{markHeader: {l.mark}}, Data: l.n.encode()}
		batch = append(batch, m)
		if size += len(m.Data); len(batch) == atOnce || size > atOnceBytes {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

// write puts messages into their stream, all or none.
func (s *topics) write(ctx context.Context, batch []*nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	id := rand.Text()
	for i, m := range batch {
		last := i == len(batch)-1
		if len(batch) > 1 {
			m.Header.Set("Nats-Batch-Id", id)
			m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
			if last {
				m.Header.Set("Nats-Batch-Commit", "1")
			}
		}
		if !last {
			if err := s.conn.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		reply, err := s.conn.RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		var ack struct {
			Error *jetstream.APIError `json:"error"`
			Seq   uint64              `json:"seq"`
		}
		if err := json.Unmarshal(reply.Data, &ack); err != nil {
			return err
		}
		if ack.Error != nil {
			return ack.Error
		}
		if ack.Seq == 0 {
			return errors.New("a stream did not say that it has a message")
		}
	}
	return nil
}

// read returns the messages from a number on that are there: at most count, and as many as fit into size bytes, but at least one. It makes no consumer of the
// server: their number is limited, and they cost disk and time.
func (s *topics) read(ctx context.Context, t iot.TenantID, name string, from uint64, count int, size int64) ([]*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	ask, err := json.Marshal(map[string]any{"seq": from, "batch": count, "max_bytes": size})
	if err != nil {
		return nil, err
	}
	inbox := s.conn.NewInbox()
	sub, err := s.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.conn.PublishRequest("$JS.API.DIRECT.GET."+streamName(t, name), inbox, ask); err != nil {
		return nil, err
	}
	var out []*nats.Msg
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch status := m.Header.Get("Status"); {
		case len(m.Data) > 0 && status == "":
			out = append(out, m)
		case status == "204" || status == "404": // no more
			return out, nil
		default:
			return nil, fmt.Errorf("a stream answers %s %s", status, m.Header.Get("Description"))
		}
	}
}

// remember keeps the marks complete while they are of use.
func (x *topic) remember(batch []*nats.Msg) {
	if len(x.marks) > 3*lookBack {
		x.marks = nil
	}
	if x.marks == nil {
		return
	}
	for _, m := range batch {
		x.marks[m.Header.Get(markHeader)] = true
	}
}

// look reads the marks of the newest messages.
func (x *topic) look(ctx context.Context) error {
	if x.marks != nil {
		return nil
	}
	info, err := x.stream.Info(ctx)
	if err != nil {
		return err
	}
	marks := map[string]bool{}
	for seq := info.State.LastSeq; seq >= max(info.State.FirstSeq, 1) && len(marks) < lookBack; seq-- {
		m, err := x.stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		marks[m.Header.Get(markHeader)] = true
	}
	x.marks = marks
	return nil
}

// clear removes the messages up to a number, but for the newest.
func (s *topics) clear(ctx context.Context, t iot.TenantID, name string, upTo uint64) (last uint64, created int64, err error) {
	x, err := s.get(ctx, t, name)
	if err != nil {
		return 0, 0, err
	}
	info, err := x.stream.Info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) { // another node removed it: the next sweep makes it again
		s.forget(t, name)
	}
	if err != nil {
		return 0, 0, err
	}
	if last = info.State.LastSeq; last > lookBack {
		if upTo = min(upTo, last-lookBack); upTo > info.State.FirstSeq {
			err = x.stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1))
		}
	}
	return last, info.Created.UnixNano(), err
}

// forget makes the next who needs a topic look for its stream.
func (s *topics) forget(t iot.TenantID, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, streamName(t, name))
}

// open returns the topics that were used since the start.
func (s *topics) open() (out []topicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.m {
		out = append(out, x.key)
	}
	return out
}

// remove deletes a topic with all that is in it.
func (s *topics) remove(ctx context.Context, t iot.TenantID, name string) error {
	key := streamName(t, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, key)
	err := s.js.DeleteStream(ctx, key)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

func (s *topics) erase(ctx context.Context, t iot.TenantID) (n int64, err error) {
	var names []string
	list := s.js.StreamNames(ctx)
	for key := range list.Name() {
		rest, ok := strings.CutPrefix(key, streamPrefix+string(t)+"-")
		if ok && Word(rest) {
			names = append(names, rest)
		}
	}
	if err := list.Err(); err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := s.remove(ctx, t, name); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
