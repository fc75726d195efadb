// Objects by name: what a DVC remote, a store of artifacts and a source's prefix
// have in common.

package port

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Object is what is known of stored bytes without reading them.
type Object struct {
	Key      string
	Size     int64  // bytes
	ETag     string // opaque; moves when the bytes do; "" where the place has none
	Version  string // of a place that keeps versions; "" elsewhere
	Modified time.Time
}

// Range is the piece of an object that is read. Length below zero is to the end;
// the zero Range is therefore nothing, and All is everything.
type Range struct {
	Offset, Length int64
	ETag           string // the object must still be this one, else Conflict; "" is any
}

// All is the range of a whole object, whichever it is now.
var All = Range{Length: -1}

// ErrAbsent says that it is the place that is not there: a folder that is not mounted,
// a bucket that nobody made. It comes as Missing, as its objects are.
var ErrAbsent = errors.New("it is not there")

// Objects is a place to read objects from. Keys are slash-separated, relative to
// the place, and never climb out of it: one that would is Invalid.
type Objects interface {
	// Stat tells of an object; an absent one is Missing.
	Stat(ctx context.Context, key string) (Object, error)
	// List yields the objects whose key begins with prefix, in byte order of their
	// keys. It ends at the first error, which is yielded with a zero Object.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Get reads a piece of an object. A body that ends before what was promised
	// fails with Transient instead of io.EOF. The Object's Size is the whole's.
	Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error)
}

// Bucket is a place to keep objects in.
type Bucket interface {
	Objects
	// Put keeps the size bytes of r under key, in place of what was there. Half a
	// Put is invisible, also after kill -9, and a Put that was cut off may be given
	// again: what had arrived of a large one is not sent twice where the place can tell.
	Put(ctx context.Context, key string, r io.ReaderAt, size int64) (Object, error)
	// Delete removes objects; an absent one is no error. On an error the rest may be gone.
	Delete(ctx context.Context, keys ...string) error
}

// NamedPutter is a Bucket that holds what it is given against its name while it sends it, so that it need not be read before. Bytes that
// are not what they are named are Corrupt, and are not kept.
type NamedPutter interface {
	PutNamed(ctx context.Context, key string, r io.ReaderAt, size int64, name digest.Digest) (Object, error)
}

// ConditionalPutter is a Bucket that writes over nothing that its caller did not see.
type ConditionalPutter interface {
	// PutIf is Put, where the object is still the one of etag; "" is that there is none. Else it is a Conflict, and what is there stays.
	PutIf(ctx context.Context, key string, r io.ReaderAt, size int64, etag string) (Object, error)
}
