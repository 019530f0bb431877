// Package sessionpebble is the durable driver of session.Store, on a Pebble database that the caller opened.
//
// Every key starts with the caller's prefix, then the realm, so that a realm can be erased by one range and two stores
// can share one database. Behind the realm:
//
//	s <client> m            meta
//	s <client> f <filter>   subscription
//	s <client> q <seq>      queued entry
//	s <client> p <seq>      packet identifier and state of a sent entry
//	s <client> r <id>       received QoS 2 packet identifier
//	t <topic>               retained message
//
// Realm and client id carry their length, so that no id can reach into another one's range.
// Durable commits use pebble.Sync: concurrent ones share an fsync, which is Pebble's group commit. Other commits go to
// the same write-ahead log without waiting, so that a crash loses a tail and no hole.
package sessionpebble
