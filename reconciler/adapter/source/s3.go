// Data in a bucket: one object, or all below a prefix, pinned by what the listing
// calls them.

package source

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// stored is an object, or the objects below a prefix.
type stored struct {
	o      Options
	at     port.Objects
	bucket string
	prefix string // as declared; with a slash behind, it is a folder
}

func openObjects(s schemas.S3, o Options) (port.Source, error) {
	rest, ok := strings.CutPrefix(s.URL, "s3://")
	name, prefix, _ := strings.Cut(rest, "/")
	if !ok || name == "" || strings.ContainsAny(name, "@?#") {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the source's S3 address cannot be read"), "write it as s3://bucket/prefix")
	}
	open := o.Bucket
	if open == nil {
		open = func(s schemas.S3) (port.Objects, error) {
			if err := o.Env.MayUse(s.Address()); err != nil && !s.Anonymous {
				return nil, err
			}
			if err := o.Env.MayAsk(s.Address()); err != nil {
				return nil, err
			}
			return bucket.S3(bucket.S3Options{
				Bucket: name, Endpoint: s.Endpoint, Region: s.Region, Profile: s.Profile, PathStyle: s.PathStyle, Anonymous: s.Anonymous,
				Lookup: o.Env.Lookup, Jobs: o.jobs(),
			})
		}
	}
	at, err := open(s)
	if err != nil {
		return nil, fmt.Errorf("open s3://%s: %w", name, err)
	}
	return &stored{o, at, name, prefix}, nil
}

func (s *stored) String() string { return "s3://" + s.bucket + "/" + s.prefix }

func (s *stored) Inspect(ctx context.Context) (port.Snapshot, error) {
	files, err := s.list(ctx)
	if err != nil {
		return port.Snapshot{}, fmt.Errorf("look at %s: %w", s, err)
	}
	slices.SortFunc(files, func(a, b port.SourceFile) int { return strings.Compare(a.Path, b.Path) })
	if err := download.CheckNames(files); err != nil {
		return port.Snapshot{}, fmt.Errorf("look at %s: %w", s, err)
	}
	return s.o.snapshotOf(files, listing(files)), nil
}

func (s *stored) list(ctx context.Context) ([]port.SourceFile, error) {
	if s.prefix != "" && !s.folder() {
		o, err := s.at.Stat(ctx, s.prefix)
		if err == nil {
			return []port.SourceFile{sighted(path.Base(s.prefix), o)}, nil
		}
		if fault.Of(err) != fault.Missing {
			return nil, err
		}
	}
	var files []port.SourceFile
	below := s.below()
	for o, err := range s.at.List(ctx, below) {
		if err != nil {
			return nil, err
		}
		files = append(files, sighted(strings.TrimPrefix(o.Key, below), o))
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "list: %w", err)
	}
	if len(files) == 0 {
		return nil, fault.WithHint(fault.New(fault.Missing, "there is no object"), "correct the prefix, or put the data there")
	}
	return files, nil
}

func (s *stored) folder() bool { return strings.HasSuffix(s.prefix, "/") }

// below is the prefix of a folder's keys.
func (s *stored) below() string {
	if s.prefix == "" || s.folder() {
		return s.prefix
	}
	return s.prefix + "/"
}

func sighted(name string, o port.Object) port.SourceFile {
	return port.SourceFile{Path: name, Size: o.Size, ETag: o.ETag, Version: o.Version, Modified: o.Modified}
}

// listing names files by what their place calls them. Where it has tags, dates and
// versions are left out: writing the same bytes again moves only those.
func listing(files []port.SourceFile) string {
	h := sha256.New()
	for _, f := range files {
		tag := f.ETag
		if tag == "" {
			tag = f.Version + " " + f.Modified.UTC().Format(http.TimeFormat)
		}
		fmt.Fprintf(h, "%q %d %q\n", f.Path, f.Size, tag)
	}
	return "listing:" + string(digest.FromSum(h.Sum(nil)))
}

func (s *stored) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	// A look does not say whether it saw one object or a folder; its file's name may be either's.
	single := false
	if len(look.Files) == 1 && s.prefix != "" && !s.folder() && look.Files[0].Path == path.Base(s.prefix) {
		_, err := s.at.Stat(ctx, s.prefix)
		if err != nil && fault.Of(err) != fault.Missing {
			return fmt.Errorf("fetch %s: %w", s, err)
		}
		single = err == nil
	}
	g := &download.Place{Absent: fault.Conflict, Jobs: s.o.jobs(), Pieces: true}
	g.Open = func(ctx context.Context, f port.SourceFile, from, n int64) (io.ReadCloser, error) {
		key := s.below() + f.Path
		if single {
			key = s.prefix
		}
		return openRange(ctx, s.at, key, f, port.Range{Offset: from, Length: n, ETag: f.ETag})
	}
	if err := g.Fetch(ctx, look, dir, tell); err != nil {
		return fmt.Errorf("fetch %s: %w", s, err)
	}
	return nil
}

// openRange opens a piece of an object that must be the one that was sighted.
func openRange(ctx context.Context, at port.Objects, key string, f port.SourceFile, r port.Range) (io.ReadCloser, error) {
	body, now, err := at.Get(ctx, key, r)
	if err != nil {
		return nil, err
	}
	other := now.ETag != f.ETag
	if f.ETag == "" { // dates of answers have whole seconds
		other = now.Modified.Unix() != f.Modified.Unix()
	}
	if other || now.Size != f.Size {
		body.Close()
		return nil, fault.WithHint(fault.New(fault.Conflict, "%s has changed since it was looked at", download.Quoted(f.Path)), "run the command again: it looks at the source anew")
	}
	return body, nil
}
