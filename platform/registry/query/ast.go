package query

// Query is a parsed query.
type Query struct {
	Filter Expr // nil selects everything
	Order  []Order
}

// Order is one key of the order.
type Order struct {
	Path Path
	Desc bool
}

// Path is a dotted path into an object, such as c8y_Hardware.model.
type Path []string

// Expr is a condition.
type Expr interface{ expr() }

// And holds if all of its terms do.
type And []Expr

// Or holds if any of its terms does.
type Or []Expr

// Not holds if its term does not.
type Not struct{ X Expr }

// Has holds if any of the paths exists.
type Has []Path

// ByGroup holds for direct child assets and additions of any of the objects: groups have the former, entries of repositories keep their versions as the latter.
type ByGroup []uint64

// InHierarchy holds for the objects themselves and all that is below them.
type InHierarchy []uint64

// Compare holds if the value at a path compares as asked. If the path leads to or through an array, any element may.
type Compare struct {
	Path  Path
	Op    Op
	Value Value
}

// Op is a comparison.
type Op uint8

// The comparisons.
const (
	Eq Op = iota + 1
	Gt
	Ge
	Lt
	Le
)

// Kind is the type of a literal.
type Kind uint8

// The types of literals.
const (
	Text Kind = iota + 1
	Number
	Bool
	Null
)

// Value is a literal.
type Value struct {
	Kind Kind
	Text string // of a Text: unquoted; of a Number: its digits
	Num  float64
	Bool bool
	// Wildcard says that an unescaped * occurs in Text: any run of characters matches it, and case does not matter.
	Wildcard bool
	// Exact says that a Number was written without suffix: text with the same digits matches as well.
	Exact bool
}

func (And) expr()         {}
func (Or) expr()          {}
func (Not) expr()         {}
func (Has) expr()         {}
func (ByGroup) expr()     {}
func (InHierarchy) expr() {}
func (Compare) expr()     {}
