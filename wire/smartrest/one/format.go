package one

import "strings"

// Format returns the fields as one line. c8y: unlike in SmartREST 2, a quote inside of quotes is doubled, as in any other CSV.
func Format(fields ...string) string {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		f = strings.ToValidUTF8(f, "\uFFFD")
		if f == "" || !strings.ContainsAny(f, "\",\r\n\t") && f[0] != ' ' && f[len(f)-1] != ' ' {
			b.WriteString(f)
			continue
		}
		b.WriteByte('"')
		b.WriteString(strings.ReplaceAll(f, `"`, `""`))
		b.WriteByte('"')
	}
	return b.String()
}
