// Survey reads what declarations name, so that Build can stay a function of values.

package graph

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/lfs"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Pins is what the declared paths hold at one moment.
type Pins struct {
	Files map[string]digest.Manifest    // declared path -> the files at or below it, by path from the root
	Data  map[schemas.Ref]port.Artifact // dataset -> its data

	Points map[schemas.Ref]*port.DataPointer // dataset -> the pointer that names its data
}

// Survey reads every file and folder that decls name from the repository's tree.
// Each file is read once however often it, or a folder above it, is named.
func Survey(tree fs.FS, decls []schemas.Declaration) (Pins, []schemas.Problem) {
	s := survey{tree: tree, files: map[string]digest.File{}, held: map[string]port.Artifact{}, locks: map[string]locked{}, pins: Pins{Files: map[string]digest.Manifest{}, Data: map[schemas.Ref]port.Artifact{}, Points: map[schemas.Ref]*port.DataPointer{}}}
	for i := range decls {
		d := &decls[i]
		if len(s.problems) >= schemas.MaxProblems {
			break
		}
		switch spec := d.Spec.(type) {
		case schemas.Data:
			s.dataset(d, spec.Data())
		case schemas.Provisioned:
			s.readManifest(d, "spec.module", spec.Stack().Module)
		case schemas.Commanded:
			if w, field := spec.Command(); w != nil {
				s.work(d, field, *w)
			}
			if asks, ok := spec.(schemas.Asks); ok && asks.Asked() != nil {
				s.work(d, "spec.search.ask", asks.Asked().Work)
			}
			if run, ok := spec.(schemas.Runnable); ok {
				for _, p := range run.Delegates().Files() {
					s.readManifest(d, "spec.external", p)
				}
			}
		}
	}
	return s.pins, s.problems
}

type survey struct {
	tree     fs.FS
	pins     Pins
	problems []schemas.Problem

	files map[string]digest.File   // by path, as they were read
	named int                      // how many there are under all the paths that are named
	held  map[string]port.Artifact // what datasets name, by path
	locks map[string]locked        // dvc.lock files, by path
	other *others                  // outputs of dvc.lock files that stand elsewhere; nil: not looked for
	taken int                      // bytes of pointers and dvc.lock files so far

	room []byte    // for what is read at a time
	head beginning // of the file that was read last
}

// Remembers is a tree that knows what files hold that have not changed since an earlier survey.
type Remembers interface {
	Recall(name string) (f digest.File, ok bool)
	Remember(f digest.File) // it was read whole, is closed and holds what it seems to
}

// MaxFiles bounds the files under all the paths that declarations name, each counted
// as often as a path stands for it: a few trees in Git, each of which holds another ten
// times over, are more files than there is room for.
const MaxFiles = 200_000

func (s *survey) work(d *schemas.Declaration, field string, w schemas.Work) {
	for i, p := range w.Code {
		s.readManifest(d, fmt.Sprintf("%s.code.%d", field, i), p)
	}
	if w.Env.Requirements != "" {
		s.readManifest(d, field+".env.requirements", w.Env.Requirements)
	}
}

func (s *survey) readManifest(d *schemas.Declaration, field, p string) digest.Manifest {
	p = path.Clean(p)
	if m, ok := s.pins.Files[p]; ok {
		return m
	}
	m, err := s.below(p)
	if err != nil {
		s.problem(d, field, describe(p, err))
		return nil
	}
	s.pins.Files[p] = m
	return m
}

func (s *survey) problem(d *schemas.Declaration, field, message string) {
	at := d.Pos
	if d.Fields != nil {
		at = d.Fields(field)
	}
	s.problems = append(s.problems, schemas.Problem{Pos: at, Field: field, Message: message})
}

// below lists the files at or below p with their paths from the root.
func (s *survey) below(p string) (digest.Manifest, error) {
	info, err := fs.Stat(s.tree, p)
	if err != nil {
		return nil, err
	}
	if err := whole(p, info.Mode()); err != nil {
		return nil, err
	}
	if !info.IsDir() {
		f, err := s.file(p)
		return digest.Manifest{f}, err
	}
	m := digest.Manifest{}
	err = fs.WalkDir(s.tree, p, func(at string, e fs.DirEntry, err error) error {
		if err == nil {
			err = whole(at, e.Type())
		}
		if err != nil || e.IsDir() {
			return err
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s is a %s, not a regular file", at, digest.KindOf(e.Type()))
		}
		f, err := s.file(at)
		m = append(m, f)
		return err
	})
	slices.SortFunc(m, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	return m, err
}

// file is the file at p, read where it was not yet.
func (s *survey) file(p string) (digest.File, error) {
	if s.named++; s.named > MaxFiles {
		return digest.File{}, errCrowded
	}
	if f, ok := s.files[p]; ok {
		return f, nil
	}
	memory, remembers := s.tree.(Remembers)
	if remembers {
		if f, ok := memory.Recall(p); ok {
			s.files[p] = f
			return f, nil
		}
	}
	f, err := s.readFile(p)
	if err != nil {
		return digest.File{}, err
	}
	if remembers {
		memory.Remember(f)
	}
	s.files[p] = f
	return f, nil
}

// readFile is the file at p, which is no other's stand-in.
func (s *survey) readFile(p string) (digest.File, error) {
	in, err := s.tree.Open(p)
	if err != nil {
		return digest.File{}, err
	}
	defer in.Close()
	if s.room == nil {
		s.room = make([]byte, 16<<10)
	}
	head := s.head[:0]
	d, n, err := digest.ReaderThrough(io.TeeReader(in, &head), s.room)
	s.head = head
	if err != nil {
		return digest.File{}, fmt.Errorf("read %s: %w", p, err)
	}
	if _, is := lfs.Parse(head); is {
		return digest.File{}, pointer(p)
	}
	if bytes.HasPrefix(head, []byte("\x00GITCRYPT\x00")) {
		return digest.File{}, standIn{p, "encrypted by git-crypt", "unlock the clone: git-crypt unlock (a controller cannot; keep the file outside of git-crypt for one)"}
	}
	return digest.File{Path: p, Digest: d, Size: n}, nil
}

// beginning is the first bytes of what is written to it: enough to tell a pointer of Git LFS.
type beginning []byte

func (h *beginning) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), lfs.MaxPointer-len(*h))]...)
	return len(p), nil
}

// standIn is a file or folder in whose place the repository holds something else.
type standIn struct{ path, is, way string }

func (e standIn) Error() string { return e.path + " is " + e.is + "; " + e.way }

func pointer(p string) error {
	return standIn{p, "a Git LFS pointer and not the file itself", "fetch what it names: git lfs pull --include " + p}
}

// whole refuses a repository within the repository (a folder of irregular mode).
func whole(p string, mode fs.FileMode) error {
	if mode.IsDir() && mode&fs.ModeIrregular != 0 {
		return standIn{p, "a submodule, or another Git repository of its own, whose files no commit of this one holds",
			"copy what is needed into this repository, or have data come by source.dvc.repo"}
	}
	return nil
}

var errCrowded = errors.New("too many files")

func describe(p string, err error) string {
	var other standIn
	switch {
	case errors.As(err, &other):
		return other.Error()
	case errors.Is(err, errCrowded):
		return fmt.Sprintf("with %s, the paths that declarations name hold more than %d files; name narrower paths, or keep the data outside of Git with vishwa data add", p, MaxFiles)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s is not in the repository; add it, or correct the path", p)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s cannot be read; give yourself permission to read it", p)
	default:
		return fmt.Sprintf("%s cannot be read: %v; make it a plain file or folder of the repository", p, err)
	}
}
