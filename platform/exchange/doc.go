// Package exchange is the paper's Transformation and Connectivity to the enterprise: how systems beside the platform get what happens in it, each
// at its own pace. It is the component behind the API's Notification 2.0.
//
// It owns subscriptions (which facts go to which topic), consumers (how far a subscriber got in a topic), and the topics themselves. It
// never decides about single facts: who may administer subscriptions sees all that they bring.
//
// # How a fact travels
//
// The transaction that stores a fact leaves a note of it, if anybody in the tenant consumes a persistent topic (kit/sqlkit, Tx.Note). The relay reads the notes in
// the order of the commits, writes them into the JetStream streams of the topics that want them, and removes them. Measurements do not
// lie in SQL: their note is left before they are stored, and passed on when they are; after a crash, those are passed on that the store has. So what was acknowledged
// to its sender is in a note, or in a stream. A stream belongs to one topic; it is synced with every write.
//
// A consumer is a place in the stream of its topic: all up to floor is done, and some after it. It lies in SQL, because JetStream writes the state of
// its own consumers ten times a second only, so that a kill would bring back what was acknowledged. Hubs hand messages to the connections
// of a consumer. Topics of non-persistent subscriptions live in memory, in the hubs that have connections.
//
// # Invariants
//
//   - The tenant is part of the name of every stream, and of every key.
//   - What was acknowledged and saved is not delivered again; what was not is delivered again to the next connection.
//   - Messages of one source are in the order of the commits, for each consumer.
//   - Everything is bounded: notes that wait, streams by age and bytes, messages that wait for an acknowledgement by number and
//     bytes, those of all consumers of a node by bytes, and the topics and consumers of a tenant. What is dropped is counted.
//   - Streams are read directly, over a connection of their own: the server keeps no consumers, and what is slow here does not slow the bus.
//   - A persistent topic is there as long as it has a consumer. Nobody is connected whose tenant is suspended or gone.
//   - Nobody pays for this in a tenant without consumers.
package exchange
