// A workspace beside any checkout: for the data of one pin, whose new pointer is to be
// proposed and not written into somebody's work tree.

package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

// NewDetached lays out in dir what tree says of the data that pin names, and opens it. It
// shares the cache and the configuration of the checkout's workspace, where there is one.
func NewDetached(tree fs.FS, pin, dir string, checkout *Workspace, o Options) (*Workspace, error) {
	files := []string{".dvc/config", pin, path.Join(path.Dir(pin), ".gitignore")}
	for at := path.Dir(pin); ; at = path.Dir(at) {
		files = append(files, path.Join(at, ".dvcignore"))
		if at == "." {
			break
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".dvc"), 0o700); err != nil {
		return nil, artifact.Disk(fmt.Errorf("make room: %w", err), dir)
	}
	// What an earlier try has left there is nobody's work.
	if err := os.RemoveAll(filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(pin, ".dvc")))); err != nil {
		return nil, artifact.Disk(fmt.Errorf("make room: %w", err), dir)
	}
	for _, f := range files {
		if err := lay(tree, f, filepath.Join(dir, filepath.FromSlash(f))); err != nil {
			return nil, err
		}
	}
	// Without a checkout, where the cache is is not for the repository to say.
	w := &Workspace{root: dir, kept: filepath.Join(dir, ".dvc", "cache"), o: o}
	var err error
	if w.config, err = w.configuration(); err != nil {
		return nil, err
	}
	if err := w.open(); err != nil {
		return nil, err
	}
	if checkout != nil {
		w.base, w.config, w.cache = checkout.base, checkout.config, checkout.cache
	}
	return w, nil
}

// lay makes the file at to what tree has at name: absent, where it is absent there.
func lay(tree fs.FS, name, to string) error {
	b, err := fs.ReadFile(tree, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return artifact.Disk(err, to)
		}
		return nil
	}
	if err != nil {
		return fault.New(fault.Denied, "read %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return artifact.Disk(err, to)
	}
	return artifact.Disk(os.WriteFile(to, b, 0o600), to)
}

// Written is what became of the pin, and of the .gitignore beside it, by path.
func (w *Workspace) Written(pin string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, f := range []string{pin, path.Join(path.Dir(pin), ".gitignore")} {
		b, err := os.ReadFile(w.abs(f))
		if err != nil {
			return nil, fault.New(fault.Internal, "read what was pinned: %w", err)
		}
		out[f] = b
	}
	return out, nil
}

// Configured tells whether the repository has a remote that data goes to by default.
func (w *Workspace) Configured() bool {
	_, err := w.config.Remote("")
	return err == nil
}
