// Where things are kept: below the user's XDG directories, never in the work tree
// (https://specifications.freedesktop.org/basedir-spec/latest/).

package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
)

// Paths are the folders of one repository.
type Paths struct {
	State string // runs, releases, Terraform, the store
	Cache string // folded ledgers, and what files of checkouts held
	Envs  string // software environments: the repository's own, as its key seals them
	Keys  string // of the controller
}

// FindPaths places the folders of the repository with identity id. VISHWA_KEYS
// names another folder of keys.
func FindPaths(lookup func(string) (string, bool), id digest.Digest) (Paths, error) {
	base := func(variable string, below ...string) (string, error) {
		if dir, ok := lookup(variable); ok && filepath.IsAbs(dir) {
			return filepath.Join(dir, "vishwa"), nil
		}
		home, ok := lookup("HOME")
		if !ok || !filepath.IsAbs(home) {
			return "", fault.WithHint(fault.New(fault.Invalid, "neither %s nor HOME says where to keep things", variable), "set one of them to an absolute folder")
		}
		return filepath.Join(append(append([]string{home}, below...), "vishwa")...), nil
	}
	state, err := base("XDG_STATE_HOME", ".local", "state")
	if err != nil {
		return Paths{}, err
	}
	cache, err := base("XDG_CACHE_HOME", ".cache")
	if err != nil {
		return Paths{}, err
	}
	config, err := base("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return Paths{}, err
	}
	p := Paths{
		State: filepath.Join(state, id.Short()), Cache: filepath.Join(cache, id.Short()),
		Envs: filepath.Join(cache, id.Short(), "envs"), Keys: filepath.Join(config, "keys"),
	}
	if dir, ok := lookup("VISHWA_KEYS"); ok {
		if p.Keys, err = filepath.Abs(dir); err != nil {
			return Paths{}, fault.WithHint(fault.New(fault.Invalid, "VISHWA_KEYS: %w", err), "set it to an absolute path")
		}
	}
	return p, nil
}

// keep makes the state that was kept under a former name of the repository, before
// it had a remote, its state under this one: nothing is made again for the remote,
// and what is served stays in hand. A link does, as a host may be at work in there; the
// folder is called by the name that it has, as a run sees no path through a link.
func (p *Paths) keep(former digest.Digest) error {
	if former != "" {
		if _, err := os.Stat(filepath.Join(filepath.Dir(p.State), former.Short())); err == nil {
			if err := os.Symlink(former.Short(), p.State); err != nil && !errors.Is(err, fs.ErrExist) {
				return fault.WithHint(fault.New(fault.Invalid, "keep the state under the remote's name: %w", err), "make %s writable, or set XDG_STATE_HOME", filepath.Dir(p.State))
			}
		}
	}
	if to, err := os.Readlink(p.State); err == nil && to == filepath.Base(to) {
		p.State = filepath.Join(filepath.Dir(p.State), to)
	}
	return nil
}

// strange is what to call the folders of this machine where strangers read, as on a forge.
func strange(lookup func(string) (string, bool)) (out []wrap.Folder) {
	p, err := FindPaths(lookup, digest.Of(nil))
	if err == nil {
		out = append(out, wrap.Folder{Path: p.Keys, Name: "(the folder of keys)"}, wrap.Folder{Path: filepath.Dir(p.State), Name: "(the state folder)"},
			wrap.Folder{Path: filepath.Dir(p.Cache), Name: "(the cache folder)"})
	}
	if home, ok := lookup("HOME"); ok {
		out = append(out, wrap.Folder{Path: filepath.Clean(home), Name: "~"})
	}
	temporary, ok := lookup("TMPDIR")
	if !ok || temporary == "" {
		temporary = "/tmp"
	}
	out = append(out, wrap.Folder{Path: filepath.Clean(temporary), Name: "(the temporary folder)"})
	for _, f := range out { // programs call them by where links lead
		if at, err := filepath.EvalSymlinks(f.Path); err == nil && at != f.Path {
			out = append(out, wrap.Folder{Path: at, Name: f.Name})
		}
	}
	return out
}

// Serving is the state folder of the serving host.
func (p Paths) Serving() string { return filepath.Join(p.State, "serving") }

// controllerLock is held by a controller that looks after what is served here.
func (p Paths) controllerLock() string { return filepath.Join(p.State, "controller.lock") }

// Controlled tells whether a controller looks after what is served here.
func (p Paths) Controlled() (bool, error) { return sandbox.Held(p.controllerLock()) }

// control says that a controller looks after what is served here, for as long as the
// file is open; nil where another process says so already.
func (p Paths) control() (*os.File, error) {
	if err := os.MkdirAll(p.State, 0o700); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "make the state folder: %w", err), "make %s writable, or set XDG_STATE_HOME", filepath.Dir(p.State))
	}
	f, err := os.OpenFile(p.controllerLock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open the controller's lock: %w", err), "make %s writable, or set XDG_STATE_HOME", p.State)
	}
	if err := sandbox.Hold(f); err != nil {
		f.Close()
		if fault.Of(err) == fault.Conflict {
			return nil, nil
		}
		return nil, err
	}
	return f, nil
}

// Seal is the file of the key that seals what this installation writes for itself. It
// stands outside of everything that is run or served.
func (p Paths) Seal() string { return filepath.Join(p.State, "seal", "key") }

// watch is the checkout being read, with what its files held the last time: of each checkout, as one repository may have several here.
func (h *Repository) watch() (fs.FS, func(ctx context.Context, sha string) (bool, error)) {
	return h.Repo.Watch(recall.Memory{Path: filepath.Join(h.Paths.Cache, "files-"+digest.Of([]byte(h.Repo.Dir())).Hex()[:32]), Seal: h.Paths.Seal()})
}
