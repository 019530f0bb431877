// Package devicemgmt is the paper's Device Management: what applications ask of devices, kept from the request to its outcome.
//
// It owns operations and which agent is to receive them. It never talks to a device: the dialects do, from the facts on the bus and from
// Pending, which lists what a device has missed. It does not change the digital twin; what an operation's outcome says about the
// device is written by the dialect that received it.
//
// Operations is the face: it authorizes, validates, audits, keeps history and publishes, once, for every dialect. Store is what a driver
// must do.
//
// Bulks is the face of bulk operations: one operation for every device of a group, created one after the other from a moment on. Whoever runs
// Bulks.Run does the work; any number of nodes may.
//
// # Facts
//
// A fact is published after it is durable, as "isobar.<tenant>.operation.<action>.<agent>" with a JSON OperationChange. Delivery changes
// nothing that others act on, so it publishes nothing. A bulk operation is published as "isobar.<tenant>.bulkoperation.<action>.<id>" with a JSON
// BulkChange when somebody changes it, when it starts and when it is completed; its operations speak for themselves.
//
// # Invariants
//
//   - The agent of an operation is the device itself, if it is one, or its nearest ancestor through child devices that is one, at the time
//     of the request.
//   - Ids are decimal numbers of 32 bits: agents parse them so.
//   - Any status may follow any other: no client was seen to rely on less. Delivery never changes the status.
//   - A device gets one operation of a bulk operation: that it no longer waits for one is stored with the operation or not at all.
//   - Operations of a deleted device stay: they are the record of what was asked of it.
package devicemgmt
