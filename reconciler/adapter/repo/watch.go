// Watching a checkout being read: whoever has read all that a tree declares can
// ask, for the price of some look-ups, whether a revision holds the same bytes.

package repo

import (
	"context"
	"crypto/sha1" // Git's own name of a file's bytes
	"fmt"
	"hash"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
)

// Watch is the checkout, and a question about all that was read of it until it is
// asked: does revision sha hold the same under the same names? A no may be wrong,
// as where a file was read in part; a yes is not. At remembered stands what files held that have not
// changed since.
func (r *Repo) Watch(remembered recall.Memory) (tree fs.FS, same func(ctx context.Context, sha string) (bool, error)) {
	if r.root == nil {
		return noWorktree{}, func(context.Context, string) (bool, error) { return false, nil }
	}
	w := &watched{worktree: worktree{r, newClean(r), &near{}}, files: map[string]plumbing.Hash{}, folders: map[string][]fs.DirEntry{}, absent: map[string]bool{},
		recalled: recalled{at: remembered, now: recall.Known{}, read: map[string]dvccache.Stamp{}}}
	return w, w.same
}

// watched is a checkout that remembers what was read of it.
type watched struct {
	worktree
	mu      sync.Mutex
	files   map[string]plumbing.Hash // zero: what was read is not the whole file
	folders map[string][]fs.DirEntry
	absent  map[string]bool

	recalled recalled
}

var (
	_ fs.ReadDirFS = (*watched)(nil)
	_ fs.StatFS    = (*watched)(nil)
)

func (w *watched) Open(name string) (fs.File, error) {
	if f, at, settled, err := w.near.open(w.worktree, name); err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.recalled.read, name); settled {
			w.recalled.read[name] = at
		}
		return w.naming(f, name, at.Size), nil
	}
	f, err := w.worktree.Open(name)
	if err != nil {
		w.miss(name)
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if d, ok := f.(*folder); ok {
		w.folders[name] = d.rest
		return f, nil
	}
	if g, ok := f.(interface{ gitName() plumbing.Hash }); ok { // Git's own word
		w.noted(name, g.gitName())
		return f, nil
	}
	return w.naming(f, name, info.Size()), nil
}

// naming is f, of size bytes, which is named when all of it was read; the caller holds the lock.
func (w *watched) naming(f fs.File, name string, size int64) fs.File {
	if _, ok := w.files[name]; !ok {
		w.files[name] = plumbing.ZeroHash
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", size)
	return &watchedFile{File: f, name: name, size: size, hash: h, watched: w}
}

func (w *watched) ReadDir(name string) ([]fs.DirEntry, error) {
	l, err := w.worktree.ReadDir(name)
	if err != nil {
		w.miss(name)
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.folders[name] = l
	return l, nil
}

func (w *watched) miss(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.absent[name] = true
}

// same compares with a revision. Names in a folder that the revision has not are
// passed over: whatever is made of one, it is opened first.
func (w *watched) same(ctx context.Context, sha string) (bool, error) {
	defer w.repo.rest()
	at, err := w.repo.Open(ctx, sha)
	if err != nil {
		return false, err
	}
	head := at.(*tree)
	w.near.mu.Lock()
	w.near.close()
	w.near.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recalled.keep()
	within := map[string][]fs.DirEntry{} // by folder, which most files share
	for name, is := range w.files {
		dir, base := path.Split(name)
		l, ok := within[dir]
		if !ok {
			if n, err := head.find("open", path.Clean(dir)); err == nil && n.IsDir() {
				l, _ = n.children()
			}
			within[dir] = l
		}
		i, ok := slices.BinarySearchFunc(l, base, func(e fs.DirEntry, s string) int { return strings.Compare(e.Name(), s) })
		if !ok {
			return false, nil
		}
		if n := l[i].(*node); !n.mode.IsRegular() || n.hash != is {
			return false, nil
		}
	}
	for name, l := range w.folders {
		if !head.hasWithin(name, l) {
			return false, nil
		}
	}
	for name := range w.absent {
		if _, err := head.find("open", name); err == nil {
			return false, nil
		}
	}
	return true, nil
}

// hasWithin tells whether the folder has nothing that l has not.
func (t *tree) hasWithin(name string, l []fs.DirEntry) bool {
	n, err := t.find("readdir", name)
	if err != nil || !n.IsDir() {
		return false
	}
	own, err := n.children()
	if err != nil {
		return false
	}
	i := 0
	for _, e := range own {
		for i < len(l) && strings.Compare(l[i].Name(), e.Name()) < 0 {
			i++
		}
		if i == len(l) || l[i].Name() != e.Name() || l[i].Type()&^fs.ModeIrregular != e.Type()&^fs.ModeIrregular {
			return false
		}
	}
	return true
}

// watchedFile names what is read of a file.
type watchedFile struct {
	fs.File
	name    string
	size    int64
	read    int64
	hash    hash.Hash
	watched *watched
}

func (f *watchedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if n > 0 {
		f.read += int64(n)
		f.hash.Write(p[:n])
	}
	return n, err
}

// Close notes the file's name in Git. One that was changed between two readings
// has none that holds.
func (f *watchedFile) Close() error {
	if f.read == f.size {
		var is plumbing.Hash
		copy(is[:], f.hash.Sum(nil))
		f.watched.note(f.name, is)
	}
	return f.File.Close()
}

func (w *watched) note(name string, is plumbing.Hash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted(name, is)
}

func (w *watched) noted(name string, is plumbing.Hash) {
	if was := w.files[name]; !was.IsZero() && was != is {
		is = plumbing.NewHash(strings.Repeat("f", 2*len(is)))
	}
	w.files[name] = is
}
