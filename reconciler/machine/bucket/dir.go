// Package bucket holds the adapters that keep objects by name: a folder of this
// machine, and S3. DVC remotes, the store of artifacts and sources are made of them.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Dir is the folder at path, which is made when something is put there. Keys are
// paths below it; none leads out of it, and no symbolic link does.
func Dir(path string) (port.Bucket, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open %s: %w", path, err), "give an absolute path")
	}
	return dir(abs), nil
}

type dir string

// checkKey refuses what is no plain relative path.
func checkKey(key string) error {
	if !fs.ValidPath(key) || key == "." || strings.ContainsAny(key, "\\\x00") {
		return fault.New(fault.Invalid, "%q cannot name an object: want a relative path without .. or back-slashes", key)
	}
	return nil
}

// inside opens the folder; the caller closes it. One that is not there is Missing.
func (d dir) inside(key string) (*os.Root, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.New(fault.Missing, "the folder %s: %w", string(d), port.ErrAbsent), "mount it, or correct its path")
	}
	if err != nil {
		return nil, d.classed(key, err)
	}
	return root, nil
}

func (d dir) classed(key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.WithHint(fault.New(fault.Missing, "%s is not in %s", key, string(d)), "put it there, or correct the path")
	}
	return artifact.Disk(fmt.Errorf("%s in %s: %w", key, string(d), err), string(d))
}

func (d dir) Stat(ctx context.Context, key string) (port.Object, error) {
	if err := ctx.Err(); err != nil {
		return port.Object{}, fault.New(fault.Cancelled, "look for %s: %w", key, err)
	}
	root, err := d.inside(key)
	if err != nil {
		return port.Object{}, err
	}
	defer root.Close()
	st, err := root.Stat(filepath.FromSlash(key))
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return port.Object{}, d.classed(key, err)
	}
	return object(key, st), nil
}

// object is what a file says of itself: its tag moves with every way of writing to it.
func object(key string, st fs.FileInfo) port.Object {
	return port.Object{Key: key, Size: st.Size(), ETag: fmt.Sprintf("%x-%x", st.ModTime().UnixNano(), st.Size()), Modified: st.ModTime()}
}

func (d dir) List(ctx context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		from := path.Dir(prefix + "x") // the folder that holds everything with the prefix
		if from != "." {
			if err := checkKey(from); err != nil {
				yield(port.Object{}, err)
				return
			}
		}
		root, err := os.OpenRoot(string(d))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				yield(port.Object{}, d.classed(prefix, err))
			}
			return
		}
		defer root.Close()
		d.walk(ctx, root.FS(), from, prefix, yield)
	}
}

// walk yields the files below folder whose keys begin with prefix, in the order of their keys.
func (d dir) walk(ctx context.Context, fsys fs.FS, folder, prefix string, yield func(port.Object, error) bool) bool {
	if err := ctx.Err(); err != nil {
		return yield(port.Object{}, fault.New(fault.Cancelled, "list %s: %w", prefix, err)) && false
	}
	entries, err := fs.ReadDir(fsys, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		yield(port.Object{}, d.classed(folder, err))
		return false
	}
	name := func(e fs.DirEntry) string { // a folder sorts as its files do
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(name(a), name(b)) })
	for _, e := range entries {
		key := path.Join(folder, e.Name())
		switch {
		case e.IsDir():
			if strings.HasPrefix(key+"/", prefix) || strings.HasPrefix(prefix, key+"/") {
				if !d.walk(ctx, fsys, key, prefix, yield) {
					return false
				}
			}
		case strings.HasPrefix(key, prefix) && e.Type().IsRegular() && !strings.HasPrefix(e.Name(), partial):
			st, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				yield(port.Object{}, d.classed(key, err))
				return false
			}
			if !yield(object(key, st), nil) {
				return false
			}
		}
	}
	return true
}

func (d dir) Get(ctx context.Context, key string, r port.Range) (io.ReadCloser, port.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, port.Object{}, fault.New(fault.Cancelled, "read %s: %w", key, err)
	}
	root, err := d.inside(key)
	if err != nil {
		return nil, port.Object{}, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(key))
	if err != nil {
		return nil, port.Object{}, d.classed(key, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, port.Object{}, d.classed(key, err)
	}
	o := object(key, st)
	if r.ETag != "" && r.ETag != o.ETag {
		f.Close()
		return nil, o, fault.WithHint(fault.New(fault.Conflict, "%s in %s has changed", key, string(d)), "run the command again: it looks at the files anew")
	}
	n := r.Length
	if n < 0 || n > o.Size-r.Offset {
		n = max(0, o.Size-r.Offset)
	}
	return &piece{ctx, io.NewSectionReader(f, r.Offset, n), f, n, key}, o, nil
}

// piece is an open file's part; one that ends early is told.
type piece struct {
	ctx  context.Context
	r    io.Reader
	f    *os.File
	left int64
	key  string
}

func (p *piece) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, fault.New(fault.Cancelled, "read %s: %w", p.key, err)
	}
	n, err := p.r.Read(b)
	p.left -= int64(n)
	if err == io.EOF && p.left > 0 {
		return n, fault.New(fault.Transient, "read %s: it ended %d bytes early", p.key, p.left)
	}
	return n, err
}

func (p *piece) Close() error { return p.f.Close() }

// partial begins the names of files that are being written.
const partial = ".vishwa-put-"

// drafts numbers them.
var drafts atomic.Uint64

func (d dir) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	if err := checkKey(key); err != nil {
		return port.Object{}, err
	}
	if err := os.MkdirAll(string(d), 0o777); err != nil {
		return port.Object{}, d.classed(key, err)
	}
	root, err := d.inside(key)
	if err != nil {
		return port.Object{}, err
	}
	defer root.Close()
	o, err := d.putObject(ctx, root, filepath.FromSlash(key), io.NewSectionReader(r, 0, size), size)
	o.Key = key
	return o, d.classed(key, err)
}

func (d dir) putObject(ctx context.Context, root *os.Root, name string, r io.Reader, size int64) (o port.Object, err error) {
	folder := filepath.Dir(name)
	if err := root.MkdirAll(folder, 0o777); err != nil {
		return o, err
	}
	// Two may put one object at once, from one process or from two machines.
	tmp := filepath.Join(folder, fmt.Sprintf("%s%d-%d-%x-%s", partial, os.Getpid(), drafts.Add(1), rand.Uint32(), filepath.Base(name)))
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return o, err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = root.Remove(tmp)
		}
	}()
	n, err := io.Copy(f, ended.Reader(ctx, r, "copy"))
	switch {
	case err != nil:
		return o, err
	case n != size:
		return o, fault.WithHint(fault.New(fault.Conflict, "%s has %d bytes and not %d: it changed while it was read", name, n, size), "let nothing write the file meanwhile, and run the command again")
	}
	if err := f.Sync(); err != nil {
		return o, err
	}
	st, err := f.Stat()
	if err != nil {
		return o, err
	}
	if err := f.Close(); err != nil {
		return o, err
	}
	return object(name, st), root.Rename(tmp, name)
}

func (d dir) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return fault.New(fault.Cancelled, "delete %s: %w", key, err)
		}
		root, err := d.inside(key)
		if err == nil {
			err = d.classed(key, root.Remove(filepath.FromSlash(key)))
			root.Close()
		}
		if err != nil && fault.Of(err) != fault.Missing {
			return err
		}
	}
	return nil
}
