package series

import (
	"bytes"
	"slices"

	"github.com/isobar-iot/isobar/iot"
)

// Copy returns a measurement that shares no memory with m, for use beyond the callback of Scan.
func Copy(m *iot.Measurement) iot.Measurement {
	c := *m
	c.Samples = slices.Clone(m.Samples)
	c.Extra = slices.Clone(m.Extra)
	for i := range c.Extra {
		c.Extra[i].Raw = bytes.Clone(c.Extra[i].Raw)
	}
	return c
}
