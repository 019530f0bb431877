package registrysql

// NameAtMost makes lists name no more objects of a scope one by one, so that small stores try the other ways.
func (s *Store) NameAtMost(n int) *Store { s.small = n; return s }
