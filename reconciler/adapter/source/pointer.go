// Where the pointer of some data stands in a tree.

package source

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
)

// find looks for the pointer of at: a .dvc file beside it or beside a folder above,
// or an output of a stage in a dvc.lock above. sub is what at is below the output.
func find(tree fs.FS, at string) (out dvc.Out, sub string, err error) {
	for p := at; p != "."; p = path.Dir(p) {
		file := p + ".dvc"
		b, err := fs.ReadFile(tree, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return out, "", fmt.Errorf("read %s: %w", file, err)
		}
		ptr, err := dvc.ParsePointer(file, b)
		if err != nil {
			return out, "", err
		}
		for _, o := range ptr.Outs {
			if stands, err := ptr.Place(file, o); err != nil {
				return out, "", err
			} else if sub, ok := inside(stands, at, o); ok {
				return o, sub, nil
			}
		}
	}
	for dir := path.Dir(at); ; dir = path.Dir(dir) {
		if out, sub, ok, err := locked(tree, dir, at); ok || err != nil {
			return out, sub, err
		}
		if dir == "." {
			return out, "", fault.WithHint(fault.New(fault.Missing, "no .dvc file and no dvc.lock has %s", download.Quoted(at)), "correct the path, or add the data with vishwa data add")
		}
	}
}

func locked(tree fs.FS, dir, at string) (out dvc.Out, sub string, ok bool, err error) {
	file := path.Join(dir, "dvc.lock")
	lock, err := dvc.LoadLock(file, func(name string) ([]byte, error) {
		b, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		return b, nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return out, "", false, nil
	}
	if err != nil {
		return out, "", false, err
	}
	for _, st := range lock.Stages {
		for _, o := range st.Outs {
			if sub, ok := inside(path.Join(dir, o.Path), at, o); ok {
				return o, sub, true, nil
			}
		}
	}
	return out, "", false, nil
}

// inside tells whether at is an output that stands at p, or in it, and where there.
func inside(p, at string, o dvc.Out) (sub string, ok bool) {
	if p == at {
		return "", true
	}
	sub, ok = strings.CutPrefix(at, p+"/")
	return sub, ok && o.OID.IsDir()
}
