package exchange

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

const (
	// window is how many messages of one connection may wait for their acknowledgement.
	window = 1000
	// maxDone bounds what a consumer may acknowledge after a message that it does not acknowledge.
	maxDone = 5 * window
	// maxVolatile bounds what waits for a consumer of a topic that lives in memory; beyond it the oldest go, which is counted.
	maxVolatile = 10_000
	// maxTopics bounds the persistent topics of a tenant that have consumers, each of which is a stream.
	maxTopics = 1000
	// maxConsumers bounds the consumers of a persistent topic, connected or not.
	maxConsumers = 1000
	// maxMembers bounds the connections of a shared consumer.
	maxMembers = 100
	// pollEvery is how often a stream is read although nobody said that it has more: another node's word may be lost.
	pollEvery = 15 * time.Second
	// readTries is how often a stream is read again after a failure, waiting a tenth of a second first, and each time twice as long.
	readTries = 6
	// maxHubs bounds the consumers that have connections.
	maxHubs = 10_000
)

// hubKey names a consumer.
type hubKey struct {
	Tenant     iot.TenantID
	Topic      string
	Subscriber string
	Volatile   bool
}

// topicKey names a topic.
type topicKey struct {
	Tenant   iot.TenantID
	Topic    string
	Volatile bool
}

func (k hubKey) topic() topicKey { return topicKey{k.Tenant, k.Topic, k.Volatile} }

// hubs are the consumers that have connections.
type hubs struct {
	x      *Exchange
	mu     sync.Mutex // guards the following
	m      map[hubKey]*hub
	of     map[topicKey]map[*hub]bool
	closed bool
}

func (s *hubs) addLocked(h *hub) {
	s.m[h.key] = h
	k := h.key.topic()
	if s.of[k] == nil {
		s.of[k] = map[*hub]bool{}
	}
	s.of[k][h] = true
}

func (s *hubs) remove(h *hub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, h.key)
	k := h.key.topic()
	if delete(s.of[k], h); len(s.of[k]) == 0 {
		delete(s.of, k)
	}
}

// written tells the consumers of a persistent topic that it has more.
func (s *hubs) written(t iot.TenantID, topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.of[topicKey{t, topic, false}] {
		h.wake()
	}
}

// any reports whether somebody is connected to a topic that lives in memory.
func (s *hubs) any(t iot.TenantID, topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.of[topicKey{t, topic, true}]) > 0
}

func (s *hubs) push(t iot.TenantID, l letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.of[topicKey{t, l.topic, true}] {
		h.push(l.n)
	}
}

// end ends a consumer's connections. forget: its place is of no use any more.
func (s *hubs) end(k hubKey, forget bool) {
	s.mu.Lock()
	h := s.m[k]
	s.mu.Unlock()
	if h != nil {
		h.close(forget)
		<-h.done
	}
}

func (s *hubs) endTenant(t iot.TenantID, forget bool) {
	for _, k := range s.keys() {
		if k.Tenant == t {
			s.end(k, forget)
		}
	}
}

func (s *hubs) tenants() (out []iot.TenantID) {
	for _, k := range s.keys() {
		if !slices.Contains(out, k.Tenant) {
			out = append(out, k.Tenant)
		}
	}
	return out
}

// has reports whether somebody of a tenant is connected.
func (s *hubs) has(t iot.TenantID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.of {
		if k.Tenant == t {
			return true
		}
	}
	return false
}

func (s *hubs) keys() (out []hubKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.m {
		out = append(out, k)
	}
	return out
}

func (s *hubs) close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*hub, 0, len(s.m))
	for _, h := range s.m {
		all = append(all, h)
	}
	s.mu.Unlock()
	for _, h := range all {
		h.close(false)
		<-h.done
	}
}

