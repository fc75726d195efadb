// Package source takes data in from where others keep it: a file or folder of the
// repository, a web server, S3, and what DVC keeps here or in another repository.
// Each place is looked at without reading it, and read against what was seen.
package source

import (
	"context"
	"crypto/x509"
	"io/fs"
	"time"

	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Look is what a place says of its data.
type Look struct {
	// Moved tells whether Token is another than the one that was last taken in.
	Moved bool
	Files []Sighted // sorted by Path
	// Token is what the place calls the data as it is now: the same token, the same data.
	Token string
}

// Sighted is a file as its place describes it.
type Sighted struct {
	Path     string // relative, with forward slashes; safe to lay out below a folder
	Size     int64  // bytes; -1: not stated
	ETag     string // opaque; moves when the bytes do; "" where the place has none
	Version  string // of a place that keeps versions: S3's version, another repository's commit
	Modified time.Time
}

// Source is where data comes from.
type Source interface {
	// Look asks the place what there is. It reads the data itself only where the
	// place has no name for it that moves with it. Absent data is Missing, names
	// that cannot be laid out are Invalid.
	Look(ctx context.Context) (Look, error)
	// Fetch reads all of what look saw into dir, by path. Data that is no longer what
	// look saw is Conflict. Nothing stands under its name until everything has come;
	// what had come of a Fetch that failed is not read twice by the next into the
	// same dir. dir is the caller's own; what is in it has not been synced to disk.
	// tell may be nil; it hears of bytes so far and in all, -1 where that is unknown.
	Fetch(ctx context.Context, look Look, dir string, tell func(done, total int64)) error
}

// Options are what a source may know of the world.
type Options struct {
	Env  port.Env
	Tree fs.FS  // the repository at the revision: for path and dvc
	Last string // the token that was last taken in; "" for none
	Jobs int    // files or pieces that are read at once; zero is 16

	// Allow lists the hosts and networks (names, addresses, CIDRs) that may be read
	// over HTTP although they are private.
	Allow []string
	// Roots are the authorities that HTTPS servers are checked against; nil is the system's.
	Roots *x509.CertPool

	// Clone opens another repository at a revision, "" being its default branch, and
	// tells its commit.
	Clone func(ctx context.Context, url, rev string) (tree fs.FS, commit string, err error)
	// Remote opens a remote of a repository's DVC configuration; "" is its default.
	Remote func(config *dvc.Config, name string) (port.Objects, error)
	// Bucket opens a bucket, whose keys are whole; nil is S3 itself.
	Bucket func(s schemas.S3) (port.Objects, error)
}

func (o Options) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return 16
}

func (o Options) look(files []Sighted, token string) Look {
	return Look{Moved: token != o.Last, Files: files, Token: token}
}

func (o Options) variable(name string) string {
	if o.Env.Lookup == nil {
		return ""
	}
	v, _ := o.Env.Lookup(name)
	return v
}

// Open makes ready to read src. Nothing is asked of the place yet.
func Open(src schemas.DataSource, o Options) (Source, error) {
	switch {
	case src.Path != "":
		return openPath(src.Path, o)
	case src.HTTP != nil:
		return openWeb(*src.HTTP, o)
	case src.S3 != nil:
		return openObjects(*src.S3, o)
	case src.DVC != nil:
		return openTracked(*src.DVC, o)
	}
	return nil, fault.Hint(fault.New(fault.Invalid, "the source says nowhere that data is"), "give it one of path, dvc, http and s3")
}
