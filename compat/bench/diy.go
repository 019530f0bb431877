package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
)

const mosquittoConf = `
listener %s 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 1000000
max_queued_bytes 0
persistence true
persistence_location %s/
log_type error
`

// startMosquitto starts Mosquitto without its limits on messages in flight and with a queue of a million.
func startMosquitto(dir string) (*system, error) {
	bin, err := installed("mosquitto")
	if err != nil {
		return nil, err
	}
	s := &system{mqtt: freePort(), login: loadgen.Login{ClientID: "bench-"}, message: lineMessage}
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := writeFile(conf, fmt.Sprintf("user root\n"+mosquittoConf, portOf(s.mqtt), dir)); err != nil {
		return nil, err
	}
	return s, s.add(exec.Command(bin, "-c", conf), func() bool { return listening(s.mqtt) })
}

// influxConf leaves out what a busy InfluxDB is told to leave out: logs of requests and queries, its own statistics, and news to its maker.
const influxConf = `
reporting-disabled = true
bind-address = "%[2]s"
[meta]
  dir = "%[1]s/meta"
[data]
  dir = "%[1]s/data"
  wal-dir = "%[1]s/wal"
  query-log-enabled = false
  max-series-per-database = 0
  max-values-per-tag = 0
[coordinator]
  write-timeout = "60s"
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[logging]
  level = "error"
  suppress-logo = true
[http]
  bind-address = "%[3]s"
  log-enabled = false
  max-body-size = 0
`

func (s *system) addInflux(dir string) (addr string, err error) {
	bin, err := installed("influxd")
	if err != nil {
		return "", err
	}
	addr = freePort()
	conf := filepath.Join(dir, "influxdb.conf")
	if err := writeFile(conf, fmt.Sprintf(influxConf, dir, freePort(), addr)); err != nil {
		return "", err
	}
	if err := s.add(exec.Command(bin, "-config", conf), func() bool { return listening(addr) }); err != nil {
		return "", err
	}
	r, err := http.PostForm("http://"+addr+"/query", url.Values{"q": {"CREATE DATABASE bench"}})
	if err != nil {
		return "", err
	}
	return addr, r.Body.Close()
}

// lineMessage is one value as a device sends it that knows what the store wants: InfluxDB's line protocol with a time of its own.
func lineMessage(conn, n int) (topic, payload string) {
	return fmt.Sprintf("bench/%04d", conn), fmt.Sprintf("T,d=%04d v=%02d.%d %s", conn, 20+n%10, n%7, loadgen.Nanos)
}

// jsonMessage is the same as JSON; the topic says who sends it.
func jsonMessage(conn, n int) (topic, payload string) {
	return fmt.Sprintf("bench/%04d", conn), fmt.Sprintf(`{"T":%02d.%d,"time":%s}`, 20+n%10, n%7, loadgen.Nanos)
}

// telegrafConf are the settings of the tuned stack: a persistent session, writes of 5,000 messages or every 200 ms, 50,000 messages taken from
// the broker and not yet written.
const telegrafConf = `
[agent]
  interval = "1s"
  flush_interval = "200ms"
  flush_jitter = "0s"
  metric_batch_size = 5000
  metric_buffer_limit = 200000
  omit_hostname = true
  quiet = true
[[outputs.influxdb]]
  urls = ["http://%[2]s"]
  database = "bench"
  skip_database_creation = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://%[1]s"]
  topics = ["bench/#"]
  topic_tag = ""
  qos = 1
  client_id = "telegraf"
  persistent_session = true
  max_undelivered_messages = 50000
  data_format = "influx"
`

// startEnds starts Mosquitto and InfluxDB, with nothing between them yet.
func startEnds(dir string) (s *system, influx string, err error) {
	if s, err = startMosquitto(dir); err != nil {
		return nil, "", err
	}
	if influx, err = s.addInflux(dir); err != nil {
		s.stop()
		return nil, "", err
	}
	return s, influx, nil
}