// hub is a consumer while it has connections: it hands the messages of the topic to them, and keeps its place.
type hub struct {
	x      *Exchange
	key    hubKey
	shared bool
	ctx    context.Context // ends when it closes
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing of it runs any more
	work   sync.WaitGroup
	more   chan struct{} // there may be more to read, or room for it

	mu      sync.Mutex // guards the following
	cond    *sync.Cond // of all changes
	members []*Consumer
	queue   []Notification          // next in line, ascending: what came back from connections that ended, or what is new in memory
	fresh   []Notification          // read from the stream, not handed out yet
	ahead   int64                   // bytes of fresh
	held    int64                   // bytes of all that is here, which the pool counts too
	stalled bool                    // the clock runs against a consumer that stands still
	why     error                   // of the end, if it is the consumer's own doing
	waiting map[uint64]*Consumer    // handed out, not acknowledged
	holders map[iot.ID]*holder      // of sources with messages that wait
	sources map[uint64]Notification // of what waits
	place   Place
	read    uint64 // all up to this was read
	numbers uint64 // in memory: of the last message
	change  uint64 // counts changes of place
	saved   uint64 // the last change that is stored
	closed  bool
	forget  bool // unsubscribed: the place is of no use
}

// holder is the connection that a source belongs to for now.
type holder struct {
	c *Consumer
	n int
}

// Consumer is one connection of a consumer. It is safe for concurrent use.
type Consumer struct {
	h     *hub
	name  string
	queue []Notification // guarded by h.mu
	n     int            // handed out, not acknowledged; guarded by h.mu
	bytes int64          // of these; guarded by h.mu
	gone  bool           // guarded by h.mu
	wake  chan struct{}
	ended chan struct{}
}

