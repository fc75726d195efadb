// Watching the refs of local repositories. What is seen only says "look again":
// where it is lost, or cannot be had, the poll makes it good.

package controller

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

const (
	settling   = 100 * time.Millisecond // a burst of changes is one look
	maxFolders = 1000                   // watched of one repository; in those beyond, the poll finds changes
)

// watch watches for all workers: a user may have few watchers and many watched folders.
type watch struct {
	log    *slog.Logger
	id     func() string
	notify *fsnotify.Watcher // nil: the system has none to give

	mu    sync.Mutex
	dirs  map[string]*worker      // watched folder -> whose
	roots map[*worker]string      // the Git folder of those that are watched wholly
	waits map[*worker]*time.Timer // bursts that settle
	ended bool
}

func (c *Controller) startWatch(ctx context.Context) *watch {
	w := &watch{log: c.log, id: c.id, dirs: map[string]*worker{}, roots: map[*worker]string{}, waits: map[*worker]*time.Timer{}}
	local := false
	for _, k := range c.workers {
		local = local || k.repo.Path != ""
	}
	if !local {
		return w
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		c.log.Warn("local repositories cannot be watched, they are polled", "error", err)
		return w
	}
	w.notify = notify
	fault.Go(func() { w.run(ctx) }, routine.Logged(w.log, "the watch of local repositories, which are looked at by the poll from now on,"))
	return w
}

func (w *watch) run(ctx context.Context) {
	defer w.close()
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-w.notify.Events:
			if !open {
				return
			}
			w.seen(e)
		case err, open := <-w.notify.Errors:
			if !open {
				return
			}
			w.log.Warn("watch local repositories", "error", err)
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				w.all()
			}
		}
	}
}

func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for _, t := range w.waits {
		t.Stop()
	}
	_ = w.notify.Close()
}

// keep watches the repository of k where it is local and not watched wholly.
func (w *watch) keep(k *worker) {
	if w.notify == nil || k.repo.Path == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, kept := w.roots[k]; kept || w.ended {
		return
	}
	git, err := config.GitFolder(k.repo.Path)
	if err != nil {
		return
	}
	err = w.add(git, k)
	for _, below := range []string{"refs", "reftable"} {
		if _, there := os.Stat(filepath.Join(git, below)); err == nil && there == nil {
			err = w.add(filepath.Join(git, below), k)
		}
	}
	if err == nil {
		err = w.tree(filepath.Join(git, "refs", "heads"), k)
	}
	if err != nil {
		k.log.Debug("the repository cannot be watched, it is polled", "error", err)
		return
	}
	w.roots[k] = git
}

func (w *watch) add(dir string, k *worker) error {
	if err := w.notify.Add(dir); err != nil {
		return err
	}
	w.dirs[dir] = k
	return nil
}

// tree watches a folder and all below it.
func (w *watch) tree(dir string, k *worker) error {
	n := 0
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !e.IsDir():
			return nil
		}
		if n++; n > maxFolders {
			return fs.SkipAll
		}
		return w.add(path, k)
	})
}

// seen takes one event.
func (w *watch) seen(e fsnotify.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)
	if k := w.dirs[e.Name]; k != nil && gone {
		delete(w.dirs, e.Name)
		_ = w.notify.Remove(e.Name) // it may be elsewhere now, and watched still
		w.lost(k, e.Name)
		w.ring(k)
		return
	}
	dir, name := filepath.Split(e.Name)
	dir = filepath.Clean(dir)
	k := w.dirs[dir]
	if k == nil || e.Op == fsnotify.Chmod || strings.HasSuffix(name, ".lock") {
		return
	}
	git := w.roots[k]
	if dir == git && name != "HEAD" && name != "packed-refs" && name != "refs" {
		return
	}
	heads := filepath.Join(git, "refs", "heads")
	if e.Has(fsnotify.Create) && (e.Name == heads || strings.HasPrefix(e.Name, heads+string(filepath.Separator))) {
		if i, err := os.Lstat(e.Name); err == nil && i.IsDir() {
			if err := w.tree(e.Name, k); err != nil {
				k.log.Debug("a folder cannot be watched, the poll finds its changes", "error", err)
			}
		}
	}
	w.ring(k)
}

// lost makes the repository of k be watched anew after the next look, when a
// folder went that is always there.
func (w *watch) lost(k *worker, dir string) {
	git := w.roots[k]
	if strings.HasPrefix(dir, filepath.Join(git, "refs", "heads")+string(filepath.Separator)) {
		return
	}
	delete(w.roots, k)
	for d, of := range w.dirs {
		if of == k {
			delete(w.dirs, d)
			_ = w.notify.Remove(d)
		}
	}
}

// ring says "look again" when the burst has settled.
func (w *watch) ring(k *worker) {
	if w.waits[k] != nil || w.ended {
		return
	}
	w.waits[k] = time.AfterFunc(settling, func() {
		w.mu.Lock()
		delete(w.waits, k)
		w.mu.Unlock()
		id := w.id()
		k.log.Info("triggered", "by", "refs", "trigger", id)
		k.box.wantLook(id)
	})
}

// all rings for every local repository: events were lost.
func (w *watch) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.roots {
		w.ring(k)
	}
}
