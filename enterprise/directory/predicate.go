package directory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
)

// Claims is what a directory says of a person: decoded JSON, with numbers as json.Number.
type Claims map[string]any

// ParseClaims decodes a JSON object.
func ParseClaims(b []byte) (Claims, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var c Claims
	if err := d.Decode(&c); err != nil {
		return nil, err
	}
	return c, nil
}

// Predicate is a condition on claims: a comparison, or AND or OR of others.
type Predicate struct {
	Operator string      `json:"operator"`
	Path     string      `json:"parameterPath,omitempty"` // names of members, joined by dots; a name may itself have dots
	Value    Text        `json:"value,omitempty"`
	Children []Predicate `json:"childPredicates,omitempty"`
}

// Text is a JSON string, or a number, true or false, which some clients send where a string is documented.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	s, ok := scalar(v)
	if !ok && v != nil {
		return fmt.Errorf("a text, a number, true or false is needed")
	}
	*t = Text(s)
	return nil
}

// Bounds of rules.
const (
	maxDepth      = 8
	maxPredicates = 200 // of one rule
	maxPath       = 256 // bytes
	maxPathParts  = 10
	maxValue      = 1024 // bytes
)

var operators = []string{"EQ", "NEQ", "GT", "LT", "GTE", "LTE", "IN"}

// check refuses what could not be evaluated, or would always hold.
func (p *Predicate) check(depth int, count *int) error {
	const op = fault.Op("directory.Rules")
	if *count++; *count > maxPredicates || depth > maxDepth {
		return fault.Errorf(op, fault.Invalid, "a rule may have at most %d predicates, nested at most %d deep", maxPredicates, maxDepth)
	}
	switch {
	case p.Operator == "AND" || p.Operator == "OR":
		if len(p.Children) == 0 {
			return fault.E(op, fault.Invalid, p.Operator+" needs childPredicates: without them a rule would apply to everybody or nobody")
		}
		for i := range p.Children {
			if err := p.Children[i].check(depth+1, count); err != nil {
				return err
			}
		}
		return nil
	case !slices.Contains(operators, p.Operator):
		return fault.Errorf(op, fault.Invalid, "the operator %.20q is none of EQ, NEQ, GT, LT, GTE, LTE, IN, AND, OR", p.Operator)
	case p.Path == "" || len(p.Path) > maxPath || strings.Count(p.Path, ".") >= maxPathParts:
		return fault.Errorf(op, fault.Invalid, "parameterPath must have 1 to %d bytes and at most %d parts", maxPath, maxPathParts)
	case len(p.Value) > maxValue:
		return fault.Errorf(op, fault.Invalid, "value must not be longer than %d bytes", maxValue)
	}
	if _, err := strconv.ParseFloat(string(p.Value), 64); err != nil && slices.Contains([]string{"GT", "LT", "GTE", "LTE"}, p.Operator) {
		return fault.E(op, fault.Invalid, p.Operator+" needs a value that is a number")
	}
	return nil
}

// holds evaluates a predicate. Depth is bounded here as well, so that it does not depend on who has checked it.
func (p *Predicate) holds(c Claims, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch p.Operator {
	case "AND":
		return len(p.Children) > 0 && !slices.ContainsFunc(p.Children, func(x Predicate) bool { return !x.holds(c, depth+1) })
	case "OR":
		return slices.ContainsFunc(p.Children, func(x Predicate) bool { return x.holds(c, depth+1) })
	}
	claim, ok := find(c, p.Path, maxPathParts)
	if !ok || claim == nil {
		return false
	}
	if p.Operator == "IN" {
		list, ok := claim.([]any)
		if !ok {
			list = []any{claim}
		}
		return slices.ContainsFunc(list, func(v any) bool { s, ok := scalar(v); return ok && s == string(p.Value) })
	}
	s, ok := scalar(claim)
	if !ok {
		return false
	}
	switch p.Operator {
	case "EQ":
		return like(s, string(p.Value))
	case "NEQ":
		return !like(s, string(p.Value))
	}
	return compare(p.Operator, s, string(p.Value))
}

func compare(operator, claim, value string) bool {
	a, errA := strconv.ParseFloat(claim, 64)
	b, errB := strconv.ParseFloat(value, 64)
	if errA != nil || errB != nil {
		return false
	}
	switch operator {
	case "GT":
		return a > b
	case "LT":
		return a < b
	case "GTE":
		return a >= b
	case "LTE":
		return a <= b
	}
	return false
}

// scalar returns the text of a value that is no object and no list.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// find follows a path. The longest name wins, so that "https://example.com/roles" finds the claim of that name.
func find(c map[string]any, path string, parts int) (any, bool) {
	if v, ok := c[path]; ok {
		return v, true
	}
	if parts == 0 {
		return nil, false
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		below, ok := c[path[:i]].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := find(below, path[i+1:], parts-1); ok {
			return v, true
		}
	}
	return nil, false
}

// like compares with a pattern in which * stands for any text. It takes at most len(s) times len(pattern) steps.
func like(s, pattern string) bool {
	star, mark, i, j := -1, 0, 0, 0
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, mark = j, i
			j++
		case j < len(pattern) && pattern[j] == s[i]:
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[j:], "*") == ""
}

// Text returns the claim at a path as text; empty if it is absent or no scalar.
func (c Claims) Text(path string) string {
	if path == "" || len(path) > maxPath {
		return ""
	}
	v, _ := find(c, path, maxPathParts)
	s, _ := scalar(v)
	return s
}
