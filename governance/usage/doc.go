// Package usage counts what tenants use, per tenant and UTC day: the metering part of the paper's Governance capability.
//
// Counters are counted where the thing happens: components tell of every object, event, alarm, measurement and operation that was stored or
// changed, the dialects of every request. A Meter adds them up in memory and writes the sums every few seconds, so that counting costs no
// write of its own; a crash loses at most the sums of these seconds, a clean stop none. Several nodes add to the same rows.
// Gauges (devices, storage) are measured every eight hours and when they are asked for, and kept per day with their peak.
//
// Statistics files are reports over all tenants, kept as blobs of the tenant management. The one of a month is made on the first day of the next.
//
// It never reads what other components own: it is told, or asks through functions that it is given.
package usage
