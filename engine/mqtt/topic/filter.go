package topic

import (
	"strings"
	"unicode/utf8"
)

// MaxLen is the longest topic name or filter in bytes that MQTT can carry (MQTT 5.0 section 1.5.4).
const MaxLen = 65_535

// ValidName tells whether s may be published to: valid UTF-8 without U+0000, not empty, no wildcards (section 4.7).
func ValidName(s string) bool {
	return s != "" && len(s) <= MaxLen && utf8.ValidString(s) && !strings.ContainsAny(s, "+#\x00")
}

// ValidFilter tells whether s may be subscribed to, including the form $share/<group>/<filter> (section 4.8.2).
func ValidFilter(s string) bool {
	if len(s) > MaxLen || !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return false
	}
	if strings.HasPrefix(s, sharePrefix) {
		group, rest, ok := SplitShared(s)
		if !ok || group == "" || strings.ContainsAny(group, "+#") {
			return false
		}
		s = rest
	}
	for i := 0; i < len(s); i++ {
		wild := s[i] == '+' || s[i] == '#'
		if wild && i > 0 && s[i-1] != '/' {
			return false
		}
		if s[i] == '#' && i != len(s)-1 || s[i] == '+' && i != len(s)-1 && s[i+1] != '/' {
			return false
		}
	}
	return s != ""
}

const sharePrefix = "$share/"

// SplitShared takes $share/<group>/<filter> apart. ok is false when s is not a shared subscription or has no filter.
func SplitShared(s string) (group, filter string, ok bool) {
	rest, ok := strings.CutPrefix(s, sharePrefix)
	if !ok {
		return "", s, false
	}
	return strings.Cut(rest, "/")
}

// Match tells whether a filter matches a name, as if it were the only one. Both must be valid and the filter not shared.
// A wildcard in the first level never matches a name that starts with $ (MQTT-4.7.2-1).
func Match(filter, name string) bool {
	if strings.HasPrefix(name, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	for {
		f, filterRest, filterMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		n, nameRest, nameMore := strings.Cut(name, "/")
		if f != "+" && f != n {
			return false
		}
		if !filterMore || !nameMore {
			// "sport/#" matches its parent "sport" too.
			return filterMore == nameMore || filterMore && filterRest == "#"
		}
		filter, name = filterRest, nameRest
	}
}
