// A revision's tree as a file system, read from Git's objects: no checkout, no
// filters, no line-end conversion, no symbolic link followed.

package repo

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// Open is the revision's tree, read-only. Symbolic links are listed as such and
// cannot be opened; submodules are empty folders whose mode is irregular. In the user's
// own clone a file holds what a checkout of it would, line ends aside. An unknown revision is Missing.
func (r *Repo) Open(ctx context.Context, sha string) (fs.FS, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.commit(sha)
	if err != nil {
		return nil, err
	}
	return &tree{repo: r, sha: sha, at: c.Committer.When, root: c.TreeHash, dirs: map[plumbing.Hash][]fs.DirEntry{}}, nil
}

// commit reads a commit; the caller holds the lock.
func (r *Repo) commit(sha string) (*object.Commit, error) {
	if !plumbing.IsHash(sha) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q is not a revision", sha), "give the 40 hex digits that git rev-parse prints")
	}
	c, err := object.GetCommit(r.store, plumbing.NewHash(sha))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		r.store.Reindex() // git may have packed the objects meanwhile
		c, err = object.GetCommit(r.store, plumbing.NewHash(sha))
	}
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fault.WithHint(fault.New(fault.Missing, "revision %s is not in %s", sha, r.Dir()), "fetch it: git fetch --unshallow, or git fetch origin %s", sha)
	}
	if err != nil {
		return nil, gitstore.Damaged("read revision %s: %w", sha, err)
	}
	return c, nil
}

type tree struct {
	repo *Repo
	sha  string
	root plumbing.Hash
	at   time.Time
	dirs map[plumbing.Hash][]fs.DirEntry // guarded by repo.mu

	asked      sync.Once
	filters    map[string]bool // see filtered
	filtersErr error
}

var (
	_ fs.ReadDirFS  = (*tree)(nil)
	_ fs.ReadFileFS = (*tree)(nil)
	_ fs.StatFS     = (*tree)(nil)
)

// node is a file, folder or link of a tree.
type node struct {
	tree *tree
	name string
	mode fs.FileMode
	hash plumbing.Hash
	sub  bool // a submodule
}

func (n *node) Name() string               { return n.name }
func (n *node) IsDir() bool                { return n.mode.IsDir() }
func (n *node) Type() fs.FileMode          { return n.mode.Type() }
func (n *node) Mode() fs.FileMode          { return n.mode }
func (n *node) ModTime() time.Time         { return n.tree.at }
func (n *node) Sys() any                   { return nil }
func (n *node) Info() (fs.FileInfo, error) { return n.info() }

// info is n with its size, which costs reading the object's header.
func (n *node) info() (fs.FileInfo, error) {
	s := &stat{node: n}
	if n.IsDir() {
		return s, nil
	}
	n.tree.repo.mu.Lock()
	defer n.tree.repo.mu.Unlock()
	size, err := n.tree.repo.store.EncodedObjectSize(n.hash)
	if err != nil {
		return nil, gitstore.Damaged("read %s: %w", n.name, err)
	}
	s.size = size
	return s, nil
}

type stat struct {
	*node
	size int64
}

func (s *stat) Size() int64 { return s.size }

