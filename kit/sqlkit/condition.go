package sqlkit

// Condition is a condition of SQL with its arguments. The zero Condition always holds.
type Condition struct {
	SQL  string
	Args []any
}

// And adds another condition.
func (c Condition) And(text string, args ...any) Condition {
	if c.SQL != "" {
		text = c.SQL + " AND " + text
	}
	return Condition{text, append(c.Args[:len(c.Args):len(c.Args)], args...)}
}

// NoneOf returns the condition that none of some conditions holds.
func NoneOf(conds []Condition) Condition {
	if len(conds) == 0 {
		return Condition{}
	}
	any := anyOf(conds)
	return Condition{"NOT " + any.SQL, any.Args}
}

// anyOf halves the list: SQLite takes a thousand levels of an expression at most, and a chain has one for each link.
func anyOf(conds []Condition) Condition {
	if len(conds) == 1 {
		if conds[0].SQL == "" {
			return Condition{"(1 = 1)", nil}
		}
		return Condition{"(" + conds[0].SQL + ")", conds[0].Args}
	}
	a, b := anyOf(conds[:len(conds)/2]), anyOf(conds[len(conds)/2:])
	return Condition{"(" + a.SQL + " OR " + b.SQL + ")", append(a.Args[:len(a.Args):len(a.Args)], b.Args...)}
}
