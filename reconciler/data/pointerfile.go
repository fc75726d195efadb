// The .dvc file that points to data, and the line by which Git ignores the data: both
// written whole or not at all.

package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// writePointer writes the .dvc file, and tells whether it had to be.
func (w *Workspace) writePointer(rel string, t *taken) (bool, error) {
	file := w.abs(rel) + ".dvc"
	p := &dvc.Pointer{Outs: []dvc.Out{{Path: path.Base(rel)}}}
	was, err := os.ReadFile(file)
	switch {
	case err == nil:
		if p, err = dvc.ParsePointer(rel+".dvc", was); err != nil {
			return false, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, fault.New(fault.Denied, "read %s.dvc: %w", rel, err)
	}
	i := slices.IndexFunc(p.Outs, func(o dvc.Out) bool {
		at, err := p.Place(rel+".dvc", o)
		return err == nil && at == rel
	})
	if i < 0 {
		return false, fault.WithHint(fault.New(fault.Conflict, "%s.dvc is about something else", rel), "rename it, or add the data under another name")
	}
	o := &p.Outs[i]
	o.OID, o.Size, o.NFiles, o.Hash, o.Exec, o.SHA256 = t.oid, t.size, -1, "md5", !t.dir && t.exec, t.sha256
	if t.dir {
		o.NFiles = int64(len(t.sums))
	}
	now := p.Bytes()
	if string(now) == string(was) {
		return false, nil
	}
	return true, replace(file, now)
}

// replace writes a file of the repository whole or not at all.
func replace(file string, b []byte) error { return replaceAs(file, b, 0o644) }

func replaceAs(file string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), dvccache.Draft())
	if err != nil {
		return artifact.Disk(fmt.Errorf("write %s: %w", file, err), filepath.Dir(file))
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return artifact.Disk(err, filepath.Dir(file))
}

// escaped is what means something in a .gitignore (gitignore(5)); DVC escapes the same.
var escaped = lazyregexp.New(`[\\\[\]!*#?]`)

// ignoring is the line for a file or folder. Git leaves out spaces at its end that nothing
// escapes; DVC writes them so, and hides nothing by it.
func ignoring(rel string) string {
	line := "/" + escaped.ReplaceAllString(path.Base(rel), `\$0`)
	bare := strings.TrimRight(line, " ")
	return bare + strings.Repeat(`\ `, len(line)-len(bare))
}

// says tells whether a line of a .gitignore is this one, with or without space around it.
func says(l, line string) bool {
	return strings.TrimRight(l, "\r\n") == line || strings.TrimSpace(l) == line
}

// inGit tells whether a folder is in a work tree of Git.
func inGit(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// gitignore has Git ignore the data, as DVC does: by a line beside it.
func (w *Workspace) gitignore(ctx context.Context, rel string) error {
	if w.kept == "" && !inGit(w.root) {
		return nil
	}
	file := filepath.Join(filepath.Dir(w.abs(rel)), ".gitignore")
	release, err := w.lockOutput(ctx, path.Join(path.Dir(rel), ".gitignore")) // others may add beside it
	if err != nil {
		return err
	}
	defer release()
	line := ignoring(rel)
	was, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Denied, "read %s: %w", file, err)
	}
	for l := range strings.Lines(string(was)) {
		if says(l, line) {
			return nil
		}
	}
	if len(was) > 0 && was[len(was)-1] != '\n' {
		was = append(was, '\n')
	}
	return replace(file, append(was, line+"\n"...))
}
