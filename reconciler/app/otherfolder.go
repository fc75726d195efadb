// Each folder of a repository that has no remote, and each clone of such a one, has a state of its
// own, found by the folder's path. What another folder of this machine made, or the same one before
// it was moved, is not in this one's store: that is said as it is, and not taken for another machine's.

package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
)

// Folder is another folder of this machine, which has a state of its own.
type Folder struct {
	State string
	Dir   string // of the checkout that acted on it last; "": it has left no word
	Gone  bool   // nothing is at Dir any more
}

func (f Folder) String() string {
	switch {
	case f.Dir == "":
		return "another folder of this machine (its state is in " + f.State + ")"
	case f.Gone:
		return "another folder of this machine (" + f.Dir + ", which is not there any more)"
	}
	return "another folder of this machine (" + f.Dir + ")"
}

// Beside finds the folder of this machine whose state goes by the name machine in the ledger.
func (p Paths) Beside(machine string) (Folder, bool) {
	if machine == "" {
		return Folder{}, false
	}
	above := filepath.Dir(p.State)
	all, err := os.ReadDir(above)
	if err != nil {
		return Folder{}, false
	}
	for _, one := range all {
		other := Paths{State: filepath.Join(above, one.Name())}
		if _, err := os.Lstat(other.Seal()); err != nil || other.State == p.State {
			continue
		}
		if k, err := seal.Load(other.Seal()); err != nil || k.Name() != machine {
			continue
		}
		f := Folder{State: other.State}
		if raw, err := os.ReadFile(other.book()); err == nil {
			dir := strings.TrimSuffix(string(raw), "\n")
			if !filepath.IsAbs(dir) || harmless.Line(dir) != dir { // any process of this user may write it, and it is shown to be typed
				return f, true
			}
			f.Dir = dir
			_, err = os.Lstat(f.Dir)
			f.Gone = errors.Is(err, fs.ErrNotExist)
		}
		return f, true
	}
	return Folder{}, false
}

// book is the file that says which checkout acted here last.
func (p Paths) book() string { return filepath.Join(p.State, "checkout") }

// signBook notes which checkout acts. It is for people alone: what cannot be noted is left.
func (h *Repository) signBook() {
	dir := []byte(h.checkout() + "\n")
	if was, err := os.ReadFile(h.Paths.book()); len(dir) > 1 && (err != nil || string(was) != string(dir)) {
		_ = sandbox.WriteFile(h.Paths.book(), dir)
	}
}

// beside says where on this machine that was which the ledger calls machine, and what to do
// to have what it made; "" where it was no other folder of this machine. Of a mirror it is nil: its
// plans are shown to others, to whom the folders of this machine are nothing.
func (h *Repository) beside(mirror bool) func(machine string) (where, way string) {
	if mirror {
		return nil
	}
	return func(machine string) (where, way string) {
		f, found := h.Paths.Beside(machine)
		switch {
		case !found:
			return "", ""
		case f.Gone || f.Dir == "":
			return f.String(), "if this folder was moved, move it back; or share it with spec.store"
		}
		return f.String(), "work there, or share it with spec.store"
	}
}

// lock lets one pass at a time act on the repository's state on this machine.
func (h *Repository) lock(ctx context.Context, tell func(string)) (context.Context, func(), error) {
	if err := os.MkdirAll(h.Paths.State, 0o700); err != nil {
		return ctx, nil, fault.WithHint(fault.New(fault.Invalid, "make the state folder: %w", err), "make %s writable, or set XDG_STATE_HOME", filepath.Dir(h.Paths.State))
	}
	h.signBook()
	path := filepath.Join(h.Paths.State, "apply.lock")
	if held, err := sandbox.Held(path); err == nil && held {
		tell("Another vishwa is acting on this repository; waiting for it to end.")
	}
	f, err := holder.Wait{Tell: tell}.Lock(ctx, path)
	if err != nil {
		return ctx, nil, fmt.Errorf("wait for the other vishwa: %w", err)
	}
	return ctx, func() { f.Close() }, nil
}