// join adds a connection.
func (s *hubs) join(ctx context.Context, k hubKey, shared bool, name string) (*Consumer, error) {
	const op = fault.Op("exchange.Attach")
	for {
		s.mu.Lock()
		h := s.m[k]
		switch {
		case s.closed:
			s.mu.Unlock()
			return nil, fault.E(op, fault.Unavailable, "the platform is stopping")
		case h == nil && len(s.m) >= maxHubs:
			s.mu.Unlock()
			return nil, fault.E(op, fault.Exhausted, "too many consumers are connected")
		case h == nil:
			h = &hub{x: s.x, key: k, shared: shared, done: make(chan struct{}), more: make(chan struct{}, 1), waiting: map[uint64]*Consumer{}, sources: map[uint64]Notification{}, holders: map[iot.ID]*holder{}}
			h.cond = sync.NewCond(&h.mu)
			h.ctx, h.cancel = context.WithCancel(s.x.ctx)
			s.addLocked(h)
			s.mu.Unlock()
			c := h.add(name)
			err := h.start(ctx)
			if err != nil {
				h.close(false)
			}
			go h.finish()
			if err != nil {
				return nil, err
			}
			return c, nil
		}
		s.mu.Unlock()
		c, ended, err := h.admit(shared, name)
		if !ended {
			return c, err
		}
		select {
		case <-h.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// admit adds a connection to a running hub. ended means that the hub is about to end, and a new one is needed.
func (h *hub) admit(shared bool, name string) (c *Consumer, ended bool, err error) {
	const op = fault.Op("exchange.Attach")
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, true, nil
	case !shared || !h.shared:
		return nil, false, fault.E(op, fault.Exists, "the consumer is connected already and is not shared")
	case len(h.members) >= maxMembers:
		return nil, false, fault.Errorf(op, fault.Exhausted, "a shared consumer has at most %d connections", maxMembers)
	}
	return h.addLocked(name), false, nil
}

func (h *hub) add(name string) *Consumer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.addLocked(name)
}

func (h *hub) addLocked(name string) *Consumer {
	c := &Consumer{h: h, name: name, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	h.members = append(h.members, c)
	h.cond.Broadcast()
	return c
}

// start finds the place of the consumer and begins to work.
func (h *hub) start(ctx context.Context) error {
	x, k := h.x, h.key
	if k.Volatile {
		h.work.Go(h.hand)
		return x.connected(k.Tenant, k.Topic)
	}
	p, info, err := x.place(ctx, k)
	if err != nil {
		return err
	}
	if err := x.changed(ctx, k.Tenant, change{Topic: k.Topic}); err != nil {
		return err
	}
	if created := info.Created.UnixNano(); p.Stream != created { // all that was in another one is gone
		p = Place{Topic: k.Topic, Subscriber: k.Subscriber, Stream: created}
	}
	if first := info.State.FirstSeq; first > p.Floor+1 {
		x.metrics.expired.Add(float64(first - p.Floor - 1))
		p.Floor = first - 1
		p.Done = slices.DeleteFunc(p.Done, func(seq uint64) bool { return seq <= p.Floor })
	}
	h.place, h.read = p, p.Floor
	h.work.Go(h.fetch)
	h.work.Go(h.hand)
	h.work.Go(h.save)
	return nil
}

// place finds the place of a consumer in its topic, or makes it, unless the tenant has too many.
func (x *Exchange) place(ctx context.Context, k hubKey) (p Place, info *jetstream.StreamInfo, err error) {
	defer x.joining.lock(k.Tenant, k.Topic)()
	n, known, err := x.d.Store.Consumers(ctx, k.Tenant, k.Topic, k.Subscriber)
	if err != nil {
		return p, nil, err
	}
	if n == 0 {
		x.beginning.Lock()
		defer x.beginning.Unlock()
	}
	if !known {
		if err := x.admissible(ctx, k, n); err != nil {
			return p, nil, err
		}
	}
	for again := false; ; again = true {
		t, err := x.topics.get(ctx, k.Tenant, k.Topic)
		if err != nil {
			return p, nil, err
		}
		info, err = t.stream.Info(ctx)
		if errors.Is(err, jetstream.ErrStreamNotFound) && !again { // another node removed it
			x.topics.forget(k.Tenant, k.Topic)
			continue
		}
		if err != nil {
			return p, nil, err
		}
		p, err = x.d.Store.Join(ctx, k.Tenant, Place{Topic: k.Topic, Subscriber: k.Subscriber, Stream: info.Created.UnixNano(), Floor: info.State.LastSeq})
		return p, info, err
	}
}

// admissible refuses a new consumer of a topic with n others, if those are too many, or the topics of the tenant are.
func (x *Exchange) admissible(ctx context.Context, k hubKey, n int) error {
	const op = fault.Op("exchange.Attach")
	if n >= maxConsumers {
		return fault.Errorf(op, fault.Full, "a topic has at most %d consumers", maxConsumers)
	}
	if n > 0 {
		return nil
	}
	topics, err := x.d.Store.Topics(ctx, k.Tenant)
	if err == nil && topics >= maxTopics {
		return fault.Errorf(op, fault.Full, "consumers of a tenant have at most %d topics", maxTopics)
	}
	return err
}

// locks are for topics. Two topics may have the same.
type locks [64]sync.Mutex

// lock waits for the lock of a topic and returns what gives it back.
func (l *locks) lock(t iot.TenantID, topic string) (unlock func()) {
	f := fnv.New32a()
	_, _ = f.Write([]byte(string(t) + "\x00" + topic))
	m := &l[f.Sum32()%uint32(len(l))]
	m.Lock()
	return m.Unlock
}

// finish waits until nothing runs any more.
func (h *hub) finish() {
	<-h.ctx.Done()
	h.mu.Lock()
	h.closeLocked()
	h.mu.Unlock()
	h.work.Wait()
	h.x.hubs.remove(h)
	h.drop()
	if h.key.Volatile && h.x.ctx.Err() == nil {
		if err := h.x.connected(h.key.Tenant, h.key.Topic); err != nil {
			h.x.log.Warn("subscriptions of a tenant", "tenant", h.key.Tenant, "err", err)
		}
	}
	close(h.done)
}

func (h *hub) close(forget bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget = h.forget || forget
	h.closeLocked()
}

func (h *hub) closeLocked() {
	if h.closed {
		return
	}
	h.closed = true
	h.cancel()
	for _, c := range h.members {
		c.gone = true
		close(c.ended)
	}
	h.members = nil
	h.cond.Broadcast()
}

// drop gives back what the hub held, when nothing of it runs any more.
func (h *hub) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.x.pool.forget(h)
	h.x.pool.give(h.held)
	h.held, h.ahead, h.queue, h.fresh = 0, 0, nil, nil
	clear(h.waiting)
	clear(h.sources)
}

// wake makes the reader look again.
func (h *hub) wake() {
	select {
	case h.more <- struct{}{}:
	default:
	}
}

// fetch reads the stream, a bounded part ahead.
func (h *hub) fetch() {
	failed := 0
	for h.ctx.Err() == nil {
		n, err := h.fetchSome()
		wait := pollEvery
		switch {
		case h.ctx.Err() != nil:
			return
		case err != nil && failed == readTries: // clients come again
			h.x.log.Warn("a topic cannot be read", "tenant", h.key.Tenant, "topic", h.key.Topic, "err", err)
			h.close(false)
			return
		case err != nil:
			wait = retryFirst << failed
			failed++
		case n > 0:
			failed = 0
			continue
		default:
			failed = 0
		}
		select {
		case <-h.ctx.Done():
		case <-h.more:
		case <-time.After(wait):
		}
	}
}

// fetchSome reads what there is room for, and returns how many messages came.
func (h *hub) fetchSome() (int, error) {
	h.mu.Lock()
	count, room := h.room()
	from := h.read + 1
	h.mu.Unlock()
	if count == 0 {
		return 0, nil
	}
	defer h.x.pool.give(room)
	msgs, err := h.x.topics.read(h.ctx, h.key.Tenant, h.key.Topic, from, count, room)
	if err != nil {
		return 0, err
	}
	for _, m := range msgs {
		seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("a message without a number: %w", err)
		}
		n, err := decodeNotification(seq, m.Data)
		if err != nil {
			h.x.log.Error("decode a notification", "tenant", h.key.Tenant, "err", err)
		}
		h.took(n, err != nil)
	}
	return len(msgs), nil
}

