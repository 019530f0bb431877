// Package mqtt is an MQTT broker engine for MQTT 3.1, 3.1.1 and 5.0. It is the Edge tier's door to the platform, and it
// knows no devices, tenants or dialects: a Gate decides who may connect, and a Handler per connection takes what the
// client publishes and says whether the broker may route it on to subscribers ("free topics").
//
// It owns connections, sessions, subscriptions, retained messages, packet identifiers, flow control and the order of
// acknowledgements. It never acknowledges a message before its Handler has called done, and a routed message not before
// it is durable in every persistent session that matches: ack means stored.
//
// Realms. Every connection lives in the realm (tenant) that its Handler names. Sessions, subscriptions and retained
// messages of one realm are invisible to all others. A realm is loaded from the store at its first use.
//
// Order. Messages of one publisher reach one subscriber in the order in which they were published, for each quality of
// service (MQTT 5.0 section 4.6). Acknowledgements go out in the order of the PUBLISH packets, although done may be
// called in any order. Unacknowledged messages are sent again, with DUP, in their first order.
//
// Owners. A session belongs to who made it, as Handler.Owner names it, for as long as it lives: also while its connection is there, and after a crash.
// Another owner of the realm who comes with its client id, to resume it or to start anew, is refused (0x85, 2 in 3.x), since either would take or destroy
// what the first one was promised. The client id is free again when the session ends, or once Config.Orphaned says that nobody can come for it.
//
// Crashes. What is acknowledged is durable. A will is stored with CONNECT, before CONNACK, also that of a session that is not stored otherwise, and
// forgotten durably with the end of the connection. When the server comes back after it was killed, connections that were there count as broken at that
// moment: their wills are published through Config.Will, with a delay after the delay (MQTT 5.0 section 3.1.2.5 allows that), and the time of their
// sessions runs from there. A will that is published just when the server is killed may be published twice.
//
// Which test stands for which statement of the standards is in docs/reference/mqtt-conformance.md.
//
// Bounds, and what happens there. Each is counted in isobar_mqtt_dropped_messages_total or isobar_mqtt_refused_connections_total:
//
//	inbound publishes in progress   per connection; the reader stops reading, TCP slows the sender down. Never dropped.
//	                                A v5 client above the receive maximum is disconnected with 0x93.
//	outbound queue in memory        per connection; new messages of QoS 0 and of clean sessions are dropped.
//	outbound queue in the store     per persistent session; new messages are refused, the old ones stay.
//	control packets to a client     per connection; the reader stops reading until the client takes its answers.
//	answers that wait for the store per connection; the reader stops reading.
//	retained messages               per realm; new topics are refused with 0x97.
//	subscriptions                   per session; more are refused with 0x97.
//
// Concurrency. One goroutine reads and calls the Handler, one writes. Writes to the store are collected by one goroutine
// per realm that exists only while there is work: group commit. No lock is held while a Gate, a Handler, a callback or
// the store is called.
//
// Locks, in the order in which they may be nested: Server.mu, realm.mu, sess.mu. The others are leaves.
//
// Use:
//
//	srv, err := mqtt.New(mqtt.Config{Gate: gate, Store: store, Log: log})
//	go srv.Serve(ctx, listener)
//	defer srv.Shutdown(ctx)
package mqtt
