package chunk

import (
	"github.com/isobar-iot/isobar/iot"
)

// column unpacks column c of a row-major table of the given width.
func (r *reader) column(vals []iot.Number, c, width int) {
	n := len(vals) / width
	switch mode := r.byte(); mode {
	case colFixed, colTrimmed:
		r.scaled(mode == colTrimmed, vals, c, width, n)
	case colDecimal:
		r.disguised(vals, c, width, n)
	case colFloat:
		r.values = r.ints(r.values, n)
		for i, v := range r.values {
			vals[c+i*width] = r.float(uint64(sortable(v)))
		}
	case colShortest:
		r.values = r.ints(r.values, n)
		for i, v := range r.values {
			f := r.float(uint64(sortable(v)))
			if r.bad {
				return
			}
			m, ok := shortest(f.Float())
			if !ok {
				r.fail()
				return
			}
			vals[c+i*width] = m
		}
	case colVerbatim:
		for i := c; i < len(vals) && !r.bad; i += width {
			vals[i] = r.number()
		}
	default:
		r.fail()
	}
}

// exception is a number that is not what its column says.
type exception struct {
	row   int
	scale int8
	by    int64
}

// exceptions reads the exceptions of n rows; those of decimals have a scale.
func (r *reader) exceptions(n int, scale byte, decimals bool) []exception {
	r.odd = r.odd[:0]
	count, row := r.uvarint(), -1
	if count > uint64(n) {
		r.fail()
	}
	for ; count > 0 && !r.bad; count-- {
		gap := r.uvarint()
		if gap >= uint64(n) || row+1+int(gap) >= n {
			r.fail()
			return nil
		}
		row += 1 + int(gap)
		e := exception{row: row}
		if decimals {
			s := r.byte()
			if s > maxDecimalScale {
				r.fail()
			}
			if e.scale = int8(s); s > scale {
				e.by = r.varint()
			}
		} else {
			e.by = r.varint()
		}
		r.odd = append(r.odd, e)
	}
	return r.odd
}

func (r *reader) scaled(trimmed bool, vals []iot.Number, c, width, n int) {
	scale := r.byte()
	if scale > maxDecimalScale {
		r.fail()
		return
	}
	odd := r.exceptions(n, scale, true)
	r.values = r.ints(r.values, n)
	if r.bad || len(r.values) != n {
		r.fail()
		return
	}
	for i, m := range r.values {
		if trimmed {
			vals[c+i*width] = trim(m, int8(scale))
		} else {
			vals[c+i*width] = iot.Number{Mant: m, Scale: int8(scale)}
		}
	}
	for _, e := range odd {
		m := r.values[e.row]
		if d := int(e.scale) - int(scale); d >= 0 {
			m = m*pow10[d] + e.by
		} else {
			m /= pow10[-d]
		}
		vals[c+e.row*width] = iot.Number{Mant: m, Scale: e.scale}
	}
}

func (r *reader) disguised(vals []iot.Number, c, width, n int) {
	scale := r.byte()
	if scale > maxFloatScale {
		r.fail()
		return
	}
	odd := r.exceptions(n, scale, false)
	r.values = r.ints(r.values, n)
	if r.bad || len(r.values) != n {
		r.fail()
		return
	}
	for i, m := range r.values {
		vals[c+i*width] = iot.Number{Mant: disguised(m, int(scale)), Scale: iot.Float64}
	}
	for _, e := range odd {
		at := &vals[c+e.row*width]
		*at = r.float(uint64(sortable(sortable(at.Mant) + e.by)))
	}
}

func trim(m int64, scale int8) iot.Number {
	for scale > 0 && m%10 == 0 {
		m /= 10
		scale--
	}
	return iot.Number{Mant: m, Scale: scale}
}

// fill sets all rows of a column.
func fill(vals []iot.Number, c, width int, n iot.Number) {
	for i := c; i < len(vals); i += width {
		vals[i] = n
	}
}