// room takes from the pool what may be read now: a number of messages, and of bytes. None: not now, the reader is woken.
func (h *hub) room() (count int, bytes int64) {
	if h.closed || len(h.fresh) >= window || h.ahead >= aheadBytes {
		return 0, 0
	}
	count, bytes = window-len(h.fresh), aheadBytes-h.ahead
	switch {
	case h.x.pool.take(h, bytes):
	case h.held < ownBytes:
		bytes = ownBytes - h.held
		h.x.pool.force(bytes)
	default:
		return 0, 0
	}
	return count, bytes
}

// took puts a message from the stream in line, unless it is done with.
func (h *hub) took(n Notification, broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || n.ID <= h.read {
		return
	}
	if h.read == h.place.Floor && n.ID > h.read+1 { // what lies between is not there any more
		h.place.Floor = n.ID - 1
	}
	for seq := h.read + 1; seq < n.ID && seq > h.place.Floor; seq++ {
		h.finished(seq)
	}
	h.read = n.ID
	switch {
	case broken:
		h.finished(n.ID)
	default:
		// The floor may have gone over it since: an acknowledgement closed the gap while this was on its way.
		if _, done := slices.BinarySearch(h.place.Done, n.ID); !done && n.ID > h.place.Floor {
			h.x.pool.force(n.size())
			h.keep(n)
		}
	}
	h.advance()
	h.cond.Broadcast()
}

// keep puts a message, which the pool has counted, behind the others.
func (h *hub) keep(n Notification) {
	h.fresh = append(h.fresh, n)
	h.ahead += n.size()
	h.held += n.size()
}

// first takes the first message of a line. What it was in is not kept alive by the rest of the line.
func (h *hub) first(line *[]Notification) Notification {
	n := (*line)[0]
	(*line)[0] = Notification{}
	if *line = (*line)[1:]; line == &h.fresh {
		h.ahead -= n.size()
	}
	return n
}

