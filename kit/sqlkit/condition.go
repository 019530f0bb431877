package sqlkit

import (
	"strings"

	"github.com/isobar-iot/isobar/iot"
)

// Condition is a condition of SQL with its arguments.
type Condition struct {
	SQL  string
	Args []any
}

// Except returns the condition that none of some selectors selects a document; empty if none of them can. source and kind are the columns of its source
// and type, has is the condition that it has the fragment that is its parameter. Empty: documents have none, and what asks for one selects nothing.
func Except(sels []iot.Selector, source, kind, has string) Condition {
	var each []Condition
	for _, x := range sels {
		if x.Source != 0 && source == "" || x.Type != "" && kind == "" || x.Fragment != "" && has == "" {
			continue
		}
		var terms []string
		var args []any
		add := func(term string, arg any) { terms, args = append(terms, term), append(args, arg) }
		if x.Source != 0 {
			add(source+" = ?", int64(x.Source))
		}
		if x.Type != "" {
			add(kind+" = ?", x.Type)
		}
		if x.Fragment != "" {
			add(has, x.Fragment)
		}
		if len(terms) == 0 {
			terms = []string{"1 = 1"}
		}
		each = append(each, Condition{strings.Join(terms, " AND "), args})
	}
	if len(each) == 0 {
		return Condition{}
	}
	c := anyOf(each)
	return Condition{"NOT " + c.SQL, c.Args}
}

// anyOf halves the list: SQLite takes a thousand levels of an expression at most, and a chain has one for each link.
func anyOf(list []Condition) Condition {
	if len(list) == 1 {
		return Condition{"(" + list[0].SQL + ")", list[0].Args}
	}
	a, b := anyOf(list[:len(list)/2]), anyOf(list[len(list)/2:])
	return Condition{"(" + a.SQL + " OR " + b.SQL + ")", append(a.Args[:len(a.Args):len(a.Args)], b.Args...)}
}
