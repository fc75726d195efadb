// What a checkout's files held is remembered from one reading to the next; and while one reading goes on, the folders that were asked
// last stay open, as most files are asked for folder by folder.

package repo

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
)

// recalled is what is known of files, and what one reading finds of them. Its fields are guarded by the reading's lock.
type recalled struct {
	at    recall.Memory
	known recall.Known // nil: not read yet
	now   recall.Known // of this reading
	read  map[string]dvccache.Stamp
	fresh bool // now has what known has not
}

// Recall is what the file at name holds, where it has not changed since that was remembered.
func (w *watched) Recall(name string) (digest.File, bool) {
	if w.recalled.at.Path == "" {
		return digest.File{}, false
	}
	at, err := w.near.stand(w.worktree, name)
	if err != nil {
		return digest.File{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &w.recalled
	if r.known == nil {
		if r.known = r.at.Load(); r.known == nil {
			r.known = recall.Known{}
		}
	}
	f, ok := r.known[name]
	if !ok || f.Stamp != at {
		return digest.File{}, false
	}
	w.noted(name, plumbing.Hash(f.Git))
	r.now[name] = f
	return digest.File{Path: name, Digest: digest.FromSum(f.SHA256[:]), Size: f.Size}, true
}

// Remember has f, which was read whole and is closed, known the next time, unless it may have been written while it was.
func (w *watched) Remember(f digest.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &w.recalled
	at, ok := r.read[f.Path]
	if !ok || at.Size != f.Size || w.files[f.Path].IsZero() {
		return
	}
	k := recall.File{Stamp: at, Git: w.files[f.Path]}
	if n, err := hex.Decode(k.SHA256[:], []byte(f.Digest.Hex())); err != nil || n != len(k.SHA256) {
		return
	}
	r.now[f.Path], r.fresh = k, true
}

// keep writes down what this reading knows, where that is more than what was known, or much less.
func (r *recalled) keep() {
	if r.at.Path != "" && (r.fresh || len(r.known) > 2*len(r.now)) {
		_ = r.at.Save(r.now) // the next one reads the files again
	}
}

// near are the folders that were asked last, the last one first. Files are read two at a time, and what they name stands in other folders.
type near struct {
	mu   sync.Mutex
	kept []opened
}

// opened is a folder that is kept open.
type opened struct {
	name string
	root *os.Root
	file *os.File
	fd   int // of file, whose own method asks the kernel each time
}

// mostNear is how many are kept open.
const mostNear = 6

// errFar says that a file is to be asked for in the usual way, which finds what is the matter with it.
var errFar = errors.New("not a plain file of a folder that can be kept open")

// in calls do with the folder of name, open, and the name in it. All that stands between the root and the file was looked at
// as worktree.check does, once for all files of the folder that are asked for one after another.
func (n *near) in(w worktree, name string, do func(folder opened, name string) error) error {
	if err := w.git.load(); err != nil || w.git.head != nil || !fs.ValidPath(name) {
		return errFar // a file may hold something else than is on the disk
	}
	dir, base := path.Split(name)
	if dir = path.Clean(dir); dir == "." || hidden(base) {
		return errFar
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.kept, func(o opened) bool { return o.name == dir })
	if i < 0 {
		o, err := w.keepOpen(dir)
		if err != nil {
			return err
		}
		if len(n.kept) == mostNear {
			n.kept[mostNear-1].close()
			n.kept = n.kept[:mostNear-1]
		}
		n.kept, i = append(n.kept, o), len(n.kept)
	}
	o := n.kept[i]
	copy(n.kept[1:i+1], n.kept[:i])
	n.kept[0] = o
	return do(o, base)
}

// keepOpen opens a folder whose files are looked at in it.
func (w worktree) keepOpen(dir string) (opened, error) {
	if err := w.check("open", dir); err != nil {
		return opened{}, err
	}
	if within, err := w.nested(dir); err != nil || within {
		return opened{}, errFar
	}
	root, err := w.repo.root.OpenRoot(dir)
	if err != nil {
		return opened{}, err
	}
	f, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return opened{}, err
	}
	return opened{dir, root, f, int(f.Fd())}, nil
}

func (o opened) close() { _, _ = o.file.Close(), o.root.Close() }

// close lets the folders go.
func (n *near) close() {
	for _, o := range n.kept {
		o.close()
	}
	n.kept = nil
}

// info is what the plain file at name is like.
func (n *near) info(w worktree, name string) (info fs.FileInfo, err error) {
	err = n.in(w, name, func(folder opened, name string) error {
		if info, err = folder.root.Lstat(name); err != nil || !info.Mode().IsRegular() {
			return errFar
		}
		return nil
	})
	return info, err
}

// stand is how the file at name stands.
func (n *near) stand(w worktree, name string) (at dvccache.Stamp, err error) {
	err = n.in(w, name, func(folder opened, name string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(folder.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			return errFar
		}
		at = dvccache.StampOf(&st)
		return nil
	})
	return at, err
}

// open opens the file at name, and tells how it stood, where it could be told from what may be written later.
func (n *near) open(w worktree, name string) (f *os.File, at dvccache.Stamp, settled bool, err error) {
	if _, err := n.stand(w, name); err != nil { // what is no plain file is not opened: a pipe would wait for a writer
		return nil, at, false, err
	}
	err = n.in(w, name, func(folder opened, base string) error {
		began := time.Now()
		fd, err := unix.Openat(folder.fd, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return errFar
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			_ = unix.Close(fd)
			return errFar
		}
		at = dvccache.StampOf(&st)
		settled = recall.Settled(at, began)
		f = os.NewFile(uintptr(fd), name)
		return nil
	})
	return f, at, settled, err
}