// free gives back what a message took.
func (h *hub) free(n *Notification) {
	h.held -= n.size()
	h.x.pool.give(n.size())
}

// push puts a message of a topic in memory in line.
func (h *hub) push(n Notification) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	for len(h.fresh) >= maxVolatile || h.ahead+n.size() > volatileBytes && len(h.fresh) > 0 {
		h.dropFirst()
	}
	for !h.x.pool.take(h, n.size()) {
		if h.held < ownBytes {
			h.x.pool.force(n.size())
			break
		}
		if len(h.fresh) == 0 { // all is with connections that do not acknowledge it
			h.x.metrics.dropped.Inc()
			return
		}
		h.dropFirst()
	}
	h.numbers++
	n.ID = h.numbers
	h.keep(n)
	h.cond.Broadcast()
}

func (h *hub) dropFirst() {
	n := h.first(&h.fresh)
	h.free(&n)
	h.x.metrics.dropped.Inc()
}

// hand gives what is in line to connections, in order. One that is full makes all others wait: a source may belong to it.
func (h *hub) hand() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.closed {
		line := &h.queue
		if len(*line) == 0 {
			line = &h.fresh
		}
		if len(*line) == 0 || len(h.members) == 0 || h.stands((*line)[0].ID) {
			h.cond.Wait()
			continue
		}
		c := h.member((*line)[0].Source)
		if c.n >= window || c.bytes >= inFlightBytes {
			h.cond.Wait()
			continue
		}
		n := h.first(line)
		h.wake()
		if hold := h.holders[n.Source]; hold != nil {
			hold.n++
		} else {
			h.holders[n.Source] = &holder{c, 1}
		}
		h.waiting[n.ID], h.sources[n.ID] = c, n
		c.n++
		c.bytes += n.size()
		c.queue = append(c.queue, n)
		select {
		case c.wake <- struct{}{}:
		default:
		}
		h.cond.Broadcast()
	}
}

// stands reports whether a message must wait because too many are done behind one that is not. Those before the last that is done need not. If nothing changes,
// the consumer is ended with a reason: the next one gets the message once more.
func (h *hub) stands(seq uint64) bool {
	done := h.place.Done
	if len(done) < maxDone || seq < done[len(done)-1] {
		return false
	}
	if !h.stalled {
		h.stalled = true
		floor := h.place.Floor
		time.AfterFunc(h.x.d.Patience, func() { h.impatient(floor) })
	}
	return true
}

// impatient ends a consumer that still waits for the acknowledgement of the message after floor.
func (h *hub) impatient(floor uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = false
	if !h.closed && h.place.Floor == floor && len(h.place.Done) >= maxDone {
		h.why = fault.Errorf(fault.Op("exchange.Next"), fault.Conflict, "a message has no acknowledgement while %d behind it have: it comes again", maxDone)
		h.x.log.Warn("a consumer leaves a message without an acknowledgement", "tenant", h.key.Tenant, "topic", h.key.Topic, "subscriber", h.key.Subscriber)
		h.closeLocked()
	}
	h.cond.Broadcast()
}

// member finds the connection for a source: the one that has messages of it, or else the one that its name and the source choose, so that
// others need not change when one comes or goes.
func (h *hub) member(source iot.ID) *Consumer {
	if hold := h.holders[source]; hold != nil {
		return hold.c
	}
	var best *Consumer
	most := uint64(0)
	for _, c := range h.members {
		f := fnv.New64a()
		_, _ = f.Write([]byte(c.name + "\x00" + source.String()))
		if v := f.Sum64(); best == nil || v > most {
			best, most = c, v
		}
	}
	return best
}

// released takes a message from the connection that has it.
func (h *hub) released(seq uint64) {
	c, n := h.waiting[seq], h.sources[seq]
	delete(h.waiting, seq)
	delete(h.sources, seq)
	c.n--
	c.bytes -= n.size()
	if hold := h.holders[n.Source]; hold != nil {
		if hold.n--; hold.n == 0 {
			delete(h.holders, n.Source)
		}
	}
}

