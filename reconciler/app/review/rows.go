// The rows of data that Git itself keeps, or that is near: read when it has changed, for what they are like
// and whether they are what is declared of them, before a pin would refuse them.

package review

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"path"

	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/schemas"
)

// readAll is how many bytes of all datasets together are read so for one plan.
const readAll = 256 << 20

// rows reads the data of n, where it is here and not too much. What cannot be
// read as what it is declared to be is told as what it violates.
func (l *look) rows(ctx context.Context, n *graph.Node, tree fs.FS, s *side) error {
	spec := n.Decl.Spec.(schemas.Data).Data()
	files, err := l.files(ctx, n, tree)
	if err != nil || files == nil {
		return err
	}
	found, err := quality.Data(ctx, spec, files, l.Now)
	switch {
	case err != nil && fault.Of(err) == fault.Invalid:
		s.broken, s.refused = []string{err.Error()}, true
		return nil
	case err != nil:
		return err
	case found.Profile == nil:
		return nil
	}
	found.Profile.Violations = found.Violations
	s.shows(found.Profile)
	s.refused = len(found.Violations) > 0 && spec.Violations != "warn"
	return nil
}

// files are those of the data of n, where they are here and not too much to be read.
func (l *look) files(ctx context.Context, n *graph.Node, tree fs.FS) (files []quality.File, err error) {
	switch {
	case n.Points != nil && l.Near != nil:
		if files, err = l.Near(ctx, *n.Points); err != nil {
			return nil, err
		}
	case n.Points != nil:
		return nil, nil
	default:
		at := path.Clean(n.Decl.Spec.(schemas.Data).Data().Source.Path)
		for _, f := range n.Data.Files {
			files = append(files, inTree(tree, path.Join(at, f.Path), f.Size))
		}
		if n.Data.Files == nil {
			files = append(files, inTree(tree, at, n.Data.Size))
		}
	}
	size := int64(0)
	for _, f := range files {
		size += f.Size
	}
	if l.left -= size; l.left < 0 || size > largest {
		return nil, nil
	}
	return files, nil
}

// inTree is a file of a tree that can be read at any place.
func inTree(tree fs.FS, name string, size int64) quality.File {
	return quality.File{Path: name, Size: size, Open: func(context.Context) (quality.Content, error) {
		in, err := tree.Open(name)
		if err != nil {
			return nil, fault.New(fault.Denied, "read %s: %w", name, err)
		}
		if at, ok := in.(quality.Content); ok {
			return at, nil
		}
		defer in.Close()
		b, err := io.ReadAll(io.LimitReader(in, largest))
		return struct {
			io.ReaderAt
			io.Closer
		}{bytes.NewReader(b), io.NopCloser(nil)}, err
	}}
}
