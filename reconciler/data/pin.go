// Pins: data of elsewhere, taken in under a .dvc file that remembers what the place
// called it.
package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/adapter/content"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Names below meta.vishwa of a pin.
const (
	pinToken = "token" // what the place calls the data
	pinFrom  = "from"  // the place, without secrets
)

// Pinned is the token of the data that the pin at rel names; "" where there is no pin.
func (w *Workspace) Pinned(rel string) (string, error) {
	b, err := os.ReadFile(w.abs(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fault.New(fault.Denied, "read %s: %w", rel, err)
	}
	p, err := dvc.ParsePointer(rel, b)
	if err != nil {
		return "", err
	}
	return p.Outs[0].Stats[pinToken], nil
}

// Aside makes an empty folder on the work tree's file system; remove is the caller's to call.
func (w *Workspace) Aside() (dir string, remove func(), err error) {
	tmp := filepath.Join(w.root, ".dvc", "tmp")
	if err := os.MkdirAll(tmp, 0o777); err != nil {
		return "", nil, content.Disk(fmt.Errorf("make room: %w", err), tmp)
	}
	dir, err = os.MkdirTemp(tmp, "vishwa-")
	if err != nil {
		return "", nil, content.Disk(fmt.Errorf("make room: %w", err), tmp)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// Pin puts the file or folder that was fetched in place of what the pin at rel names,
// takes it in, and has the pin remember where it is from and its token. What stands
// there and is saved nowhere stays.
func (w *Workspace) Pin(ctx context.Context, rel, fetched, from, token string) (Added, error) {
	target := rel[:len(rel)-len(".dvc")]
	all, err := OutputsOf(ctx, os.DirFS(w.root))
	if err != nil {
		return Added{}, err
	}
	known := false
	for _, o := range all {
		if o.Path != target {
			continue
		}
		known = true
		if s, err := w.stands(ctx, o); err != nil {
			return Added{}, err
		} else if s.State == Modified {
			return Added{}, fault.Hint(fault.New(fault.Conflict, "%s was changed here, and what came would overwrite it", target), "undo it: vishwa data checkout -f %s", target)
		}
	}
	abs := w.abs(target)
	if _, err := os.Lstat(abs); err == nil && !known {
		return Added{}, fault.Hint(fault.New(fault.Conflict, "%s is there and no pin of ours", target), "move it away, or choose another pin")
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o777); err != nil {
		return Added{}, content.Disk(err, abs)
	}
	if err := os.RemoveAll(abs); err != nil {
		return Added{}, content.Disk(fmt.Errorf("replace %s: %w", target, err), abs)
	}
	if err := os.Rename(fetched, abs); err != nil {
		return Added{}, content.Disk(fmt.Errorf("replace %s: %w", target, err), abs)
	}
	a, err := w.add(ctx, target)
	if err != nil {
		return a, fmt.Errorf("pin %s: %w", target, err)
	}
	return a, w.sign(rel, from, token)
}

// sign has the pin remember the place.
func (w *Workspace) sign(rel, from, token string) error {
	file := w.abs(rel)
	b, err := os.ReadFile(file)
	if err != nil {
		return fault.New(fault.Denied, "read %s: %w", rel, err)
	}
	p, err := dvc.ParsePointer(rel, b)
	if err != nil {
		return err
	}
	for i := range p.Outs {
		if p.Outs[i].Path == path.Base(rel[:len(rel)-len(".dvc")]) {
			p.Outs[i].Stats = map[string]string{pinToken: token, pinFrom: from}
		}
	}
	return replace(file, p.Bytes())
}
