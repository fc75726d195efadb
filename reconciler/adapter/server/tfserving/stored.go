// Versions that lie in the project's store, a bucket that the server reads by itself. What is ours of a model, and models.config, stay
// in the server's folder, where it has one.

package tfserving

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// keys begins those of a server whose models.config lies in the store. The server is told it by whoever begins it, so that it has a name
// that people know.
func (p place) keys() string { return path.Join("serving", "tfserving", p.Name) }

// key begins the keys of a model's versions. Servers that share a store have folders of their own in it.
func (p place) key(name string) string {
	if p.At.Folder == "" {
		return path.Join(p.keys(), "models", name)
	}
	return path.Join("serving", "tf-"+digest.Of([]byte(p.At.URL+"\n"+p.At.Folder)).Short(), name)
}

// base is where the server finds the versions of a model.
func (s *server) base(p place, name string) string {
	if p.At.InStore {
		return strings.TrimSuffix(s.o.At, "/") + "/" + p.key(name)
	}
	return p.base(name)
}

func (s *server) shelf() (port.Bucket, error) {
	if s.o.Shelf == nil || s.o.At == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "a model server cannot read the store, a folder of this machine"), "declare spec.store.s3 of the Project, or take inStore out of the model server")
	}
	return s.o.Shelf()
}

// differs are the paths of a version that are not as they were laid, wherever it lies.
func (w *work) differs(ctx context.Context, number int64, files digest.Manifest, bytes bool) ([]string, error) {
	if !w.place.At.InStore {
		return differences(w.root.Root, w.folder(number), files, bytes), nil
	}
	shelf, err := w.server.shelf()
	if err != nil {
		return nil, err
	}
	return served.Differences(ctx, shelf, w.stored(number), files, bytes)
}

// stored is the folder of a version in the store.
func (w *work) stored(number int64) string {
	return w.place.key(w.name) + "/" + strconv.FormatInt(number, 10)
}

// layStored is lay of a version in the store. It is loaded by its number alone, which models.config has once all of it is there.
func (w *work) layStored(ctx context.Context, number int64) error {
	shelf, err := w.server.shelf()
	if err != nil {
		return err
	}
	dir := w.stored(number)
	found, err := served.Differences(ctx, shelf, dir, w.files, true)
	if err != nil {
		return err
	}
	for _, f := range w.files {
		if !slices.Contains(found, f.Path) {
			continue
		}
		found = slices.DeleteFunc(found, func(p string) bool { return p == f.Path })
		if err := served.LayFile(ctx, w.server.o.Store, shelf, w.server.o.Dir, dir, f); err != nil {
			return fault.WithHint(fault.New(fault.Of(err), "write %s where the server reads it: %w", f.Path, err), "%s", fault.HintOf(err))
		}
	}
	for i := range found { // what is not the model's
		found[i] = dir + "/" + found[i]
	}
	if len(found) == 0 {
		return nil
	}
	return shelf.Delete(ctx, found...)
}

// dropStored removes a version from the store.
func (w *work) dropStored(ctx context.Context, number int64) error {
	shelf, err := w.server.shelf()
	if err != nil {
		return err
	}
	var keys []string
	for o, err := range shelf.List(ctx, w.stored(number)+"/") {
		if err != nil {
			return err
		}
		keys = append(keys, o.Key)
	}
	if len(keys) == 0 {
		return nil
	}
	return shelf.Delete(ctx, keys...)
}

// numbers are those of the versions that lie there, whosever they are.
func (w *work) numbers(ctx context.Context) (out []int64, err error) {
	if w.root.stored == nil {
		if dir, err := w.root.Open(w.name); err == nil {
			names, err := dir.Readdirnames(-1)
			dir.Close()
			if err != nil {
				return nil, w.disk(err)
			}
			for _, name := range names {
				if n, err := strconv.ParseInt(name, 10, 64); err == nil {
					out = append(out, n)
				}
			}
		}
	}
	if !w.place.At.InStore {
		return out, nil
	}
	shelf, err := w.server.shelf()
	if err != nil {
		return nil, err
	}
	below := w.place.key(w.name) + "/"
	for o, err := range shelf.List(ctx, below) {
		if err != nil {
			return nil, err
		}
		dir, _, _ := strings.Cut(strings.TrimPrefix(o.Key, below), "/")
		if n, err := strconv.ParseInt(dir, 10, 64); err == nil && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}
