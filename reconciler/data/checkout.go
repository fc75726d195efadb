// The work tree brought to what the repository points to. What is there and is in
// no cache is a person's work: it stays, unless it is said that it may go.

package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// CheckedOut is what a checkout did to one output.
type CheckedOut struct {
	Path    string `json:"path"`
	Written int64  `json:"written"` // files
	Removed int64  `json:"removed"`
	Kept    int64  `json:"kept"` // that stood as they should
}

// Checkout brings the outputs of targets, or all, into the work tree. Nothing is
// touched of an output of which the cache lacks something.
func (w *Workspace) Checkout(ctx context.Context, targets []string, force bool) ([]CheckedOut, error) {
	outs, err := w.Outputs(ctx, targets)
	if err != nil {
		return nil, err
	}
	w.tidy(outs)
	var done []CheckedOut
	var errs []error
	for _, o := range outs {
		if o.Out.NoCache || o.Out.OID == "" {
			continue
		}
		c, err := w.checkout(ctx, o, force)
		if err != nil {
			errs = append(errs, fmt.Errorf("check out %s: %w", o.Path, err))
			continue
		}
		done = append(done, c)
	}
	return done, errors.Join(errs...)
}

// tidy removes what commands that were killed left beside outputs and their pointers.
func (w *Workspace) tidy(outs []Output) {
	dirs := map[string]bool{w.state: true, filepath.Join(w.root, ".dvc"): true}
	for _, o := range outs {
		dirs[filepath.Dir(w.abs(o.Path))], dirs[filepath.Dir(w.abs(o.File))] = true, true
	}
	for dir := range dirs {
		dvccache.Tidy(dir)
	}
}

func (w *Workspace) checkout(ctx context.Context, o Output, force bool) (CheckedOut, error) {
	c := CheckedOut{Path: o.Path}
	release, err := w.lockOutput(ctx, o.Path)
	if err != nil {
		return c, err
	}
	defer release()
	want := dvc.Tree{{OID: o.Out.OID, Size: o.Out.Size}}
	if o.Out.OID.IsDir() {
		if !w.store(o).Has(o.Out.OID) {
			return c, notCached(o.Path, []dvc.OID{o.Out.OID})
		}
		if want, err = w.store(o).Tree(ctx, o.Out.OID); err != nil {
			return c, err
		}
		if want, err = o.meant(want); err != nil {
			return c, err
		}
	}
	linker, err := w.store(o).Linker()
	if err != nil {
		return c, err
	}
	defer linker.Close()
	if lacking := lackingOf(linker, want); len(lacking) > 0 {
		return c, notCached(o.Path, lacking)
	}
	abs := w.abs(o.Path)
	have, err := w.present(ctx, o, abs)
	if err != nil {
		return c, err
	}
	if err := w.safe(o, have, want, force); err != nil {
		return c, err
	}
	if err := w.swap(ctx, o, abs, force); err != nil {
		return c, err
	}
	known, err := w.lay(ctx, laying{o, abs, want, have, linker}, &c)
	// Without what is known now, the next command reads the files.
	if file := w.memoryFile(o.Path); err == nil && c.Kept == 0 && len(o.only) == 0 {
		_ = dvccache.Remember(file, o.Out.OID, len(want), func(i int) (string, dvccache.FileState) { return want[i].Path, known[i] })
	} else {
		if err == nil && len(o.only) == 0 { // what is laid by half is no whole, and has no name
			have.Tree = o.Out.OID
		}
		_ = have.Save(file)
	}
	return c, err
}

// lackingOf lists what of want the cache does not have.
func lackingOf(cache *dvccache.Linker, want dvc.Tree) (out []dvc.OID) {
	for _, f := range want {
		if !cache.Has(f.OID) {
			out = append(out, f.OID)
		}
	}
	return out
}

// present is what the work tree has of an output, by path; nil where it has nothing.
func (w *Workspace) present(ctx context.Context, o Output, abs string) (*dvccache.Memory, error) {
	st, err := os.Lstat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return dvccache.NewMemory(0), nil
	}
	if err != nil {
		return nil, fault.New(fault.Denied, "look at %s: %w", o.Path, err)
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		if _, err := os.Stat(abs); err != nil { // to an object that is gone
			return dvccache.NewMemory(0), nil
		}
	}
	ignore, err := w.ignored(o.Path)
	if err != nil {
		return nil, err
	}
	files, err := lookPast(ctx, abs, tidied(abs, ignore), w.workers())
	if err != nil {
		return nil, err
	}
	sums, err := w.named(ctx, abs, files, dvccache.LoadMemory(w.memoryFile(o.Path)), o.Out.Hash == "")
	if err != nil {
		return nil, err
	}
	return byPath(files, sums), nil
}

// safe refuses to overwrite or remove bytes that are nowhere else.
func (w *Workspace) safe(o Output, have *dvccache.Memory, want dvc.Tree, force bool) error {
	if force || have.Len() == 0 {
		return nil
	}
	stays := make(map[string]dvc.OID, len(want))
	for _, f := range want {
		stays[f.Path] = f.OID
	}
	var lost []string
	for p, k := range have.All() {
		if o.means(p) && !k.Is(stays[p]) && !w.store(o).Has(k.Sums().OID) {
			lost = append(lost, filepath.Join(o.Path, p))
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "it would overwrite what is saved nowhere: %s", listed(lost)), "save it with vishwa data add %s, or let it go with --force", o.Path)
}

