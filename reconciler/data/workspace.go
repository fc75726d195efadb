// Package data is a DVC repository on this machine: its configuration, its cache,
// what its .dvc files and dvc.lock name, and the commands on them. It keeps to DVC's
// files bit for bit and takes none of DVC's locks: what is written appears whole,
// and two writers of one output take turns.
package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options are the caller's.
type Options struct {
	Env  port.Env
	Jobs int // files hashed and requests made at once; zero is for the machine to say
	// Tell hears how far a command has come, now and then; may be nil.
	Tell func(Progress)
	// Foreign fetches what another repository keeps, as a .dvc file says it was imported,
	// into dir, and tells where it lies; nil where no other repository can be asked.
	Foreign func(ctx context.Context, from dvc.Dep, dir string) (fetched string, err error)
}

// Progress is how far a command has come.
type Progress struct {
	What         string // "adding data/raw"
	Files, Bytes int64  // so far
	Ahead        bool   // or in all, before anything is read
	Of           int64  // bytes in all; 0: not known
}

// Workspace is open.
type Workspace struct {
	root   string // of the repository, where .dvc is
	base   string // folder that remotes' relative paths are below; "" refuses them
	state  string // folder of what is remembered of its files
	kept   string // folder of the cache; "" is for the configuration to say
	o      Options
	config *dvc.Config
	cache  *dvccache.Cache
}

// Open finds the DVC repository that dir is in.
func Open(dir string, o Options) (*Workspace, error) {
	w, err := OpenConfig(dir, o)
	if err != nil {
		return nil, err
	}
	return w, w.open()
}

// OpenConfig is Open for what is about the configuration alone, which may be in need of
// mending: no data is at hand.
func OpenConfig(dir string, o Options) (*Workspace, error) {
	root, err := find(dir)
	if err != nil {
		return nil, err
	}
	w := &Workspace{root: root, base: filepath.Join(root, ".dvc"), o: o}
	w.config, err = w.configuration()
	return w, err
}

// open is given the configuration.
func (w *Workspace) open() (err error) {
	if w.state, err = stateDir(w.o.Env.Lookup, w.root); err != nil {
		return err
	}
	types, _ := w.config.Get("cache", "type")
	shared, _ := w.config.Get("cache", "shared")
	w.cache, err = dvccache.Open(w.cacheDir(), dvccache.Options{
		Types:  dvc.LinkTypes(types),
		Shared: shared == "group",
	})
	return err
}

// workers is how many files are worked on at once: reading and writing them is the machine's.
func (w *Workspace) workers() int {
	if w.o.Jobs > 0 {
		return w.o.Jobs
	}
	return 2 * runtime.NumCPU()
}

// find looks for .dvc from dir upwards.
func find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fault.New(fault.Invalid, "find the repository: %w", err)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for at := dir; ; at = filepath.Dir(at) {
		if st, err := os.Stat(filepath.Join(at, ".dvc")); err == nil && st.IsDir() {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fault.WithHint(fault.New(fault.Missing, "%s is not in a DVC repository: there is no folder .dvc in it or above", dir), "make one: vishwa data init")
		}
	}
}

// stateDir is where what is known of the repository's files is kept: below the
// user's cache, never in the work tree.
func stateDir(lookup func(string) (string, bool), root string) (string, error) {
	base, ok := lookup("XDG_CACHE_HOME")
	if !ok || !filepath.IsAbs(base) {
		home, ok := lookup("HOME")
		if !ok || home == "" {
			return "", fault.WithHint(fault.New(fault.Invalid, "there is no home directory"), "set HOME or XDG_CACHE_HOME")
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "vishwa", "data", digest.Of([]byte(root)).Short()), nil
}

// Root is the repository's folder.
func (w *Workspace) Root() string { return w.root }

// Cache is the repository's cache.
func (w *Workspace) Cache() *dvccache.Cache { return w.cache }

// store is the cache in the layout that an output is named by.
func (w *Workspace) store(o Output) *dvccache.Cache {
	if o.Out.Hash == "" {
		return w.cache.Legacy()
	}
	return w.cache
}

// manifest reads a directory's manifest, from either layout.
func (w *Workspace) manifest(ctx context.Context, oid dvc.OID) (dvc.Tree, error) {
	t, err := w.cache.Tree(ctx, oid)
	if err != nil && fault.Of(err) == fault.Missing {
		return w.cache.Legacy().Tree(ctx, oid)
	}
	return t, err
}

// Config is the configuration, all of its layers.
func (w *Workspace) Config() *dvc.Config { return w.config }

// configuration lays .dvc/config.local over .dvc/config over the user's.
func (w *Workspace) configuration() (*dvc.Config, error) {
	var layers []*dvc.Config
	files := []string{filepath.Join(w.root, ".dvc", "config"), filepath.Join(w.root, ".dvc", "config.local")}
	if base, ok := w.o.Env.Lookup("XDG_CONFIG_HOME"); ok {
		files = append([]string{filepath.Join(base, "dvc", "config")}, files...)
	} else if home, ok := w.o.Env.Lookup("HOME"); ok {
		files = append([]string{filepath.Join(home, ".config", "dvc", "config")}, files...)
	}
	for _, file := range files {
		c, err := readConfig(file)
		if err != nil {
			return nil, err
		}
		layers = append(layers, c)
	}
	return dvc.Merge(layers...), nil
}

func readConfig(file string) (*dvc.Config, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &dvc.Config{}, nil
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "read configuration: %w", err), "make it readable")
	}
	return dvc.ParseConfig(file, b)
}

