// Package seriestest is the conformance suite of engine/series. A driver's test calls TestStore with a function that opens an empty
// store and closes it when the test ends:
//
//	func TestStore(t *testing.T) {
//		seriestest.TestStore(t, func(t *testing.T) series.Store { return open(t) })
//	}
//
// A store that is also a Settler is settled between writing and reading in a second run of every case, so that the suite sees what
// is stored in its final form, too.
package seriestest
