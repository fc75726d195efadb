// Letting go of data, and changing how it is linked: what DVC calls remove, unprotect
// and checkout --relink.

package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// Relink puts links of the configured kind in place of the files of targets, or all. What
// differs from what is pointed to stays.
func (w *Workspace) Relink(ctx context.Context, targets []string) ([]CheckedOut, error) {
	return w.relinked(ctx, targets, w.cache)
}

// Unprotect makes the files of targets copies, which may be written to.
func (w *Workspace) Unprotect(ctx context.Context, targets []string) ([]CheckedOut, error) {
	copies, err := dvccache.Open(w.cache.Root(), dvccache.Options{Types: []string{"copy"}})
	if err != nil {
		return nil, err
	}
	return w.relinked(ctx, targets, copies)
}

func (w *Workspace) relinked(ctx context.Context, targets []string, c *dvccache.Cache) ([]CheckedOut, error) {
	outs, err := w.Outputs(ctx, targets)
	if err != nil {
		return nil, err
	}
	var done []CheckedOut
	for _, o := range outs {
		if o.Out.NoCache || o.Out.OID == "" {
			continue
		}
		d, err := w.linkAnew(ctx, o, c)
		if err != nil {
			return done, fmt.Errorf("link %s: %w", o.Path, err)
		}
		done = append(done, d)
	}
	return done, nil
}

func (w *Workspace) linkAnew(ctx context.Context, o Output, c *dvccache.Cache) (CheckedOut, error) {
	d := CheckedOut{Path: o.Path}
	release, err := w.lockOutput(ctx, o.Path)
	if err != nil {
		return d, err
	}
	defer release()
	if o.Out.Hash == "" {
		c = c.Legacy()
	}
	abs := w.abs(o.Path)
	have, err := w.present(ctx, o, abs)
	if err != nil {
		return d, err
	}
	root, err := os.OpenRoot(w.root)
	if err != nil {
		return d, artifact.Disk(fmt.Errorf("open %s: %w", w.root, err), w.root)
	}
	defer root.Close()
	for p, k := range have.All() {
		oid := k.Sums().OID
		if err := ctx.Err(); err != nil {
			return d, fault.New(fault.Cancelled, "link: %w", err)
		}
		if !o.means(p) || !c.Has(oid) {
			d.Kept++
			continue
		}
		if err := folder(root, path.Dir(path.Join(o.Path, p))); err != nil {
			return d, err
		}
		at := abs
		if p != "" {
			at = filepath.Join(abs, filepath.FromSlash(p))
		}
		if _, err := c.Link(oid, at, o.exec()); err != nil {
			return d, err
		}
		d.Written++
	}
	// How they stood is known no more: the next look reads them.
	if err := os.Remove(w.memoryFile(o.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, artifact.Disk(err, w.state)
	}
	return d, nil
}

// Remove lets go of what .dvc files keep: the files themselves, and the lines of
// .gitignore. The data stays in the work tree, and in the cache until gc, unless outs.
func (w *Workspace) Remove(ctx context.Context, targets []string, outs bool) ([]string, error) {
	all, err := w.Outputs(ctx, targets)
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, o := range all {
		switch {
		case o.Stage != "":
			return gone, fault.WithHint(fault.New(fault.Invalid, "%s is made by the stage %s of %s", o.Path, o.Stage, o.File), "take the stage out of dvc.yaml")
		case len(o.only) > 0:
			return gone, fault.WithHint(fault.New(fault.Invalid, "%s is kept as a whole", o.Path), "delete the file and add it again: vishwa data add %s", o.Path)
		}
		release, err := w.lockOutput(ctx, o.Path)
		if err != nil {
			return gone, err
		}
		err = w.remove(o, outs)
		release()
		if err != nil {
			return gone, err
		}
		if !slices.Contains(gone, o.File) {
			gone = append(gone, o.File)
		}
	}
	return gone, nil
}

func (w *Workspace) remove(o Output, outs bool) error {
	root, err := os.OpenRoot(w.root)
	if err != nil {
		return artifact.Disk(fmt.Errorf("open %s: %w", w.root, err), w.root)
	}
	defer root.Close()
	if outs {
		if err := root.RemoveAll(filepath.FromSlash(o.Path)); err != nil {
			return contained(fmt.Errorf("remove %s: %w", o.Path, err), o.Path, root)
		}
	}
	if err := w.show(o.Path); err != nil {
		return err
	}
	if err := root.Remove(filepath.FromSlash(o.File)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return contained(fmt.Errorf("remove %s: %w", o.File, err), o.File, root)
	}
	return nil
}

// show takes the line back by which hide has Git ignore the data. A file without any
// line goes.
func (w *Workspace) show(rel string) error {
	file := filepath.Join(filepath.Dir(w.abs(rel)), ".gitignore")
	was, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Denied, "read %s: %w", file, err)
	}
	var now strings.Builder
	for l := range strings.Lines(string(was)) {
		if !says(l, ignoring(rel)) && !says(l, "/"+path.Base(rel)) {
			now.WriteString(l)
		}
	}
	switch now.String() {
	case string(was):
		return nil
	case "":
		return artifact.Disk(os.Remove(file), file)
	}
	return replace(file, []byte(now.String()))
}

// now is what an output's data is in the work tree: "" where there is none.
func (w *Workspace) now(ctx context.Context, o Output) (oid dvc.OID, size int64, t dvc.Tree, err error) {
	abs := w.abs(o.Path)
	if _, err := os.Stat(abs); errors.Is(err, fs.ErrNotExist) {
		return "", -1, nil, nil
	}
	ignore, err := w.ignored(o.Path)
	if err != nil {
		return "", -1, nil, err
	}
	files, err := lookPast(ctx, abs, ignore, w.workers())
	if err != nil {
		return "", -1, nil, err
	}
	inOrder(files)
	sums, err := w.named(ctx, abs, files, dvccache.LoadMemory(w.memoryFile(o.Path)), o.Out.Hash == "")
	if err != nil {
		return "", -1, nil, err
	}
	for _, k := range sums {
		size += k.Size
	}
	if len(files) == 1 && files[0].path == "" {
		return sums[0].Sums().OID, size, nil, nil
	}
	return dvc.TreeOID(manifest(files, sums)), size, treeOf(files, sums), nil
}
