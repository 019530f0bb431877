// Package rawlog keeps the bytes of accepted publications for a time, as the paper's IoT Transformation and Connectivity needs them: a mapping
// that is made or mended later can be run over what came in before it.
//
// It owns one Pebble database in a folder of its own. It is off until a tenant sets the option ingest / raw.keep.hours, and bounded by
// ingest / raw.keep.megabytes (1,024 unless set): what is older, or beyond the bound, goes, oldest first, and is counted. Every node keeps what
// came in through it.
//
// It never decides who may read: that is done by the face that shows it. It never interprets a byte.
//
// # Invariants
//
//   - Append called done with nil: the record survives a power cut. A publication is acknowledged after that, so that whatever was
//     acknowledged can be found here while it is young enough.
//   - The tenant is the first part of every key. A record carries a checksum over its key and its value; what does not verify is
//     fault.Corrupt and never returned.
//   - Records come back in the order of their arrival.
//
// All methods are safe for concurrent use.
package rawlog
