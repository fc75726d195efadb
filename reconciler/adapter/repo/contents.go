// A file of a revision, as whoever checks it out gets it, where that is another content
// than Git's own: what a Git LFS pointer names, if it is here, and what a filter of the
// user's configuration, such as git-crypt's, makes of it. In a mirror neither is asked:
// there a file is what Git keeps.

package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/vishwaops/vishwa/reconciler/format/lfs"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// content is a file's content that stands elsewhere than in Git's objects.
type content struct {
	io.ReadCloser
	node *node
	size int64
}

func (c *content) Stat() (fs.FileInfo, error) { return &stat{c.node, c.size}, nil }
func (c *content) gitName() plumbing.Hash     { return c.node.hash }

// elsewhere is the content of the file at name where Git's objects do not hold it; nil
// where they do.
func (t *tree) elsewhere(name string, n *node) (*content, error) {
	if t.repo.place.Own == nil || !n.mode.IsRegular() {
		return nil, nil
	}
	filtered, err := t.filtered()
	if err != nil {
		return nil, err
	}
	if filtered[name] {
		b, err := t.repo.place.Own.Ask(context.Background(), nil, "-c", "core.autocrlf=false", "-c", "core.eol=lf", "cat-file", "--filters", t.sha+":"+name)
		if err != nil {
			return nil, err
		}
		return &content{io.NopCloser(bytes.NewReader(b)), n, int64(len(b))}, nil
	}
	p, err := t.pointer(n)
	if err != nil || p == nil {
		return nil, err
	}
	f := t.repo.large(name, *p)
	if f == nil {
		return nil, nil
	}
	return &content{f, n, p.Size}, nil
}

// pointer is the Git LFS pointer that the file is; nil where it is none.
func (t *tree) pointer(n *node) (*lfs.Pointer, error) {
	t.repo.mu.Lock()
	defer t.repo.mu.Unlock()
	size, err := t.repo.store.EncodedObjectSize(n.hash)
	if err != nil || size >= lfs.MaxPointer || size < 64 {
		return nil, nil //nolint:nilerr // it is said by who reads it
	}
	b, err := object.GetBlob(t.repo.store, n.hash)
	if err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	r, err := b.Reader()
	if err != nil {
		return nil, gitstore.Damaged("read %s: %w", n.name, err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, gitstore.Damaged("read %s: %w", n.name, err)
	}
	if p, ok := lfs.Parse(text); ok {
		return &p, nil
	}
	return nil, nil
}

// large is the open file that holds what the pointer names: where Git LFS keeps it, or
// the checkout's own; nil where it is not on this machine. Its bytes have been counted
// against the name.
func (r *Repo) large(name string, p lfs.Pointer) *os.File {
	set, err := r.place.Own.Settings(context.Background())
	if err != nil {
		return nil
	}
	dir := gitremote.Home(set.Last("lfs.storage"))
	if dir == "" {
		dir = "lfs"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.place.Common, dir)
	}
	kept, err := os.Open(filepath.Join(dir, "objects", p.OID[:2], p.OID[2:4], p.OID))
	if err == nil && r.holds(kept, p) {
		return kept
	}
	if r.root == nil {
		return nil
	}
	if info, err := r.root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if mine, err := r.root.Open(name); err == nil && r.holds(mine, p) {
		return mine
	}
	return nil
}

// holds tells whether the file is what the pointer names, and closes it where it is not.
func (r *Repo) holds(f *os.File, p lfs.Pointer) bool {
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() == p.Size {
		if was, ok := r.counted.Load(p.OID); ok && os.SameFile(was.(fs.FileInfo), info) && was.(fs.FileInfo).ModTime().Equal(info.ModTime()) {
			return true // as it was when it was counted
		}
		h := sha256.New()
		if n, err := io.Copy(h, io.LimitReader(f, p.Size+1)); err == nil && n == p.Size && hex.EncodeToString(h.Sum(nil)) == p.OID {
			if _, err = f.Seek(0, io.SeekStart); err == nil {
				r.counted.Store(p.OID, info)
				return true
			}
		}
	}
	_ = f.Close()
	return false
}

// filtered are the files that a filter of the user's configuration makes others of, but
// for Git LFS's own. A repository names filters in .gitattributes, and what they run is
// the user's word alone: git checkout runs the same.
func (t *tree) filtered() (map[string]bool, error) {
	t.asked.Do(func() { t.filters, t.filtersErr = t.askFilters(context.Background()) })
	return t.filters, t.filtersErr
}

func (t *tree) askFilters(ctx context.Context) (map[string]bool, error) {
	o := t.repo.place.Own
	set, err := o.Settings(ctx)
	if err != nil {
		return nil, err
	}
	drivers := drivers(set)
	if len(drivers) == 0 || t.repo.root == nil { // without a checkout, nobody checked it out
		return nil, nil
	}
	if may, err := t.repo.converts(ctx); err != nil || !may {
		return nil, err
	}
	names, err := o.Ask(ctx, nil, "ls-tree", "-r", "-z", "--full-tree", "--name-only", t.sha)
	if err != nil {
		return nil, err
	}
	out, err := o.Ask(ctx, names, "check-attr", "-z", "--stdin", "filter")
	if err != nil {
		return nil, err
	}
	said := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	filters := map[string]bool{}
	for i := 0; i+2 < len(said); i += 3 { // name, attribute, value
		if drivers[said[i+2]] {
			filters[said[i]] = true
		}
	}
	return filters, nil
}

// drivers are the filters that make something of a file when it is checked out.
func drivers(s gitremote.Settings) map[string]bool {
	out := map[string]bool{}
	for name := range s {
		rest, ok := strings.CutPrefix(name, "filter.")
		for _, how := range []string{".smudge", ".process"} {
			if driver, is := strings.CutSuffix(rest, how); ok && is && driver != "lfs" && s.Last(name) != "" {
				out[driver] = true
			}
		}
	}
	return out
}

// errNested says why nothing of a repository within the repository is read.
var errNested = errors.New("is a Git repository of its own (a submodule, or a clone), of which this one keeps no files")
