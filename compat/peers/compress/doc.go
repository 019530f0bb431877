// Package compress compares how many bytes a point takes: sealed in our store, in chunks of Prometheus, and in Parquet files with zstd.
//
// It is a module of its own, so that the peers' code is no dependency of the product. The recordings are read from the folder that
// ISOBAR_RECORDINGS names; without it, or without the files, only generated data is compared:
//
//	cd compat/peers/compress && ISOBAR_RECORDINGS=/path/to/csv go test -v .
package compress
