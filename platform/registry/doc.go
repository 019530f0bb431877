// Package registry is the paper's Device Registry: the digital twins of devices, assets and groups, how they hang together, and by which
// names the outside world knows them.
//
// It owns managed objects with free fragments, the child relations between them, external ids, and what the platform itself keeps of an
// object: availability, connection and the counters of active alarms (State). It never looks into telemetry or operations.
//
// Registry is the face: it authorizes, validates, audits, keeps history and publishes changes on the bus, once, for every dialect.
// Store is what a driver must do. Every change of an object or a relation supersedes a version that can still be read (History, AsOf,
// NeighboursAsOf), and takes part in the change log (Kinds).
//
// Facts are published as "isobar.<tenant>.inventory.<action>.<id>" with a JSON Change; with ".rules" behind them where subscribers are not to be told
// (iot.ModeOf). The cache of owners (Owner) follows them.
package registry
