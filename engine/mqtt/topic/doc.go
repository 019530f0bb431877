// Package topic matches MQTT topic names with topic filters.
//
// It owns three things: the syntax rules of names and filters (MQTT 5.0 section 4.7), Tree, which finds the subscribers
// of a name, and Index, which finds the names that a filter matches (retained messages). It never sends anything and
// knows neither sessions nor packets: a subscriber is any comparable key.
//
// A Tree or an Index belongs to one realm. Isolation between tenants is that they are different values: nothing in here
// could match across them.
//
// Tree and Index are safe for concurrent use. Matching takes a read lock and allocates nothing as long as the caller
// reuses its Matches.
package topic
