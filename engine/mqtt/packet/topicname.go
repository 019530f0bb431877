package packet

import "bytes"

// validName checks a topic name: not empty, no wildcards (MQTT 5.0 section 4.7.1). UTF-8 has been checked before.
func validName(b []byte) bool {
	return len(b) > 0 && bytes.IndexByte(b, '+') < 0 && bytes.IndexByte(b, '#') < 0
}

// validFilter checks the place of wildcards in a topic filter, and the form of $share/<group>/<filter> (section 4.8.2).
func validFilter(b []byte) bool {
	if rest, ok := bytes.CutPrefix(b, []byte("$share/")); ok {
		group, filter, found := bytes.Cut(rest, []byte("/"))
		if !found || !validName(group) {
			return false
		}
		b = filter
	}
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		level, rest, more := bytes.Cut(b, []byte("/"))
		if len(level) > 1 && (bytes.IndexByte(level, '+') >= 0 || bytes.IndexByte(level, '#') >= 0) {
			return false
		}
		if len(level) == 1 && level[0] == '#' && more {
			return false
		}
		b = rest
	}
	return true
}
