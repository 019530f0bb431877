package query

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits on what a client may send.
const (
	maxLength = 32 << 10
	maxDepth  = 64
	maxTerms  = 500
)

// Parse reads the value of the parameter query or q, or the filter of a smart group.
func Parse(s string) (Query, error) {
	if len(s) > maxLength {
		return Query{}, fmt.Errorf("the query is longer than %d characters", maxLength)
	}
	p := &parser{s: s}
	var q Query
	p.space()
	explicit := p.prefix("$filter=")
	p.space()
	if p.i < len(p.s) && !p.at("$orderby=") {
		e, err := p.or()
		if err != nil {
			return Query{}, err
		}
		q.Filter = e
	}
	p.space()
	if p.prefix("$orderby=") {
		if err := p.order(&q); err != nil {
			return Query{}, err
		}
	}
	p.space()
	if p.i < len(p.s) {
		if explicit && p.prefix("$filter=") { // "$orderby=... $filter=..." is not a form that clients send
			return Query{}, p.fail("one $filter before $orderby")
		}
		return Query{}, p.fail("'and', 'or', '$orderby=' or the end")
	}
	return q, nil
}

type parser struct {
	s     string
	i     int
	depth int
	terms int
}

func (p *parser) fail(want string) error {
	if p.i >= len(p.s) {
		return fmt.Errorf("the query ends where %s is expected", want)
	}
	rest := p.s[p.i:]
	if len(rest) > 20 {
		rest = rest[:20] + "..."
	}
	return fmt.Errorf("at position %d (%q): %s is expected", p.i, rest, want)
}

func (p *parser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\n' || p.s[p.i] == '\r') {
		p.i++
	}
}

func (p *parser) at(prefix string) bool {
	return len(p.s)-p.i >= len(prefix) && strings.EqualFold(p.s[p.i:p.i+len(prefix)], prefix)
}

func (p *parser) prefix(prefix string) bool {
	if p.at(prefix) {
		p.i += len(prefix)
		return true
	}
	return false
}

// word consumes a keyword that is not the beginning of a longer word.
func (p *parser) word(w string) bool {
	if !p.at(w) {
		return false
	}
	if end := p.i + len(w); end < len(p.s) && wordByte(p.s[end]) {
		return false
	}
	p.i += len(w)
	return true
}

// wordByte says what a path, keyword or bare word consists of: all but white space and the punctuation of the language.
// Names of fragments may contain signs such as ! - / and any letter.
func wordByte(c byte) bool {
	return c > ' ' && c != '(' && c != ')' && c != ',' && c != '\'' && c != '$' && c != '='
}

func (p *parser) or() (Expr, error) {
	return p.chain("or", p.and, func(terms []Expr) Expr { return Or(terms) })
}

func (p *parser) and() (Expr, error) {
	return p.chain("and", p.not, func(terms []Expr) Expr { return And(terms) })
}