// list reads a folder; the caller holds the lock.
func (t *tree) list(h plumbing.Hash) ([]fs.DirEntry, error) {
	if l, ok := t.dirs[h]; ok {
		return l, nil
	}
	g, err := object.GetTree(t.repo.store, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		t.repo.store.Reindex()
		g, err = object.GetTree(t.repo.store, h)
	}
	if err != nil {
		return nil, gitstore.Damaged("read tree %s: %w", h, err)
	}
	l := make([]fs.DirEntry, 0, len(g.Entries))
	for _, e := range g.Entries {
		if !fs.ValidPath(e.Name) || e.Name == "." || strings.ContainsAny(e.Name, `/\`) || strings.EqualFold(e.Name, ".git") {
			return nil, fault.WithHint(fault.New(fault.Invalid, "tree %s holds %q, which is not a file name", h, e.Name), "find the commit that brought it (git log --all -- PATH), and take it out: no file can have that name")
		}
		n := &node{tree: t, name: e.Name, hash: e.Hash}
		switch e.Mode {
		case filemode.Dir:
			n.mode = fs.ModeDir | 0o555
		case filemode.Submodule:
			n.mode, n.sub = fs.ModeDir|fs.ModeIrregular|0o555, true
		case filemode.Symlink:
			n.mode = fs.ModeSymlink | 0o777
		case filemode.Executable:
			n.mode = 0o555
		default:
			n.mode = 0o444
		}
		l = append(l, n)
	}
	slices.SortFunc(l, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for i := 1; i < len(l); i++ {
		if l[i].Name() == l[i-1].Name() {
			return nil, fault.WithHint(fault.New(fault.Invalid, "tree %s holds %q twice", h, l[i].Name()), "no Git makes such a tree: find out which tool wrote the commit, and write it again with git")
		}
	}
	t.dirs[h] = l
	return l, nil
}

func (n *node) children() ([]fs.DirEntry, error) {
	if n.sub {
		return nil, nil
	}
	n.tree.repo.mu.Lock()
	defer n.tree.repo.mu.Unlock()
	return n.tree.list(n.hash)
}

func (t *tree) find(op, name string) (*node, error) {
	bad := func(err error) (*node, error) { return nil, &fs.PathError{Op: op, Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return bad(fs.ErrInvalid)
	}
	at := &node{tree: t, name: ".", mode: fs.ModeDir | 0o555, hash: t.root}
	if name == "." {
		return at, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if !at.IsDir() {
			return bad(fs.ErrNotExist)
		}
		l, err := at.children()
		if err != nil {
			return bad(err)
		}
		i, ok := slices.BinarySearchFunc(l, part, func(e fs.DirEntry, s string) int { return strings.Compare(e.Name(), s) })
		if !ok {
			return bad(fs.ErrNotExist)
		}
		at = l[i].(*node)
	}
	return at, nil
}

// errLink says why a link is not opened.
var errLink = fault.WithHint(fault.New(fault.Invalid, "is a symbolic link, which is not followed"), "put the file or folder there itself, or name what the link points to")

func (t *tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.mode&fs.ModeSymlink != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errLink}
	}
	if c, err := t.elsewhere(name, n); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	} else if c != nil {
		return c, nil
	}
	info, err := n.info()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if !n.IsDir() {
		return &file{node: n, stat: info}, nil
	}
	l, err := n.children()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &folder{stat: info, rest: l}, nil
}

func (t *tree) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	if c, err := t.elsewhere(name, n); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	} else if c != nil {
		defer c.Close()
		return c.Stat()
	}
	return n.info()
}

func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	l, err := n.children()
	return slices.Clone(l), err
}

func (t *tree) ReadFile(name string) ([]byte, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// file is an open blob; it is read from the store on the first Read.
type file struct {
	node *node
	stat fs.FileInfo
	body io.ReadCloser
	shut bool
}

func (f *file) Stat() (fs.FileInfo, error) { return f.stat, nil }
func (f *file) gitName() plumbing.Hash     { return f.node.hash }

func (f *file) Read(p []byte) (int, error) {
	if f.shut {
		return 0, &fs.PathError{Op: "read", Path: f.node.name, Err: fs.ErrClosed}
	}
	r := f.node.tree.repo
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.body == nil {
		b, err := object.GetBlob(r.store, f.node.hash)
		if err != nil {
			return 0, gitstore.Damaged("read %s: %w", f.node.name, err)
		}
		if f.body, err = b.Reader(); err != nil {
			return 0, gitstore.Damaged("read %s: %w", f.node.name, err)
		}
	}
	return f.body.Read(p)
}

func (f *file) Close() error {
	if f.shut || f.body == nil {
		f.shut = true
		return nil
	}
	f.shut = true
	return f.body.Close()
}

// folder is an open folder.
type folder struct {
	stat fs.FileInfo
	rest []fs.DirEntry
}

func (d *folder) Stat() (fs.FileInfo, error) { return d.stat, nil }
func (d *folder) Close() error               { return nil }
func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: path.Base(d.stat.Name()), Err: errors.New("is a directory")}
}

func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.rest) {
		n = len(d.rest)
	}
	out := slices.Clone(d.rest[:n])
	d.rest = d.rest[n:]
	return out, nil
}
