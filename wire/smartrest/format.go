package smartrest

import "strings"

// FormatLine returns the fields as one line, quoted where necessary, without a line break.
func FormatLine(fields ...string) string {
	n := 0
	for _, f := range fields {
		n += len(f) + 3
	}
	b := make([]byte, 0, n)
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendField(b, f)
	}
	return string(b)
}

// AppendField appends one field, quoted if it contains a quote, a comma, a line break or a tab, or if it starts or ends
// with a blank. Bytes that are not UTF-8 become U+FFFD.
//
// c8y: downwards a quote is escaped with a backslash, never doubled; thin-edge understands nothing else and takes the
// backslash as the escape of any character, so a backslash inside quotes is doubled.
func AppendField(b []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if !needsQuotes(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

func needsQuotes(s string) bool {
	if s == "" {
		return false
	}
	return s[0] == ' ' || s[len(s)-1] == ' ' || strings.ContainsAny(s, "\",\r\n\t")
}
