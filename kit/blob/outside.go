package blob

import (
	"context"
	"io"
	"time"
)

// Outside keeps content beside the database, each under a name of letters and digits that is used once. It is safe for concurrent use.
type Outside interface {
	// Write stores all of r. When it returns nil, the content is durable. When it fails, nothing is left but what List names.
	// No space is a fault of kind Full.
	Write(ctx context.Context, name string, r io.Reader) error
	// Open reads from an offset on, as long as ctx lasts. A fault of kind NotFound if there is no such content.
	Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
	// Remove removes content, also what an interrupted Write has left. It is no error if there is none.
	Remove(ctx context.Context, name string) error
	// List names everything that is there, in any order, with the time of its writing, also what interrupted calls of Write have left.
	List(ctx context.Context, yield func(name string, written time.Time) error) error
}
