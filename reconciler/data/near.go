// Data that a checkout has already, in its cache: it is looked at before anything is
// brought, and nothing is asked of a remote.

package data

import (
	"context"
	"path"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Near are the files of the data that p names, where the checkout's cache has all of them.
// Their bytes are what the cache holds: nobody has compared them with their names yet.
func (d Fetcher) Near(ctx context.Context, p port.DataPointer) (files []quality.File, err error) {
	if d.Dir == "" {
		return nil, nil
	}
	w, err := Open(d.Dir, Options{Env: d.Env})
	if err != nil {
		return nil, nil //nolint:nilerr // it keeps nothing with DVC itself
	}
	cache := w.cache
	if p.Layout == dvc.DVC2 {
		cache = cache.Legacy()
	}
	oid := dvc.OID(p.Name)
	if !oid.IsDir() {
		return nearFile(nil, cache, oid, p.Path), nil
	}
	t, err := cache.Tree(ctx, oid)
	if err != nil {
		if fault.Of(err) == fault.Missing || fault.Of(err) == fault.Corrupt { // who brings it says so
			return nil, nil
		}
		return nil, err
	}
	for _, f := range t {
		if files = nearFile(files, cache, f.OID, path.Join(p.Path, f.Path)); files == nil {
			return nil, nil
		}
	}
	return files, nil
}

// nearFile adds a file; nothing comes of those of which one is not here.
func nearFile(files []quality.File, cache *dvccache.Cache, oid dvc.OID, at string) []quality.File {
	size := cache.Size(oid)
	if size < 0 {
		return nil
	}
	return append(files, quality.File{Path: at, Size: size, Open: func(context.Context) (quality.Content, error) {
		f, _, err := cache.Open(oid)
		return f, err
	}})
}
