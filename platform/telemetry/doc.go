// Package telemetry is the face of the paper's Device Data Store: what devices report, kept in order of time and told to whoever listens.
//
// It owns events with their attachments, alarms with their life and the counters that follow from them, and the way of measurements into
// the time-series engine (engine/series), which keeps them. It never looks into the registry's documents and never acts on what it stores:
// rules, realtime channels and availability listen on the bus.
//
// # The pipeline
//
// Submit is the way in for every dialect: it takes a measurement, how far it is to go, and optionally the delivery that brought it. Two lanes
// lead to one batcher, so that late data cannot starve live data (lane.go); a commit takes what waits, with one fsync; then facts and answers go
// out. Everything is bounded, and a full lane holds up its callers. Ledger tells per source what became of every reading (ledger.go,
// books.go), skew.go what is done about clocks that are off. The delivery is stored in the same commit as the measurement, so that a dialect can
// ask Delivered whether a repetition is one; dialects decide what a repetition is, because only they know how theirs repeat.
//
// Telemetry is the face: it authorizes, validates, audits, keeps history and publishes, once, for every dialect. Store is what a driver of
// events and alarms must do; measurements go to series.Store. What is changed or deleted of events and alarms takes part in the change log (Kinds).
//
// # Facts
//
// A fact is published after it is durable. Subjects are "isobar.<tenant>.<kind>.<action>.<source>" with kind event or alarm and a JSON
// EventChange or AlarmChange, and "isobar.<tenant>.measurement.<action>" with a MeasurementBatch of many sources. What only rules may see
// (iot.CEP) has one more part, "rules", at the end. A message lost on the bus is not repeated: readers catch up from the store.
//
// # Invariants
//
//   - Record returned nil, or done was called with nil: the measurements survive a power cut (except in a mode that does not store).
//   - Raising an alarm never makes a second one that is not cleared for the same source and type, on any number of nodes. An alarm that a
//     person reopens may stand beside a newer one; raising then counts the active one, the newest first.
//   - The counters of alarms at an object are recounted from the alarms after every change that could move them; if the process dies in
//     between, the next change of an alarm of that source puts them right. There is no sweep over all objects at start.
//   - When an object is deleted, its data follows in the background: at once if the process lives on, otherwise the data stays,
//     invisible to all but those who may read everything, until a retention rule removes it.
package telemetry
