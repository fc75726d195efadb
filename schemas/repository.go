// What the repository holds under a path: no symbolic link is followed, and each
// path is asked for once.

package schemas

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode"
)

// repository looks at fsys and remembers.
type repository struct {
	fsys    fs.FS
	seen    map[string]entry
	folders map[string]map[string]fs.DirEntry // those that were listed
	unread  map[string]error                  // why a folder could not be listed
	guesses guesses
}

// guesses counts what was compared in search of names that were meant: that is worth
// something to a person with a typo, and nothing in a text of typos.
type guesses int

// may tells whether name may be looked for among so many.
func (g *guesses) may(name string, among int) bool {
	*g += guesses(len(name)*len(name)*among + among)
	return *g <= maxGuesses
}

// entry is what is at a path. Where link is set, it, or a folder above it, is a symbolic link.
type entry struct {
	mode fs.FileMode
	size int64
	link string
	err  error
}

func newRepository(fsys fs.FS) *repository {
	return &repository{fsys: fsys, seen: map[string]entry{}, folders: map[string]map[string]fs.DirEntry{}, unread: map[string]error{}}
}

// entryAt tells what is at p, which is a valid path.
func (r *repository) entryAt(p string) entry {
	if e, ok := r.seen[p]; ok {
		return e
	}
	// From the root down to what is not there: nothing below it is looked at, and nothing
	// remembered, for there is no end to what is not there.
	above := r.once(".")
	for i := 0; i < len(p) && p != "."; i++ {
		switch {
		case above.err != nil || above.link != "":
			return above
		case !above.mode.IsDir():
			return entry{err: fs.ErrNotExist}
		}
		if n := strings.IndexByte(p[i:], '/'); n >= 0 {
			i += n
		} else {
			i = len(p)
		}
		above = r.once(p[:i])
	}
	return above
}

// once looks at p, whose folder is there, and remembers it.
func (r *repository) once(p string) entry {
	e, ok := r.seen[p]
	if !ok {
		e = r.lookAt(p)
		r.seen[p] = e
	}
	return e
}

func (r *repository) lookAt(p string) entry {
	info, err := r.lstat(p)
	if err != nil {
		return entry{err: err}
	}
	e := entry{mode: info.Mode(), size: info.Size()}
	if e.mode&fs.ModeSymlink != 0 {
		e.link = p
	}
	return e
}

func (r *repository) lstat(p string) (fs.FileInfo, error) {
	if _, ok := r.fsys.(fs.ReadLinkFS); ok || p == "." {
		return fs.Lstat(r.fsys, p)
	}
	e, ok := r.list(path.Dir(p))[path.Base(p)]
	if !ok {
		return nil, cmp.Or(r.unread[path.Dir(p)], fs.ErrNotExist)
	}
	return e.Info()
}

// list names the entries of a folder; one that cannot be read has none.
func (r *repository) list(dir string) map[string]fs.DirEntry {
	if m, ok := r.folders[dir]; ok {
		return m
	}
	entries, err := fs.ReadDir(r.fsys, dir)
	if err != nil {
		r.unread[dir] = err // reported when something in it is asked for
	}
	m := make(map[string]fs.DirEntry, len(entries))
	for _, e := range entries {
		m[e.Name()] = e
	}
	r.folders[dir] = m
	return m
}

// head reads up to n bytes of a file that had size bytes when it was looked at.
func (r *repository) head(p string, size, n int64) ([]byte, error) {
	f, err := r.fsys.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	b.Grow(int(max(0, min(size, n))) + bytes.MinRead) // there may be more by now
	_, err = b.ReadFrom(io.LimitReader(f, n))
	return b.Bytes(), err
}

// nearest ends a message with the path that was probably meant by p.
func (r *repository) nearest(p string) string {
	if n := r.beside(p); n != "" {
		return meant(n)
	}
	return ""
}

// beside is the path beside p, in its folder, that was probably meant.
func (r *repository) beside(p string) string {
	names := []string{}
	beside := r.list(path.Dir(p))
	if !r.guesses.may(path.Base(p), len(beside)) {
		return ""
	}
	for name := range beside {
		names = append(names, name)
	}
	if n := Nearest(path.Base(p), names); n != "" {
		return path.Join(path.Dir(p), n)
	}
	return ""
}

// local says what is wrong with p as a path of the repository, and the way out; "" is nothing.
func local(p string) string {
	clean := path.Clean(p)
	switch {
	case p == "":
		return "is empty; give a path of the repository"
	case len(p) > maxPath:
		return fmt.Sprintf("%s is longer than %d bytes; give a shorter path", short(p), maxPath)
	case strings.Contains(p, `\`):
		return short(p) + " holds a back-slash; write the path with forward slashes, from the repository's root"
	case strings.HasPrefix(p, "/") || len(p) > 1 && p[1] == ':':
		return short(p) + " is absolute; give a path from the repository's root"
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return short(p) + " leads outside the repository; give a path from the repository's root"
	case strings.ContainsFunc(p, unicode.IsControl):
		return short(p) + " holds a control character; rename the file"
	case clean != p:
		return short(p) + " is written in a roundabout way; write " + clean
	default:
		return ""
	}
}

// cause is an error of the file system without the path, which the message has already.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}
