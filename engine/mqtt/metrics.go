package mqtt

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	connections  prometheus.Gauge
	accepted     prometheus.Counter
	refused      *prometheus.CounterVec // By stage.
	closed       *prometheus.CounterVec // By cause.
	received     prometheus.Counter
	sent         prometheus.Counter
	receivedB    prometheus.Counter
	sentB        prometheus.Counter
	acknowledged prometheus.Counter
	dropped      *prometheus.CounterVec // By reason.
	commits      prometheus.Counter
	panics       prometheus.Counter
}

// Reasons of dropped messages. They are label values: a closed set.
const (
	dropQueueFull   = "queue_full"       // Memory queue of a connection.
	dropOfflineFull = "offline_full"     // Stored queue of a session.
	dropOfflineQoS0 = "offline_qos0"     // QoS 0 is not kept for who is away.
	dropExpired     = "expired"          // Message expiry.
	dropTooLarge    = "too_large"        // Larger than the client's maximum packet size.
	dropRejected    = "rejected_qos0"    // The handler refused, and QoS 0 has no answer.
	dropConnEnd     = "connection_ended" // In memory when the connection ended.
	dropDenied      = "denied"           // The handler does not let the client receive it.
	dropStore       = "store_failed"     // The session store failed; the publisher was told.
)

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_mqtt_" + name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "isobar_mqtt_" + name, Help: help}, []string{label})
	}
	m := &metrics{
		connections:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "isobar_mqtt_connections_count", Help: "Open connections."}),
		accepted:     counter("accepted_connections_total", "Connections that were answered with success."),
		refused:      vec("refused_connections_total", "Connections that ended before CONNACK with success.", "stage"),
		closed:       vec("closed_connections_total", "Accepted connections that ended.", "cause"),
		received:     counter("received_messages_total", "PUBLISH packets received."),
		sent:         counter("sent_messages_total", "PUBLISH packets sent."),
		receivedB:    counter("received_bytes_total", "Bytes received in packets."),
		sentB:        counter("sent_bytes_total", "Bytes sent."),
		acknowledged: counter("acknowledged_messages_total", "PUBACK and PUBREC sent with success."),
		dropped:      vec("dropped_messages_total", "Messages that were not delivered.", "reason"),
		commits:      counter("store_commits_total", "Commits to the session store."),
		panics:       counter("panics_total", "Panics recovered."),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.connections, m.accepted, m.refused, m.closed, m.received, m.sent, m.receivedB,
		m.sentB, m.acknowledged, m.dropped, m.commits, m.panics} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }
