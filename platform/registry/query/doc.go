// Package query parses the query language of the inventory: $filter and $orderby expressions of the parameters query and q.
//
//	query   = [ "$filter=" [ expr ] ] [ "$orderby=" order *( "," order ) ]  /  expr [ "$orderby=" ... ]
//	order   = path [ "asc" / "desc" ]
//	expr    = and *( "or" and )
//	and     = not *( "and" not )
//	not     = [ "not" ] ( "(" expr ")" / func / path op value )
//	op      = "eq" / "gt" / "ge" / "lt" / "le"
//	func    = ( "has" / "hasany" / "bygroupid" / "isinhierarchyof" ) "(" arg *( "," arg ) ")"
//	value   = "'" chars "'" / number [ "f" / "d" ] / "true" / "false" / "null" / bareword
//
// It only parses: what an expression means for a store is the driver's business, and the conformance suite of the registry pins it.
// Parsing is safe on any input: depth and length are bounded, and every error says where and what was expected.
package query
