// What a restart need not look at again: the refs that were settled, in one small
// file a repository. It only saves work. What is not in it is passed once more, and
// a file that cannot be read is as good as none.

package controller

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// checkpoint is the file.
type checkpoint struct {
	Of       digest.Digest   `json:"of"` // what settled it: the program's version and the repository's configuration
	Name     string          `json:"name"`
	Branches map[string]view `json:"branches,omitempty"`
	Open     map[int]view    `json:"open,omitempty"`
	Pulls    map[int]string  `json:"pulls,omitempty"` // at rest
	Calendar scheduler       `json:"calendar,omitempty"`
}

// remember is what of a is settled.
func (a *workQueue) remember() checkpoint {
	m := checkpoint{Branches: map[string]view{}, Open: map[int]view{}, Pulls: map[int]string{}}
	for n, head := range a.quiet {
		m.Pulls[n] = head
	}
	for i, t := range a.tasks {
		switch {
		case t.owed || t.gone || t.settled.Head == "":
		case i.branch != "":
			m.Branches[i.branch] = t.settled
		case t.open:
			m.Open[i.pull] = t.settled
		default:
			m.Pulls[i.pull] = t.settled.Head
		}
	}
	return m
}

// recall takes up what is remembered.
func (a *workQueue) recall(m checkpoint) {
	for b, v := range m.Branches {
		a.tasks[item{branch: b}] = &task{settled: v, want: v, gone: true}
	}
	for n, v := range m.Open {
		a.tasks[item{pull: n}] = &task{settled: v, want: v, open: true}
	}
	if m.Pulls != nil {
		a.quiet = m.Pulls
	}
	a.based = true
}

// loadCheckpoint reads the file at path, which must be of the given maker.
func loadCheckpoint(path string, of digest.Digest, now time.Time) (checkpoint, bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return checkpoint{}, false, nil
	}
	if err != nil {
		return checkpoint{}, false, err
	}
	var m checkpoint
	if err := json.Unmarshal(text, &m); err != nil {
		return checkpoint{}, false, err
	}
	if m.Of != of {
		return checkpoint{}, false, nil
	}
	known := m.Calendar
	m.Calendar = scheduler{}
	for b, t := range known {
		if t == nil {
			continue
		}
		m.Calendar.set(b, t.Expressions, now)
		if kept := m.Calendar[b]; kept != nil {
			kept.Since = t.Since
		}
		m.Calendar.wake(b, t.Once, now)
	}
	return m, true, nil
}

// save replaces the file at path at once.
func (m checkpoint) save(path string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".memory-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// file is where what is settled is remembered.
func (w *worker) file() string {
	if w.c.config.State == "" {
		return ""
	}
	return filepath.Join(w.c.config.State, w.key().Hex()+".json")
}

func (w *worker) save() {
	w.agenda.dirty = false
	path := w.file()
	if path == "" {
		return
	}
	m := w.agenda.remember()
	m.Of, m.Name, m.Calendar = w.maker(), w.name, w.calendar
	if err := m.save(path); err != nil {
		w.log.Warn("what is settled cannot be remembered: a restart looks at it all again", "error", err)
	}
}

func (w *worker) load() {
	path := w.file()
	if path == "" {
		return
	}
	m, found, err := loadCheckpoint(path, w.maker(), w.c.now())
	if err != nil {
		w.log.Warn("what was settled cannot be read: all is looked at again", "error", err)
	}
	if found {
		w.agenda.recall(m)
		w.calendar = m.Calendar
	}
}

// key names the repository whatever its spelling; maker is what its memory depends on.
func (w *worker) key() digest.Digest {
	return digest.Of([]byte(cmp.Or(w.repo.Identity(), w.name)))
}

func (w *worker) maker() digest.Digest {
	d, err := digest.JSON(map[string]any{"version": w.c.version, "repository": w.repo})
	if err != nil {
		return ""
	}
	return d
}