func (p *parser) chain(op string, next func() (Expr, error), join func([]Expr) Expr) (Expr, error) {
	e, err := next()
	if err != nil {
		return nil, err
	}
	terms := []Expr{e}
	for {
		p.space()
		if !p.word(op) {
			break
		}
		if e, err = next(); err != nil {
			return nil, err
		}
		terms = append(terms, e)
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return join(terms), nil
}

func (p *parser) not() (Expr, error) {
	p.space()
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("the query is nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.word("not") {
		e, err := p.not()
		return Not{e}, err
	}
	if p.prefix("(") {
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.prefix(")") {
			return nil, p.fail("')'")
		}
		return e, nil
	}
	return p.primary()
}

func (p *parser) primary() (Expr, error) {
	if p.terms++; p.terms > maxTerms {
		return nil, fmt.Errorf("the query has more than %d conditions", maxTerms)
	}
	name := p.token()
	if name == "" {
		return nil, p.fail("a condition")
	}
	p.space()
	if p.prefix("(") {
		return p.function(strings.ToLower(name))
	}
	path, err := p.path(name)
	if err != nil {
		return nil, err
	}
	ops := map[string]Op{"eq": Eq, "gt": Gt, "ge": Ge, "lt": Lt, "le": Le}
	at := p.i
	op, ok := ops[strings.ToLower(p.token())]
	if !ok {
		p.i = at
		return nil, p.fail("one of eq, gt, ge, lt, le")
	}
	p.space()
	v, err := p.value()
	return Compare{path, op, v}, err
}

func (p *parser) token() string {
	at := p.i
	for p.i < len(p.s) && wordByte(p.s[p.i]) {
		p.i++
	}
	return p.s[at:p.i]
}

func (p *parser) path(s string) (Path, error) {
	parts := strings.Split(s, ".")
	for _, part := range parts {
		if part == "" {
			return nil, fmt.Errorf("%q is not a path", s)
		}
	}
	return parts, nil
}

func (p *parser) function(name string) (Expr, error) {
	var args []string
	for {
		p.space()
		arg, err := p.argument()
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		if len(args) > maxTerms {
			return nil, fmt.Errorf("%s has more than %d arguments", name, maxTerms)
		}
		p.space()
		if p.prefix(",") {
			continue
		}
		if p.prefix(")") {
			break
		}
		return nil, p.fail("',' or ')'")
	}
	switch name {
	case "has":
		if len(args) != 1 {
			return nil, fmt.Errorf("has takes one argument, hasany takes several")
		}
		return paths(args)
	case "hasany":
		return paths(args)
	case "bygroupid":
		ids, err := numbers(args)
		return ByGroup(ids), err
	case "isinhierarchyof":
		ids, err := numbers(args)
		return InHierarchy(ids), err
	}
	return nil, fmt.Errorf("unknown function %q, there are has, hasany, bygroupid and isinhierarchyof", name)
}

func (p *parser) argument() (string, error) {
	if p.i < len(p.s) && p.s[p.i] == '\'' {
		v, err := p.quoted()
		return v.Text, err
	}
	if t := p.token(); t != "" {
		return t, nil
	}
	return "", p.fail("an argument")
}

func paths(args []string) (Expr, error) {
	out := make(Has, len(args))
	for i, a := range args {
		out[i] = strings.Split(a, ".")
		for _, part := range out[i] {
			if part == "" {
				return nil, fmt.Errorf("%q is not a path", a)
			}
		}
	}
	return out, nil
}

func numbers(args []string) ([]uint64, error) {
	out := make([]uint64, len(args))
	for i, a := range args {
		n, err := strconv.ParseUint(a, 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%q is not an id", a)
		}
		out[i] = n
	}
	return out, nil
}

func (p *parser) value() (Value, error) {
	if p.i < len(p.s) && p.s[p.i] == '\'' {
		return p.quoted()
	}
	t := p.token()
	switch strings.ToLower(t) {
	case "":
		return Value{}, p.fail("a value")
	case "true", "false":
		return Value{Kind: Bool, Bool: len(t) == 4}, nil
	case "null":
		return Value{Kind: Null}, nil
	}
	if n, ok := number(t); ok {
		return n, nil
	}
	return Value{Kind: Text, Text: t, Wildcard: strings.Contains(t, "*")}, nil
}

// number reads an integer, or a decimal with suffix f or d. c8y: a decimal without suffix is compared as text.
func number(t string) (Value, bool) {
	digits := strings.TrimRight(t, "fdFD")
	if len(t)-len(digits) > 1 || strings.Trim(digits, "0123456789.+-eE") != "" {
		return Value{}, false
	}
	exact := len(digits) == len(t)
	if exact && strings.Trim(digits, "-0123456789") != "" {
		return Value{}, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsInf(f, 0) {
		return Value{}, false
	}
	return Value{Kind: Number, Num: f, Text: digits, Exact: exact}, true
}

// quoted reads '...' in which ” is a quote and \x is x.
func (p *parser) quoted() (Value, error) {
	p.i++
	v := Value{Kind: Text}
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '\\' && p.i < len(p.s):
			b.WriteByte(p.s[p.i])
			p.i++
		case c == '\'' && p.i < len(p.s) && p.s[p.i] == '\'':
			b.WriteByte('\'')
			p.i++
		case c == '\'':
			v.Text = b.String()
			return v, nil
		default:
			v.Wildcard = v.Wildcard || c == '*'
			b.WriteByte(c)
		}
	}
	return v, p.fail("a closing quote")
}

func (p *parser) order(q *Query) error {
	for {
		p.space()
		name := p.token()
		if name == "" {
			return p.fail("a property to order by")
		}
		path, err := p.path(name)
		if err != nil {
			return err
		}
		o := Order{Path: path}
		p.space()
		if p.word("desc") {
			o.Desc = true
		} else {
			p.word("asc")
		}
		q.Order = append(q.Order, o)
		if len(q.Order) > 16 {
			return fmt.Errorf("more than 16 properties to order by")
		}
		p.space()
		if !p.prefix(",") {
			return nil
		}
	}
}
