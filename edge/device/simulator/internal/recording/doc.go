// Package recording reads sensor recordings from CSV files, so that a simulated machine can relive them.
//
// It is forgiving, because recordings come from everywhere: the separator, the names of the columns, the form of the time and the
// decimal sign are found out; a row without a value is counted as missing, a row that makes no sense as bad, and neither ends the
// reading. Only a file without any usable row is an error. Nothing is interpolated: what was not measured is not there.
//
//	rec, err := recording.Read(file, "press.csv")
//	band := rec.Band() // what was normal in the first 15 % of it
package recording
