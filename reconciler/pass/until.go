// A tree that is read no further once the reader is told to stop: what walks it need
// not know of contexts to end with one.

package pass

import (
	"context"
	"io/fs"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// endingTree is tree for as long as ctx lasts.
func endingTree(ctx context.Context, tree fs.FS) fs.FS {
	u := ending{ctx: func() error {
		if ctx.Err() == nil {
			return nil
		}
		return fault.New(fault.Cancelled, "%w", context.Cause(ctx))
	}, tree: tree}
	if links, can := tree.(fs.ReadLinkFS); can {
		return endingLinks{u, links}
	}
	return u
}

type ending struct {
	ctx  func() error
	tree fs.FS
}

var (
	_ fs.ReadDirFS  = ending{}
	_ fs.ReadFileFS = ending{}
	_ fs.StatFS     = ending{}
	_ fs.ReadLinkFS = endingLinks{}

	_ graph.Remembers = ending{}
)

func (e ending) Open(name string) (fs.File, error) {
	if err := e.ctx(); err != nil {
		return nil, err
	}
	f, err := e.tree.Open(name)
	if err != nil {
		return nil, err
	}
	if d, is := f.(fs.ReadDirFile); is {
		return endingFolder{endingFile{f, e.ctx}, d}, nil
	}
	return endingFile{f, e.ctx}, nil
}

func (e ending) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := e.ctx(); err != nil {
		return nil, err
	}
	return fs.ReadDir(e.tree, name)
}

func (e ending) ReadFile(name string) ([]byte, error) {
	if err := e.ctx(); err != nil {
		return nil, err
	}
	return fs.ReadFile(e.tree, name)
}

func (e ending) Stat(name string) (fs.FileInfo, error) {
	if err := e.ctx(); err != nil {
		return nil, err
	}
	return fs.Stat(e.tree, name)
}

// Recall is what tree remembers of a file (graph.Remembers).
func (e ending) Recall(name string) (digest.File, bool) {
	if m, can := e.tree.(graph.Remembers); can && e.ctx() == nil {
		return m.Recall(name)
	}
	return digest.File{}, false
}

// Remember has tree remember a file, where it can.
func (e ending) Remember(f digest.File) {
	if m, can := e.tree.(graph.Remembers); can {
		m.Remember(f)
	}
}

// endingLinks is a tree that tells of links.
type endingLinks struct {
	ending
	links fs.ReadLinkFS
}

func (e endingLinks) ReadLink(name string) (string, error) { return e.links.ReadLink(name) }

func (e endingLinks) Lstat(name string) (fs.FileInfo, error) {
	if err := e.ctx(); err != nil {
		return nil, err
	}
	return e.links.Lstat(name)
}

type endingFile struct {
	fs.File
	ctx func() error
}

func (f endingFile) Read(p []byte) (int, error) {
	if err := f.ctx(); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

type endingFolder struct {
	endingFile
	folder fs.ReadDirFile
}

func (f endingFolder) ReadDir(n int) ([]fs.DirEntry, error) { return f.folder.ReadDir(n) }
