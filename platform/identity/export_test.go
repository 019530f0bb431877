package identity

import "github.com/isobar-iot/isobar/fault"

// TryBulk reads a file of devices as far as that goes without storing anything. A line that is not acceptable is no error of the file.
func TryBulk(b []byte) error {
	f, err := parseBulk(b)
	if err != nil {
		return err
	}
	run := &bulkRun{f: f}
	for _, r := range f.rows {
		if _, err := run.draft(r); err != nil && fault.KindOf(err).Ours() {
			return err
		}
	}
	return nil
}