// finished notes that a message is done.
func (h *hub) finished(seq uint64) {
	if i, found := slices.BinarySearch(h.place.Done, seq); !found {
		h.place.Done = slices.Insert(h.place.Done, i, seq)
	}
}

// advance moves the floor over what is done.
func (h *hub) advance() {
	n := 0
	for n < len(h.place.Done) && h.place.Done[n] <= h.place.Floor+1 {
		h.place.Floor = max(h.place.Floor, h.place.Done[n])
		n++
	}
	h.place.Done = h.place.Done[n:]
}

// save stores the place whenever it has changed, until the hub has ended.
func (h *hub) save() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for h.saved == h.change && !h.closed {
			h.cond.Wait()
		}
		if h.saved == h.change || h.forget {
			return
		}
		p, change := h.place, h.change
		p.Done = slices.Clone(p.Done)
		h.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(h.ctx), openTime)
		err := h.x.d.Store.Save(ctx, h.key.Tenant, p)
		cancel()
		h.mu.Lock()
		if err != nil { // the connections end, so that nobody takes an acknowledgement for stored
			h.x.log.Error("the place of a consumer cannot be stored", "tenant", h.key.Tenant, "err", err)
			h.closeLocked()
			return
		}
		h.saved = change
		h.cond.Broadcast()
	}
}

// Next returns what came for the connection, waiting until there is something. It fails when the connection ended on the side of the platform.
func (c *Consumer) Next(ctx context.Context) ([]Notification, error) {
	for {
		c.h.mu.Lock()
		out := c.queue
		c.queue = nil
		gone, why := c.gone, c.h.why
		c.h.mu.Unlock()
		switch {
		case gone && why != nil:
			return nil, why
		case gone:
			return nil, fault.E(fault.Op("exchange.Next"), fault.Unavailable, "the consumer has ended")
		case len(out) > 0:
			c.h.x.metrics.delivered.Add(float64(len(out)))
			return out, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.ended:
		case <-c.wake:
		}
	}
}

// Acknowledge notes that the client is done with messages; those that the connection does not have are ignored. It does not wait; see Flush.
func (c *Consumer) Acknowledge(ids ...uint64) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, seq := range ids {
		if h.waiting[seq] != c {
			continue
		}
		n := h.sources[seq]
		h.released(seq)
		h.free(&n)
		h.finished(seq)
		h.change++
		h.x.metrics.acked.Inc()
	}
	h.advance()
	h.wake()
	h.cond.Broadcast()
}

// Flush waits until all that was acknowledged is stored, so that it is not delivered again.
func (c *Consumer) Flush(ctx context.Context) error {
	h := c.h
	if h.key.Volatile {
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.cond.Broadcast()
	})
	defer stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for want := h.change; h.saved < want && ctx.Err() == nil; {
		if h.closed { // the last save is on its way
			h.mu.Unlock()
			<-h.done
			h.mu.Lock()
			if h.saved < want {
				return fault.E(fault.Op("exchange.Flush"), fault.Unavailable, "the place of the consumer is not stored")
			}
			return nil
		}
		h.cond.Wait()
	}
	return ctx.Err()
}

// Ended is closed when the connection ended on the side of the platform.
func (c *Consumer) Ended() <-chan struct{} { return c.ended }

// Detach ends the connection. What it did not acknowledge goes to others, now or later.
func (c *Consumer) Detach() {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	close(c.ended)
	h.members = slices.DeleteFunc(h.members, func(m *Consumer) bool { return m == c })
	if len(h.members) == 0 {
		h.closeLocked()
		return
	}
	var back []Notification
	for seq, owner := range h.waiting {
		if owner == c {
			back = append(back, h.sources[seq])
		}
	}
	for _, n := range back {
		h.released(n.ID)
	}
	h.queue = append(h.queue, back...)
	slices.SortFunc(h.queue, func(a, b Notification) int { return int(int64(a.ID) - int64(b.ID)) })
	h.cond.Broadcast()
}
