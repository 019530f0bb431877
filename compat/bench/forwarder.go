package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
)

// forwarder is the middle of the do-it-yourself stack: what a careful person builds between a broker and a database, with the settings of a tuned telegraf.
// It has a persistent session with QoS 1 and acknowledges a message when the database has it; it reads on while a write is on its way.
type forwarder struct {
	broker, influx, counter string
	batch                   int           // messages per write
	every                   time.Duration // the longest that a message waits for others
	format                  string        // of payloads: line or json

	mu      sync.Mutex
	lines   []byte
	acks    []byte
	n       int
	full    chan forwardBatch
	written atomic.Int64
}

type forwardBatch struct {
	lines, acks []byte
	n           int
}

// undelivered is how many batches may wait for the database before reading stops.
const undelivered = 10

func runForwarder(f *forwarder) error {
	c, err := loadgen.Dial(f.broker, loadgen.Login{ClientID: "forwarder", Persistent: true})
	if err != nil {
		return err
	}
	if err := c.Subscribe("bench/#"); err != nil {
		return err
	}
	f.full = make(chan forwardBatch, undelivered)
	failed := make(chan error, 4)
	go func() { failed <- f.write(c) }()
	go f.tick()
	go func() {
		failed <- c.Messages(func(topic, payload []byte, id uint16) { f.take(topic, payload, id, failed) })
	}()
	l, err := net.Listen("tcp", f.counter)
	if err != nil {
		return err
	}
	go func() {
		failed <- http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, f.written.Load()) }))
	}()
	return <-failed
}

// take adds a message to the batch.
func (f *forwarder) take(topic, payload []byte, id uint16, failed chan<- error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if f.format == "json" {
		f.lines, err = appendJSON(f.lines, topic, payload)
	} else {
		f.lines, err = appendLine(f.lines, payload)
	}
	if err != nil {
		failed <- err
		return
	}
	f.acks = loadgen.AppendAck(f.acks, id)
	if f.n++; f.n >= f.batch {
		f.flush()
	}
}

// appendLine passes a line on after a look at its form: series, fields, time.
func appendLine(b, payload []byte) ([]byte, error) {
	if bytes.Count(payload, []byte(" ")) != 2 || bytes.IndexByte(payload, '\n') >= 0 {
		return b, fmt.Errorf("not a line: %q", payload)
	}
	return append(append(b, payload...), '\n'), nil
}

// appendJSON makes a line of {"T":21.5,"time":1764348465123456789}.
func appendJSON(b, topic, payload []byte) ([]byte, error) {
	var v struct {
		T    float64 `json:"T"`
		Time int64   `json:"time"`
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return b, err
	}
	b = append(append(b, "T,d="...), topic[bytes.LastIndexByte(topic, '/')+1:]...)
	b = strconv.AppendFloat(append(b, " v="...), v.T, 'g', -1, 64)
	return append(strconv.AppendInt(append(b, ' '), v.Time, 10), '\n'), nil
}

// flush hands the batch over and waits if too many wait already. f.mu is held, so that reading waits as well.
func (f *forwarder) flush() {
	if f.n == 0 {
		return
	}
	f.full <- forwardBatch{f.lines, f.acks, f.n}
	f.lines, f.acks, f.n = make([]byte, 0, len(f.lines)+len(f.lines)/8), make([]byte, 0, len(f.acks)), 0
}

func (f *forwarder) tick() {
	for range time.Tick(f.every) {
		f.mu.Lock()
		f.flush()
		f.mu.Unlock()
	}
}

// write writes batches one after the other and acknowledges them.
func (f *forwarder) write(c *loadgen.Conn) error {
	for b := range f.full {
		r, err := http.Post("http://"+f.influx+"/write?db=bench&precision=ns", "text/plain", bytes.NewReader(b.lines))
		if err != nil {
			return err
		}
		answer, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusNoContent {
			return fmt.Errorf("InfluxDB answered with %s: %.300s", r.Status, answer)
		}
		if _, err := c.Write(b.acks); err != nil {
			return err
		}
		f.written.Add(int64(b.n))
	}
	return nil
}