func (w *Workspace) cacheDir() string {
	dir, _ := w.config.Get("cache", "dir")
	if w.kept != "" {
		return w.kept
	}
	if dir == "" {
		dir = "cache"
	}
	return configured(dir, filepath.Join(w.root, ".dvc"), w.o.Env.Lookup)
}

// rel is path, as the caller's working directory sees it, from the root.
func (w *Workspace) rel(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fault.New(fault.Invalid, "find %s: %w", path, err)
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	rel, err := filepath.Rel(w.root, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s is outside of the repository %s", path, w.root), "name a path in it, or import it")
	}
	return filepath.ToSlash(rel), nil
}

// Below is where what a path means stands, from the root: data, or what a .dvc file is named by.
func (w *Workspace) Below(path string) (string, error) {
	return w.rel(strings.TrimSuffix(path, ".dvc"))
}

func (w *Workspace) abs(rel string) string { return filepath.Join(w.root, filepath.FromSlash(rel)) }

// OutputsOf lists what a tree keeps: its .dvc files and its dvc.lock. Folders that
// are not a repository's own are left out, and so are tracked ones.
func OutputsOf(ctx context.Context, tree fs.FS) ([]Output, error) { return outputsOf(ctx, tree, nil) }

// outputsOf tells pass, where it is given, of files that cannot be read, and goes on.
func outputsOf(ctx context.Context, tree fs.FS, pass func(file string, err error)) (out []Output, err error) {
	skip := func(file string, err error) error {
		if err == nil || pass == nil {
			return err
		}
		pass(file, err)
		return nil
	}
	err = fs.WalkDir(tree, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went while we looked
			}
			return fault.New(fault.Denied, "look for data: %w", err)
		case ctx.Err() != nil:
			return fault.New(fault.Cancelled, "look for data: %w", ctx.Err())
		case e.IsDir():
			if name := e.Name(); p != "." && (name == ".git" || name == ".dvc" || name == ".hg" || name == "node_modules" || name == ".venv") {
				return fs.SkipDir
			}
			if p != "." && (isData(tree, p) || isRepository(tree, p)) {
				return fs.SkipDir
			}
			return nil
		case !e.Type().IsRegular():
			return nil
		case strings.HasSuffix(p, ".dvc"):
			out, err = pointerOuts(tree, p, out)
			return skip(p, err)
		case e.Name() == "dvc.lock":
			out, err = lockOuts(tree, p, out)
			return skip(p, err)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Output) int { return strings.Compare(a.Path, b.Path) })
	return out, err
}

// isData tells whether a folder is the data of the .dvc file beside it, which comes after
// it: data is not looked into.
func isData(tree fs.FS, p string) bool {
	b, err := readSmall(tree, p+".dvc")
	if err != nil {
		return false
	}
	ptr, err := dvc.ParsePointer(p+".dvc", b)
	if err != nil {
		return true // it is told when its turn comes
	}
	return slices.ContainsFunc(ptr.Outs, func(o dvc.Out) bool {
		at, err := ptr.Place(p+".dvc", o)
		return err == nil && at == p
	})
}

// isRepository tells whether a folder is a DVC repository of its own.
func isRepository(tree fs.FS, p string) bool {
	st, err := fs.Stat(tree, path.Join(p, ".dvc"))
	return err == nil && st.IsDir()
}

func pointerOuts(tree fs.FS, file string, out []Output) ([]Output, error) {
	b, err := readSmall(tree, file)
	if err != nil {
		return out, err
	}
	p, err := dvc.ParsePointer(file, b)
	if err != nil {
		return out, err
	}
	for _, o := range p.Outs {
		at, err := p.Place(file, o)
		if err != nil {
			return out, err
		}
		it := Output{File: file, Path: at, Out: o}
		if len(p.Deps) == 1 && p.Deps[0].Repo != nil {
			it.From = &p.Deps[0]
		}
		out = append(out, it)
	}
	return out, nil
}

func lockOuts(tree fs.FS, file string, out []Output) ([]Output, error) {
	l, err := dvc.LoadLock(file, func(name string) ([]byte, error) { return readSmall(tree, name) })
	if err != nil {
		return out, err
	}
	for _, s := range l.Stages {
		for _, o := range s.Outs {
			at, err := (&dvc.Pointer{}).Place(file, o)
			if err != nil {
				return out, err
			}
			out = append(out, Output{File: file, Path: at, Out: o, Stage: s.Name})
		}
	}
	return out, nil
}

// lockOutput lets one writer at a time work on an output. Another that works on it is
// waited for, and named.
func (w *Workspace) lockOutput(ctx context.Context, rel string) (release func(), err error) {
	file := filepath.Join(w.state, digest.Of([]byte(rel)).Short()+".lock")
	if err := os.MkdirAll(w.state, 0o700); err != nil {
		return nil, fault.New(fault.Denied, "take a turn at %s: %w", rel, err)
	}
	who := file + ".by"
	if held, err := sandbox.Held(file); err == nil && held && w.o.Env.Log != nil {
		by, _ := os.ReadFile(who)
		w.o.Env.Log.Info("another command works on it; waiting for it to end", "path", rel, "by", strings.TrimSpace(string(by)))
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f, err := sandbox.Lock(limited, file)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		by, _ := os.ReadFile(who)
		return nil, fault.WithHint(fault.New(fault.Conflict, "%s: %s works on it and has not ended in %s", rel, strings.TrimSpace(string(by)), patience), "wait for it, or end it")
	}
	if err != nil {
		return nil, err
	}
	_ = os.WriteFile(who, fmt.Appendf(nil, "process %d, since %s\n", os.Getpid(), w.o.Env.Now().UTC().Format("15:04:05 UTC")), 0o600)
	return func() { f.Close() }, nil
}
