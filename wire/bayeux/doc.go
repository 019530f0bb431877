// Package bayeux tells clients of the platform's API what happens while it happens: the realtime channels of web applications and the
// push connection of device agents, in the Bayeux 1.0 dialect of /notification/realtime, /cep/realtime and /notification/operations,
// over long polls and WebSockets.
//
// It owns sessions, their subscriptions and their queues, all of them in memory: a session that is lost makes its client shake hands
// again, and a message that is lost is not repeated. Clients read what they missed through REST. It never changes a document, and it
// decides nothing that security/access does not decide.
//
// # How a message travels
//
// One subscription to the bus per kind of fact serves all sessions. A fact is not even decoded if nobody in its tenant listens to it;
// else the index names the sessions that do, its JSON is made once per base URL and shared by all their queues, and each session's
// carrier (the long poll or the WebSocket it came with last) takes it from there. Within one kind, messages arrive in the order of the bus.
//
// # Invariants
//
//   - No session hears of another tenant: the tenant is part of every key of the index.
//   - Who subscribes by ownership, not by permission, hears of what they own at the time of the message, not of the subscription.
//   - A session ends when its user's permissions change or the credentials stop being valid; the client shakes hands again.
//   - Everything is bounded: sessions, subscriptions, queues, the memory of all queues. What is dropped is counted.
//   - The advice "none" is never given: some clients do not survive it.
package bayeux
