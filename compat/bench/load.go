package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

// result is what one load did.
type result struct {
	acked    int
	took     time.Duration
	cpu      time.Duration
	p50, p99 time.Duration
}

func (r result) perSecond() float64 { return float64(r.acked) / r.took.Seconds() }
func (r result) perCore() float64   { return float64(r.acked) / max(r.cpu.Seconds(), 0.01) }

func measurement(n int) string { return fmt.Sprintf("200,c8y_Temperature,T,%d.%d,C", 20+n%10, n%7) }

func (o options) loadOn(p *process, window int) (result, error) {
	clients := make([]*client, o.conns)
	for i := range clients {
		c, err := dial(p.mqtt, fmt.Sprintf("bench-%03d", i))
		if err != nil {
			return result{}, err
		}
		defer c.conn.Close()
		if _, err := c.flood(1, time.Now().Add(time.Millisecond), measurement); err != nil { // creates the device
			return result{}, err
		}
		clients[i] = c
	}
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	cpu, began := p.cpu(), time.Now()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			took, err := c.flood(window, began.Add(o.load), measurement)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	r := result{acked: len(all), took: time.Since(began), cpu: p.cpu() - cpu}
	r.p50, r.p99 = percentile(all, 0.5), percentile(all, 0.99)
	return r, failed
}

// throughput measures durable QoS 1 measurements: a window of 1 is a device that waits for each acknowledgement, 32 is a gateway.
func (o options) throughput(dir string) error {
	for _, window := range []int{1, 32} {
		server, err := o.startServer(filepath.Join(dir, fmt.Sprint("load", window)))
		if err != nil {
			return err
		}
		ours, err := o.loadOn(server, window)
		server.stop()
		if err != nil {
			return err
		}
		broker, err := startFloor()
		if err != nil {
			return err
		}
		floor, err := o.loadOn(broker, window)
		broker.stop()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("QoS 1, %d connections, window %d: ", o.conns, window)
		const what = "the same frames, nothing stored"
		line(name+"durable/s", ours.perSecond(), floor.perSecond(), "/s", what)
		line(name+"per core", ours.perCore(), floor.perCore(), "/s", what)
		line(name+"ack p50", millis(ours.p50), millis(floor.p50), "ms", what)
		line(name+"ack p99", millis(ours.p99), millis(floor.p99), "ms", what)
	}
	return nil
}

// disk measures what one commit costs here: the floor under every acknowledgement.
func (o options) disk(dir string) error {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return err
	}
	defer f.Close()
	one := publish(1, "s/us", measurement(1))
	for _, n := range []int{1, 100} {
		buf := make([]byte, 0, n*len(one))
		for range n {
			buf = append(buf, one...)
		}
		var took []time.Duration
		for began := time.Now(); time.Since(began) < time.Second; {
			at := time.Now()
			if _, err := f.Write(buf); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
			took = append(took, time.Since(at))
		}
		p50 := percentile(took, 0.5)
		fmt.Printf("%-52s %16s %16s\n", fmt.Sprintf("floor: write+fsync of %d frames, p50", n), "", number(millis(p50))+" ms")
	}
	return nil
}

// visible measures from the start of a publish until REST returns the measurement.
func (o options) visible(dir string) error {
	p, err := o.startServer(filepath.Join(dir, "visible"))
	if err != nil {
		return err
	}
	defer p.stop()
	c, err := dial(p.mqtt, "probe")
	if err != nil {
		return err
	}
	var took, floor []time.Duration
	for n := range o.probes {
		at := time.Now()
		fragment := fmt.Sprint("probe", n)
		if _, err := c.conn.Write(publish(uint16(n+1), "s/us", "200,"+fragment+",x,1")); err != nil {
			return err
		}
		for {
			found, err := o.query(p, fragment)
			if err != nil {
				return err
			}
			if found {
				break
			}
		}
		took = append(took, time.Since(at))
		at = time.Now()
		if _, err := http.Get("http://" + p.http + "/healthz"); err != nil {
			return err
		}
		floor = append(floor, time.Since(at))
	}
	line("publish to visible over REST, p50", millis(percentile(took, 0.5)), millis(percentile(floor, 0.5)), "ms", "one HTTP request")
	line("publish to visible over REST, p99", millis(percentile(took, 0.99)), millis(percentile(floor, 0.99)), "ms", "one HTTP request")
	return nil
}

func (o options) query(p *process, fragment string) (bool, error) {
	r, err := http.NewRequest("GET", "http://"+p.http+"/measurement/measurements?pageSize=1&source=1&revert=true&dateFrom=1970-01-01&valueFragmentType="+url.QueryEscape(fragment), nil)
	if err != nil {
		return false, err
	}
	r.SetBasicAuth("main/admin", password)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	var v struct{ Measurements []json.RawMessage }
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	return len(v.Measurements) > 0, err
}

// idleMemory measures resident memory per connected device that waits for operations.
func (o options) idleMemory(dir string) error {
	measure := func(p *process) (float64, error) {
		defer p.stop()
		before := p.rss()
		for i := range o.idle {
			c, err := dial(p.mqtt, fmt.Sprint("idle-", i))
			if err != nil {
				return 0, err
			}
			defer c.conn.Close()
			if err := c.subscribe("s/ds"); err != nil {
				return 0, err
			}
		}
		return (p.rss() - before) / 1024 / float64(o.idle), nil
	}
	server, err := o.startServer(filepath.Join(dir, "idle"))
	if err != nil {
		return err
	}
	ours, err := measure(server)
	if err != nil {
		return err
	}
	broker, err := startFloor()
	if err != nil {
		return err
	}
	floor, err := measure(broker)
	if err != nil {
		return err
	}
	line(fmt.Sprintf("memory per idle connection (%d)", o.idle), ours, floor, "KiB", "our broker alone")
	return nil
}

// bytesPerPoint measures sealed and compacted measurements: random walks with one decimal, every ten minutes with jitter.
func (o options) bytesPerPoint(dir string) error {
	s, err := seriespebble.Open(filepath.Join(dir, "series"), seriespebble.Options{SealEvery: -1})
	if err != nil {
		return err
	}
	defer s.Close()
	const sources, steps = 1000, 500
	rnd := rand.New(rand.NewPCG(1, 2))
	values := make([]int64, sources)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ctx := context.Background()
	for step := range steps {
		batch := make([]series.Entry, sources)
		for i := range batch {
			values[i] += rnd.Int64N(7) - 3
			batch[i] = series.Entry{Tenant: "main", M: &iot.Measurement{Source: iot.ID(i + 1), Type: "c8y_Temperature", Time: start.Add(time.Duration(step)*10*time.Minute + time.Duration(rnd.Int64N(50))*time.Millisecond),
				Samples: []iot.Sample{{Fragment: "c8y_Temperature", Series: "T", Unit: "C", Value: iot.Number{Mant: 200 + values[i], Scale: 1}}}}}
		}
		if err := s.Append(ctx, batch); err != nil {
			return err
		}
	}
	if _, err := s.Seal(ctx, "", time.Now()); err != nil {
		return err
	}
	if err := s.Compact(ctx); err != nil {
		return err
	}
	line("bytes per point, sealed and compacted", float64(s.TableBytes())/(sources*steps), 16, "B", "8 bytes of time, 8 of value")
	return nil
}
