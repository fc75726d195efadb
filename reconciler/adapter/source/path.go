// Data in the repository itself. A revision has no dates and a folder's are easily
// set: what a file is called is the digest of its bytes, which are near.

package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// inTree is a file or folder of the repository.
type inTree struct {
	o    Options
	path string
}

func openPath(p string, o Options) (port.Source, error) {
	clean := path.Clean(p)
	if !fs.ValidPath(clean) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "path %s leads out of the repository", download.Quoted(p)), "give a path relative to the repository's root")
	}
	if o.Tree == nil {
		return nil, fault.WithHint(fault.New(fault.Internal, "path %s: no repository is open", download.Quoted(p)), "run it in the clone of the repository that declares the dataset")
	}
	return &inTree{o, clean}, nil
}

func (s *inTree) Inspect(ctx context.Context) (port.Snapshot, error) {
	st, err := fs.Lstat(s.o.Tree, s.path)
	if err != nil {
		return port.Snapshot{}, s.classed(err, s.path)
	}
	var files []port.SourceFile
	if !st.IsDir() {
		files = []port.SourceFile{{Path: path.Base(s.path)}}
		err = regular(s.path, st.Mode())
	} else {
		files, err = s.below(ctx)
	}
	if err == nil {
		err = download.CheckNames(files)
	}
	if err == nil {
		err = s.name(ctx, files, st.IsDir())
	}
	if err != nil {
		return port.Snapshot{}, err
	}
	m := make(digest.Manifest, len(files))
	for i, f := range files {
		m[i] = digest.File{Path: f.Path, Digest: digest.Digest(f.ETag), Size: f.Size}
	}
	if !st.IsDir() {
		return s.o.snapshotOf(files, files[0].ETag), nil
	}
	return s.o.snapshotOf(files, string(m.Digest())), nil
}

func (s *inTree) below(ctx context.Context) ([]port.SourceFile, error) {
	var files []port.SourceFile
	err := fs.WalkDir(s.o.Tree, s.path, func(p string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return fault.New(fault.Cancelled, "list %s: %w", download.Quoted(s.path), ctx.Err())
		case err != nil:
			return s.classed(err, p)
		case e.IsDir():
			return nil
		}
		files = append(files, port.SourceFile{Path: within(s.path, p)})
		return regular(p, e.Type())
	})
	if err == nil && len(files) == 0 {
		err = fault.WithHint(fault.New(fault.Missing, "folder %s holds no file", download.Quoted(s.path)), "put at least one file into it")
	}
	slices.SortFunc(files, func(a, b port.SourceFile) int { return strings.Compare(a.Path, b.Path) })
	return files, err
}

// name takes the size and the digest of each file.
func (s *inTree) name(ctx context.Context, files []port.SourceFile, folder bool) error {
	g, inner := routine.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range files {
		if inner.Err() != nil {
			break
		}
		g.Start(func() error {
			p := s.at(files[i].Path, folder)
			f, err := s.o.Tree.Open(p)
			if err != nil {
				return s.classed(err, p)
			}
			defer f.Close()
			d, n, err := artifact.Sum(inner, f)
			if err != nil {
				return s.classed(err, p)
			}
			files[i].ETag, files[i].Size = string(d), n
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Cancelled, "read %s: %w", download.Quoted(s.path), err)
	}
	return nil
}

func (s *inTree) at(name string, folder bool) string {
	if folder {
		return path.Join(s.path, name)
	}
	return s.path
}

func (s *inTree) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	st, err := fs.Lstat(s.o.Tree, s.path)
	if err != nil {
		return s.moved(err)
	}
	g := &download.Place{Absent: fault.Conflict, Jobs: s.o.jobs(), Check: matches}
	g.Open = func(ctx context.Context, f port.SourceFile, from, _ int64) (io.ReadCloser, error) {
		p := s.at(f.Path, st.IsDir())
		in, err := s.o.Tree.Open(p)
		if err != nil {
			return nil, s.classed(err, p)
		}
		if now, err := in.Stat(); err != nil || now.Size() != f.Size {
			in.Close()
			return nil, fault.WithHint(fault.New(fault.Conflict, "%s has changed since it was looked at", download.Quoted(p)), "run the command again: it looks at the source anew")
		}
		if err := skip(in, from); err != nil {
			in.Close()
			return nil, s.classed(err, p)
		}
		return &fileBody{in, ctx, s, p}, nil
	}
	return g.Fetch(ctx, look, dir, tell)
}

func (s *inTree) moved(err error) error {
	err = s.classed(err, s.path)
	if fault.Of(err) == fault.Missing {
		return fault.WithHint(fault.New(fault.Conflict, "%w", err), "run the command again: it looks at the source anew")
	}
	return err
}

// fileBody ends with its context, which no file knows of.
type fileBody struct {
	fs.File
	ctx context.Context
	s   *inTree
	p   string
}

func (b *fileBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, b.s.classed(err, b.p)
	}
	n, err := b.File.Read(p)
	if err != nil && err != io.EOF {
		err = b.s.classed(err, b.p)
	}
	return n, err
}

// skip passes over the first n bytes.
func skip(r io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	if seeker, ok := r.(io.Seeker); ok {
		_, err := seeker.Seek(n, io.SeekStart)
		return err
	}
	_, err := io.CopyN(io.Discard, bufio.NewReader(r), n)
	return err
}

// classed gives an error of the tree its kind.
func (s *inTree) classed(err error, p string) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Cancelled, "read %s: %w", download.Quoted(p), err)
	case errors.Is(err, fs.ErrNotExist):
		return fault.WithHint(fault.New(fault.Missing, "%s is not in the repository", download.Quoted(p)), "commit it, or correct the path")
	case errors.Is(err, fs.ErrPermission):
		return fault.WithHint(fault.New(fault.Denied, "read %s: permission denied", download.Quoted(p)), "let this user read it")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Transient, "read %s: %w", download.Quoted(p), err)
	}
	return fmt.Errorf("read %s: %w", download.Quoted(p), err)
}

func regular(p string, m fs.FileMode) error {
	if m.IsRegular() {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "%s is not a regular file", download.Quoted(p)), "replace it with a copy of the file that is meant")
}

// matches holds a file against the digest that it was sighted with.
func matches(ctx context.Context, f port.SourceFile, at string) error {
	if d, err := download.Sum(ctx, at); err != nil || string(d) == f.ETag {
		return err
	}
	return fault.WithHint(fault.New(fault.Conflict, "%s has changed since it was looked at", download.Quoted(f.Path)), "run the command again: it looks at the source anew")
}

// within is p as seen from the folder dir.
func within(dir, p string) string {
	if dir == "." {
		return p
	}
	return strings.TrimPrefix(p, dir+"/")
}
