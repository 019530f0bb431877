package mqtt

import (
	"context"
	"sync"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// commitBatch bounds how many jobs share one commit. At 16 KiB per message it is 16 MiB of memory in one batch.
const commitBatch = 1024

// job is one unit of work for the session store. then (may be nil) is called when it is committed, in order of submission.
type job struct {
	ops     []session.Op
	targets []target
	msg     *Message
	durable bool
	then    func(error)
}

// target is a persistent session that must get the job's message. d is set when the session admitted it.
type target struct {
	s *sess
	d *delivery
}

// commitLog writes jobs to the store in order, as many per commit as have gathered. Its queue needs no own bound: who
// submits waits for the answer or is bounded by publishes in progress, acknowledgements and the size of queues.
type commitLog struct {
	realm *realm

	mu      sync.Mutex // Guards the fields below.
	jobs    []*job
	running bool
}

func (r *realm) submit(j *job) {
	l := &r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = append(l.jobs, j)
	if !l.running {
		l.running = true
		go l.run()
	}
}

func (r *realm) submitWait(ops []session.Op, durable bool) error {
	done := make(chan error, 1)
	r.submit(&job{ops: ops, durable: durable, then: func(err error) { done <- err }})
	return <-done
}

func (l *commitLog) run() {
	for {
		l.mu.Lock()
		n := min(len(l.jobs), commitBatch)
		jobs := l.jobs[:n:n]
		l.jobs = l.jobs[n:]
		if n == 0 {
			l.jobs, l.running = nil, false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.commit(jobs)
	}
}

func (l *commitLog) commit(jobs []*job) {
	srv := l.realm.srv
	var ops []session.Op
	durable := false
	for _, j := range jobs {
		durable = durable || j.durable
		ops = append(ops, j.ops...)
		for i := range j.targets {
			ops = j.targets[i].admit(ops)
		}
	}
	err := l.write(ops, durable)
	for _, j := range jobs {
		for _, t := range j.targets {
			if t.d == nil {
				continue
			}
			t.s.committedEntry(t.d, err == nil)
			if err != nil {
				srv.met.drop(dropStore)
			}
		}
		if j.then != nil {
			srv.guard("commit callback", func() { j.then(err) })
		}
	}
}

func (l *commitLog) write(ops []session.Op, durable bool) error {
	if len(ops) == 0 && !durable {
		return nil
	}
	srv := l.realm.srv
	err := errStorePanic
	srv.guard("session store", func() {
		err = srv.cfg.Store.Commit(context.Background(), l.realm.name, ops, durable)
	})
	srv.met.commits.Inc()
	if err != nil {
		srv.cfg.Log.Error("session store commit", "err", err, "ops", len(ops))
	}
	return err
}

// admit asks the session whether it takes the message and appends the operation.
func (t *target) admit(ops []session.Op) []session.Op {
	if !t.s.admit(t.d) {
		t.d = nil
		return ops
	}
	return append(ops, session.Op{Kind: session.Enqueue, ClientID: t.s.id, Entry: &session.Entry{
		Seq: t.d.seq, QoS: t.d.qos, Retain: t.d.retain, SubscriptionIDs: t.d.ids, Message: t.d.msg,
	}})
}
