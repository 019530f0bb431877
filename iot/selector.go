package iot

// Selector selects documents by what they are of. Zero values are no condition: the zero Selector selects everything.
type Selector struct {
	Source         ID
	Type, Fragment string // exact; a document has a fragment if it has a top-level member of that name
}

// Matches reports whether s selects a document of a source and type. has says whether the document has a fragment; it is asked only if that decides.
func (s Selector) Matches(source ID, kind string, has func(fragment string) bool) bool {
	return (s.Source == 0 || s.Source == source) && (s.Type == "" || s.Type == kind) && (s.Fragment == "" || has(s.Fragment))
}