// swap refuses to put a file where a folder is, or the reverse, and to lose what is in
// it, whatever of it is meant or ignored.
func (w *Workspace) swap(ctx context.Context, o Output, abs string, force bool) error {
	st, err := os.Lstat(abs)
	if err != nil || force || st.IsDir() == o.Out.OID.IsDir() || st.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	lost, err := w.unsaved(ctx, o)
	if err == nil && len(lost) > 0 {
		err = fault.WithHint(fault.New(fault.Conflict, "it would overwrite what is saved nowhere: %s", listed(lost)), "move it away, or let it go with --force")
	}
	return err
}

// laying is an output that is brought to what is wanted.
type laying struct {
	Output
	abs  string
	want dvc.Tree
	have *dvccache.Memory // what is there
	from *dvccache.Linker
}

// lay writes what differs and removes what is not wanted. It tells what is known of each
// file that was written, in order.
func (w *Workspace) lay(ctx context.Context, l laying, c *CheckedOut) ([]dvccache.FileState, error) {
	o, abs, want := l.Output, l.abs, l.want
	root, err := os.OpenRoot(w.root) // which no link leads out of
	if err != nil {
		return nil, artifact.Disk(fmt.Errorf("open %s: %w", w.root, err), w.root)
	}
	defer root.Close()
	dir := o.Out.OID.IsDir()
	if err := folder(root, path.Dir(o.Path)); err != nil {
		return nil, err
	}
	if st, err := os.Lstat(abs); err == nil && st.IsDir() != dir {
		if err := os.RemoveAll(abs); err != nil { // safe has looked at what is in it
			return nil, artifact.Disk(fmt.Errorf("remove %s: %w", o.Path, err), abs)
		}
		*l.have = *dvccache.NewMemory(0)
	}
	if dir {
		if err := folder(root, o.Path); err != nil {
			return nil, err
		}
	}
	todo := want
	if l.have.Len() > 0 {
		todo = want[:0:0]
		wanted := make(map[string]struct{}, len(want))
		for _, f := range want {
			if was, ok := l.have.Get(f.Path); ok && was.Is(f.OID) {
				c.Kept++
			} else {
				todo = append(todo, f)
			}
			wanted[f.Path] = struct{}{}
		}
		if err := l.remove(root, wanted, c); err != nil { // first: a folder may be wanted where a file was
			return nil, err
		}
	}
	c.Written = int64(len(todo))
	return w.write(ctx, root, l, todo)
}

// folder makes a folder of the repository, in which nothing leads elsewhere.
func folder(root *os.Root, rel string) error {
	at := filepath.FromSlash(rel)
	err := root.MkdirAll(at, 0o777)
	if err == nil {
		_, err = root.Stat(at)
	}
	if err != nil {
		return contained(fmt.Errorf("make %s: %w", rel, err), rel, root)
	}
	return nil
}

// contained tells of a symbolic link that leads out of the repository.
func contained(err error, rel string, root *os.Root) error {
	real, lost := filepath.EvalSymlinks(filepath.Join(root.Name(), filepath.FromSlash(path.Dir(rel))))
	if whole, bad := filepath.EvalSymlinks(filepath.Join(root.Name(), filepath.FromSlash(rel))); bad == nil {
		real, lost = whole, nil
	}
	if lost == nil && real != root.Name() && !strings.HasPrefix(real, root.Name()+string(filepath.Separator)) {
		return fault.WithHint(fault.New(fault.Invalid, "a symbolic link leads %s out of the repository, to %s", rel, real), "remove the link, then check out again")
	}
	return artifact.Disk(err, root.Name())
}

// remove takes away what is not wanted, and the folders that it leaves empty.
func (l laying) remove(root *os.Root, wanted map[string]struct{}, c *CheckedOut) error {
	var gone []string
	for p := range l.have.All() {
		if _, stays := wanted[p]; !stays && l.means(p) {
			gone = append(gone, p)
		}
	}
	for _, p := range gone {
		at := path.Join(l.Path, p)
		if err := root.Remove(filepath.FromSlash(at)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return contained(fmt.Errorf("remove %s: %w", at, err), at, root)
		}
		l.have.Forget(p)
		c.Removed++
		for up := path.Dir(at); len(up) > len(l.Path); up = path.Dir(up) {
			if root.Remove(filepath.FromSlash(up)) != nil {
				break // not empty
			}
		}
	}
	return nil
}

// write links the files of todo, several side by side; folders are made once.
func (w *Workspace) write(ctx context.Context, root *os.Root, l laying, todo dvc.Tree) ([]dvccache.FileState, error) {
	known := make([]dvccache.FileState, len(todo))
	last := ""
	for _, f := range todo {
		if d := path.Join(l.Path, path.Dir(f.Path)); f.Path != "" && d != last {
			if err := folder(root, d); err != nil {
				return nil, err
			}
			last = d
		}
	}
	g, ctx := routine.WithContext(ctx)
	var next atomic.Int64
	for range min(len(todo), w.workers()) {
		g.Start(func() error {
			near := nearby{open: func(dir string) (*os.File, error) {
				f, err := root.Open(filepath.FromSlash(path.Clean(dir)))
				if err != nil {
					return nil, contained(fmt.Errorf("open %s: %w", dir, err), dir, root)
				}
				return f, nil
			}}
			defer near.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(todo) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return fault.New(fault.Cancelled, "check out: %w", err)
				}
				at := l.Path
				if todo[i].Path != "" {
					at += "/" + todo[i].Path
				}
				to, err := near.spot(at)
				if err != nil {
					return err
				}
				if known[i], err = l.from.Link(todo[i].OID, to, l.exec()); err != nil {
					return err
				}
			}
		})
	}
	err := g.Wait()
	if l.have.Len() > 0 {
		for i := range known {
			l.have.Put(todo[i].Path, known[i])
		}
	}
	return known, err
}