// startDIY starts Mosquitto, InfluxDB and Telegraf between them, which has subscribed when it returns.
func startDIY(_ *options, dir string) (*system, error) {
	bin, err := installed("telegraf")
	if err != nil {
		return nil, err
	}
	s, influx, err := startEnds(dir)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "telegraf.conf")
	if err := writeFile(conf, fmt.Sprintf(telegrafConf, s.mqtt, influx)); err != nil {
		s.stop()
		return nil, err
	}
	s.queries(influx, "line")
	if err := s.add(exec.Command(bin, "--config", conf), func() bool { return sees(s.mqtt, influx, "ready", time.Second/2) }); err != nil {
		return nil, err
	}
	if !sees(s.mqtt, influx, "last", 30*time.Second) { // whatever asked whether it is ready has gone through when this has
		s.stop()
		return nil, errors.New("Telegraf passes nothing on")
	}
	base, err := pointsWritten(influx)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.written = func() (int, error) {
		n, err := pointsWritten(influx)
		return n - base, err
	}
	return s, nil
}

// sees publishes a message and reports whether one like it has come through to InfluxDB within a time.
func sees(mqtt, influx, name string, within time.Duration) bool {
	c, err := loadgen.Dial(mqtt, loadgen.Login{ClientID: "bench-" + name})
	if err != nil {
		return false
	}
	defer c.Close()
	if c.Publish("bench/"+name, name+" v=1") != nil {
		return false
	}
	for began := time.Now(); time.Since(began) < within; {
		if n, err := countOf(influx, name); err == nil && n > 0 {
			return true
		}
		time.Sleep(5 * time.Millisecond) // a poll
	}
	return false
}

// pointsWritten is InfluxDB's own counter, which costs it less than a query.
func pointsWritten(influx string) (int, error) {
	r, err := http.Get("http://" + influx + "/debug/vars")
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	var vars map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&vars); err != nil {
		return 0, err
	}
	for name, raw := range vars {
		var v struct{ Values struct{ PointsWrittenOK int } }
		if strings.HasPrefix(name, "httpd:") && json.Unmarshal(raw, &v) == nil {
			return v.Values.PointsWrittenOK, nil
		}
	}
	return 0, errors.New("InfluxDB does not count points")
}

// startLean is startDIY with our forwarder in the place of Telegraf.
func startLean(o *options, dir string) (*system, error) {
	s, influx, err := startEnds(dir)
	if err != nil {
		return nil, err
	}
	counter := freePort()
	err = s.add(exec.Command(os.Args[0], "-forward", strings.Join([]string{s.mqtt, influx, counter}, ","), "-diy", o.diy,
		"-forwarder-batch", strconv.Itoa(o.forwarderBatch), "-forwarder-every", o.forwarderEvery.String()), func() bool { return listening(counter) })
	if err != nil {
		return nil, err
	}
	if o.diy == "json" {
		s.message = jsonMessage
	}
	s.queries(influx, o.diy)
	s.written = func() (int, error) { return fetchCount(counter) }
	return s, nil
}

// queries asks InfluxDB for what devices sent in a format.
func (s *system) queries(influx, format string) {
	s.query = influx
	s.stored = func() (int, error) { return influxCount(influx) }
	s.probe = func(n int) (string, string, []byte, func(int, []byte) bool) {
		at := time.Now().UnixNano()
		payload := fmt.Sprintf("probe,d=%d v=1 %d", n, at)
		if format == "json" {
			payload = fmt.Sprintf(`{"T":1,"time":%d}`, at)
		}
		from := map[string]string{"json": fmt.Sprintf("T WHERE d='p%d'", n), "line": fmt.Sprintf("probe WHERE d='%d'", n)}[format]
		q := "/query?db=bench&q=" + url.QueryEscape("SELECT v FROM "+from)
		return fmt.Sprintf("bench/p%d", n), payload, loadgen.Request("GET", influx, q, nil),
			func(status int, body []byte) bool {
				return status == http.StatusOK && strings.Contains(string(body), `"values"`)
			}
	}
}

func fetchCount(addr string) (int, error) {
	r, err := http.Get("http://" + addr)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	var n int
	_, err = fmt.Fscan(r.Body, &n)
	return n, err
}

func influxCount(addr string) (int, error) { return countOf(addr, "T") }

func countOf(addr, measurement string) (int, error) {
	r, err := http.Get("http://" + addr + "/query?db=bench&q=" + url.QueryEscape("SELECT count(v) FROM "+measurement))
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	var v struct {
		Results []struct {
			Series []struct{ Values [][]any }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		return 0, err
	}
	if len(v.Results) == 0 || len(v.Results[0].Series) == 0 {
		return 0, nil // nothing is written yet
	}
	n, _ := v.Results[0].Series[0].Values[0][1].(float64)
	return int(n), nil
}
