// Where data comes from.

package port

import (
	"context"
	"time"
)

// Snapshot is what a place says of its data.
type Snapshot struct {
	// Changed tells whether Token is another than the one that was last taken in.
	Changed bool
	Files   []SourceFile // sorted by Path
	// Token is what the place calls the data as it is now: the same token, the same data.
	Token string
}

// SourceFile is a file as its place describes it.
type SourceFile struct {
	Path     string // relative, with forward slashes; safe to lay out below a folder
	Size     int64  // bytes; -1: not stated
	ETag     string // opaque; moves when the bytes do; "" where the place has none
	Version  string // of a place that keeps versions: S3's version, another repository's commit
	Modified time.Time
}

// Source is where data comes from: a file or folder, a web server, a bucket, what DVC keeps.
type Source interface {
	// Inspect asks the place what there is. It reads the data itself only where the
	// place has no name for it that moves with it. Absent data is Missing, names
	// that cannot be laid out are Invalid.
	Inspect(ctx context.Context) (Snapshot, error)
	// Fetch reads all of what look saw into dir, by path. Data that is no longer what
	// look saw is Conflict. Nothing stands under its name until everything has come;
	// what had come of a Fetch that failed is not read twice by the next into the
	// same dir. dir is the caller's own; what is in it has not been synced to disk.
	// tell may be nil; it hears of bytes so far and in all, -1 where that is unknown.
	Fetch(ctx context.Context, look Snapshot, dir string, tell func(done, total int64)) error
}
