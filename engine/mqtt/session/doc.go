// Package session holds what an MQTT broker must not forget: sessions and retained messages.
//
// A session is named by realm and client id. It consists of its Meta, its subscriptions, the outbound queue (messages in
// order, each with a sequence number, and once sent with packet identifier and state), and the packet identifiers of
// inbound QoS 2 messages that were received and not yet released. See MQTT 5.0 section 4.1.
//
// Store is the face of the storage. Drivers are sessionmem (memory, the reference) and sessionpebble (durable);
// sessiontest is the suite that both pass. The realm - the tenant - is a parameter of every method and the first part of
// every key: no call can see or change two realms.
//
// The package never decides anything about delivery. Bounds, order and expiry are the broker's.
package session
