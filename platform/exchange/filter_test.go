package exchange_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/platform/exchange"
)

func TestParseTypes(t *testing.T) {
	for text, want := range map[string]exchange.Types{
		"": nil, "  ": nil, "c8y_Speed": {"c8y_Speed"}, " two words ": {"two words"}, "'a'": {"a"}, "'a' or 'b'": {"a", "b"}, "'a'  OR 'b' or 'c'": {"a", "b", "c"}, "'it''s'": {"it's"},
		"type eq 'a'": {"a"}, "type eq 'a' or type eq 'b'": {"a", "b"}, "''": {""}, "a or b": {"a or b"}, // without quotes it is one type
	} {
		got, err := exchange.ParseTypes(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"'a", "'a' 'b'", "'a' and 'b'", "'a' or", "'a' or b", "a'b", "'a''", "'a' or or 'b'", strings.Repeat("x", 9<<10)} {
		if got, err := exchange.ParseTypes(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.40q: %q, %v, want invalid", text, got, err)
		}
	}
}

// FuzzParseTypes: what is understood can be written in the plain form, and is then understood in the same way.
func FuzzParseTypes(f *testing.F) {
	for _, text := range []string{"", "a", "'a'", "'a' or 'b'", "type eq 'a' or type eq 'b'", "'it''s' OR ''", "'a", "'a' and 'b'", "'\x00' or '\xff'", "''''"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		types, err := exchange.ParseTypes(text)
		if err != nil || types == nil {
			return
		}
		quoted := make([]string, len(types))
		for i, s := range types {
			quoted[i] = "'" + strings.ReplaceAll(s, "'", "''") + "'"
		}
		plain := strings.Join(quoted, " or ")
		again, err := exchange.ParseTypes(plain)
		if len(plain) <= 8<<10 && (err != nil || !reflect.DeepEqual(again, types)) {
			t.Errorf("%q means %q, and %q means %q, %v", text, types, plain, again, err)
		}
	})
}
