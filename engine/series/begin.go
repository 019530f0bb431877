package series

import "context"

// Beginner is the optional ability of a Store to do an Append in two halves, so that the next one can begin while the disk is busy with the
// one before.
type Beginner interface {
	// Begin does what Append does but for waiting: when it returns nil, the entries have their place behind all that were begun before, M.Seq is
	// set, readers may see them, and entries may be used for something else. durable must be called once; it returns when the entries are
	// durable, or with the error that Append would have returned. Entries that were begun later are never durable before these.
	Begin(ctx context.Context, entries []Entry) (durable func() error, err error)
}

// Begin uses the store's own Begin if there is one, else it is a whole Append.
func Begin(ctx context.Context, s Store, entries []Entry) (durable func() error, err error) {
	if b, ok := s.(Beginner); ok {
		return b.Begin(ctx, entries)
	}
	return func() error { return nil }, s.Append(ctx, entries)
}
