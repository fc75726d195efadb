// How data that a revision points to stands in the work tree and at its remote, as plan
// and apply ask: the files are those that status reads, and the remote is asked once for
// each output, as its manifest goes there last.

package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Changed tells, by path, which data of the work tree is not what points name. What is not
// in the work tree at all is left out.
func (w *Workspace) Changed(ctx context.Context, points []port.DataPointer) (map[string]port.DataChange, error) {
	out := map[string]port.DataChange{}
	for _, p := range points {
		o := Output{File: p.File, Path: p.Path, Out: dvc.Out{OID: dvc.OID(p.Name), Hash: "md5", Size: p.Size, NFiles: p.Files}}
		if p.Layout == dvc.DVC2 {
			differs, err := w.resized(ctx, p)
			if err != nil {
				return nil, err
			}
			if differs {
				out[p.Path] = port.DataChange{What: Modified}
			}
			continue
		}
		s, err := w.stands(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("compare %s with %s: %w", p.Path, p.File, err)
		}
		if s.State == Modified {
			out[p.Path] = s.change()
		}
	}
	return out, nil
}

// change says what of an output was modified.
func (s Status) change() port.DataChange {
	c := port.DataChange{What: Modified, Missing: len(s.Deleted) > 0 && len(s.Added)+len(s.Modified) == 0}
	var parts []string
	for _, part := range []struct {
		files []string
		what  string
	}{{s.Added, "added"}, {s.Modified, Modified}, {s.Deleted, Deleted}} {
		if n := len(part.files); n > 0 {
			parts = append(parts, plural.Of(n, "file")+" "+part.what)
		}
	}
	if len(parts) > 0 {
		c.What = strings.Join(parts, ", ")
	}
	return c
}

// resized tells whether data that DVC 2 named has another size, or other many files, than
// its pointer states: its names cannot be remembered, and reading it all each time is for
// status to do.
func (w *Workspace) resized(ctx context.Context, p port.DataPointer) (bool, error) {
	ignore, err := w.ignored(p.Path)
	if err != nil {
		return false, err
	}
	if _, err := os.Lstat(w.abs(p.Path)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	files, err := lookPast(ctx, w.abs(p.Path), ignore, w.workers())
	var bytes int64
	for _, f := range files {
		bytes += f.stamp.Size
	}
	return p.Size >= 0 && bytes != p.Size || p.Files >= 0 && int64(len(files)) != p.Files, err
}

// Unpushed tells, by path, which data is not on the remote that its pointer means, and the
// remote's name. Where a remote does not answer, or may not be asked, nothing is said of
// what it would have.
func (w *Workspace) Unpushed(ctx context.Context, points []port.DataPointer, may func(remote string) bool) (lack map[string]string, silent error) {
	lack = map[string]string{}
	by := map[load][]port.DataPointer{}
	for _, p := range points {
		if !p.NoPush {
			l := load{p.Remote, p.Layout == dvc.DVC2}
			by[l] = append(by[l], p)
		}
	}
	if name, _ := w.config.Get("core", "remote"); name == "" {
		delete(by, load{"", false})
		delete(by, load{"", true})
	}
	for l, some := range by {
		if rc, err := w.config.Remote(l.remote); err != nil || !may(rc.Name) {
			silent = err
			continue
		}
		r, err := w.Remote(l.remote)
		if err != nil {
			silent = err
			continue
		}
		r.Legacy = l.legacy
		oids := make([]dvc.OID, len(some))
		for i, p := range some {
			oids[i] = dvc.OID(p.Name)
		}
		there, err := r.Present(ctx, oids)
		if err != nil {
			silent = err
			continue
		}
		for _, p := range some {
			if _, has := there[dvc.OID(p.Name)]; !has {
				lack[p.Path] = r.Name
			}
		}
	}
	return lack, silent
}
