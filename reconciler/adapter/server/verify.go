// Before each start, the first and every later one, what is about to be served is
// held against what was declared: read-only files keep out accidents, not intent.

package server

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// scratch are the folders of a release that the served process may write to. They
// are made anew for each start, as programs also run what lies in their home:
// Python imports usercustomize.py and every .pth file below it.
var scratch = []string{"home", "outputs"}

// verify refuses to start o where its folder holds anything but what was laid out:
// bytes, names and modes of code, model, inputs and parameters. The Python environment
// at o.Bin is not below that folder, and not looked at here.
func verify(place folder, o order) error {
	const way = "run vishwa apply, or wait for the controller: it writes the release again from the store"
	root, err := os.OpenRoot(place.release(o.Name, o.Folder))
	if err != nil {
		return fault.WithHint(fault.New(fault.Corrupt, "open release %s: %w", o.Name, err), way)
	}
	defer root.Close()
	for _, name := range scratch {
		if err := sandbox.Remove(root.Name() + "/" + name); err != nil {
			return fault.New(fault.Internal, "clear %s of %s: %w", name, o.Name, err)
		}
		if err := root.Mkdir(name, 0o700); err != nil {
			return fault.New(fault.Internal, "make %s of %s: %w", name, o.Name, err)
		}
	}
	found, err := differences(root.FS(), o.Laid)
	if err != nil {
		return fault.WithHint(fault.New(fault.Corrupt, "read what was laid out for %s: %w", o.Name, err), way)
	}
	if n := len(found); n > 0 {
		text := strings.Join(found[:min(n, 3)], "; ")
		if n > 3 {
			text += fmt.Sprintf("; and %d more", n-3)
		}
		return fault.WithHint(fault.New(fault.Corrupt, "start %s: it is not what was laid out: %s", o.Name, text), way)
	}
	return nil
}

// differences tells how a release's folder differs from what was laid out in it.
func differences(at fs.FS, laid digest.Manifest) (found []string, err error) {
	files, folders := map[string]digest.File{}, map[string]bool{".": true}
	for _, name := range []string{codeFolder, inputFolder} { // there even where nothing is in them
		folders[name] = true
	}
	for _, f := range laid {
		files[f.Path] = f
		for d := path.Dir(f.Path); d != "."; d = path.Dir(d) {
			folders[d] = true
		}
	}
	say := func(p, what string) { found = append(found, p+" "+what) }
	err = fs.WalkDir(at, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		want, declared := files[p]
		delete(files, p)
		switch {
		case e.IsDir() && p == scratch[0], e.IsDir() && p == scratch[1]:
			return fs.SkipDir
		case e.IsDir() && !folders[p], !e.IsDir() && !declared:
			say(p, "is not declared")
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !e.IsDir() && !e.Type().IsRegular():
			say(p, "is not a regular file")
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if most := mode(p, e.IsDir()); info.Mode()&^fs.ModeDir&^most != 0 {
			say(p, fmt.Sprintf("has mode %04o", info.Mode().Perm()))
			return nil
		}
		if e.IsDir() {
			return nil
		}
		f, err := at.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		if got, n, err := digest.Reader(f); err != nil {
			return err
		} else if got != want.Digest || n != want.Size {
			say(p, "was changed")
		}
		return nil
	})
	for _, f := range laid {
		if _, left := files[f.Path]; left {
			say(f.Path, "is missing")
		}
	}
	return found, err
}

// mode is the most that p may be open to: what was laid out cannot be written to.
func mode(p string, folder bool) fs.FileMode {
	switch {
	case p == ".":
		return 0o700
	case folder:
		return 0o555
	default:
		return 0o444
	}
}
