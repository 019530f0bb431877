// Package series is the time-series engine: it keeps measurements, in order of time, tenant by tenant.
//
// The reference architecture calls it the Device Data Store of the platform tier; the edge gateway embeds the same engine as its own
// data store. It owns the rows and their order. It never checks permissions, never publishes, never interprets fragments and knows no
// wire format: platform/telemetry and edge/gateway do that on top.
//
// # Faces
//
// Store is the face; its comment is the contract. Drivers:
//
//	seriespebble   embedded, one folder: rows on arrival, sealed in the background into compressed chunks
//	seriessql      PostgreSQL, for several nodes that share one database
//	seriesmem      the reference in memory, for the tests of other packages
//
// All of them run the suite in seriestest. Aggregate (buckets by local clocks, percentiles, drawings with few points) and Recall (newest
// values) work over any Store and are faster over one that is also an Aggregator or a Recaller.
//
// # Invariants
//
//   - Append returned nil: the data survives a power cut. Append failed: nothing of the batch is there, or (after a crash in between) all of it.
//   - A measurement is identified by (tenant, source, millisecond, seq). Equal times never overwrite each other.
//   - The text of numbers, the order of samples and the text of free members come back as they were sent.
//   - Two tenants never meet, even with equal sources: the tenant is the first part of every key.
//   - Damaged data is reported as fault.Corrupt; it is never returned as if it were good.
//
// # Use
//
//	store, err := seriespebble.Open(dir, seriespebble.Options{Logger: log, Registerer: reg})
//	err = store.Append(ctx, []series.Entry{{Tenant: "main", M: &m}}) // durable now; m.ID() is final
//	err = store.Scan(ctx, "main", series.Query{Source: 4711, From: from, To: to, Limit: 5}, func(m *iot.Measurement) bool {
//		return write(m) == nil
//	})
//	chart, err := series.Aggregate(ctx, store, "main", series.Aggregation{Source: 4711, From: from, To: to, Interval: hourly})
package series
