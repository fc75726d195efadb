// What names a dataset's data: the files themselves, or a pointer of DVC's that
// stands in the repository for data that is kept elsewhere.

package graph

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/format/lfs"
	"github.com/vishwaops/vishwa/reconciler/format/yamlpos"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (s *survey) dataset(d *schemas.Declaration, spec *schemas.Dataset) {
	src := spec.Source
	switch {
	case src.Path != "":
		m := s.readManifest(d, "spec.source.path", src.Path)
		if m != nil && len(m) == 0 {
			s.problem(d, "spec.source.path", src.Path+" is an empty folder; put the data there")
		} else if m != nil {
			p := path.Clean(src.Path)
			if _, ok := s.held[p]; !ok {
				s.held[p] = held(p, m)
			}
			s.pins.Data[d.Ref()] = s.held[p]
		}
	case src.Mutable():
		s.pointed(d, "spec.source.pin", func() (*port.DataPointer, error) { return s.pinned(src.Pin) })
	case src.DVC != nil:
		s.pointed(d, "spec.source.dvc.path", func() (*port.DataPointer, error) { return s.tracked(path.Clean(src.DVC.Path)) })
	}
}

// held is the data that the tree itself has at p.
func held(p string, m digest.Manifest) port.Artifact {
	if len(m) == 1 && m[0].Path == p {
		return port.Artifact{Name: path.Base(p), Digest: m[0].Digest, Size: m[0].Size}
	}
	below := make(digest.Manifest, len(m))
	for i, f := range m {
		below[i] = f
		below[i].Path = strings.TrimPrefix(f.Path, p+"/")
	}
	return port.Artifact{Name: path.Base(p), Digest: below.Digest(), Size: below.Size(), Files: below}
}

func (s *survey) pointed(d *schemas.Declaration, field string, find func() (*port.DataPointer, error)) {
	at, err := find()
	if err != nil {
		message := err.Error()
		if way := fault.HintOf(err); way != "" {
			message += "; " + way
		}
		s.problem(d, field, message)
		return
	}
	data := port.Artifact{Name: path.Base(at.Path), Digest: at.SHA256, Size: max(at.Size, 0)}
	s.pins.Data[d.Ref()], s.pins.Points[d.Ref()] = data, at
}

// pinned reads the pointer that pins a source.
func (s *survey) pinned(file string) (*port.DataPointer, error) {
	file = path.Clean(file)
	p, err := s.pointer(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not in the repository: the source is not pinned yet", file), "run vishwa data refresh, and commit what it writes")
	}
	if err != nil {
		return nil, err
	}
	return point(file, p, p.Outs[0])
}

// tracked finds what DVC keeps at p: by a .dvc file beside it, or as an output of a
// stage in the dvc.lock of a folder above.
func (s *survey) tracked(p string) (*port.DataPointer, error) {
	file := p + ".dvc"
	switch ptr, err := s.pointer(file); {
	case err == nil:
		for _, o := range ptr.Outs {
			at, err := point(file, ptr, o)
			if err != nil || at.Path == p {
				return at, err
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		file := path.Join(dir, "dvc.lock")
		lock, err := s.lock(file)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			if o, ok := lock.Out(within(dir, p)); ok {
				return point(file, &dvc.Pointer{}, o)
			}
		}
		if dir == "." {
			break
		}
	}
	return s.elsewhere(p)
}

// locked is a dvc.lock file, or why it cannot be read; neither where it is not there.
type locked struct {
	lock *dvc.Lock
	err  error
}

// lock is the dvc.lock file, read once.
func (s *survey) lock(file string) (*dvc.Lock, error) {
	l, known := s.locks[file]
	if !known {
		l.lock, l.err = dvc.LoadLock(file, s.small)
		if errors.Is(l.err, fs.ErrNotExist) {
			l.err = nil
		}
		s.locks[file] = l
	}
	return l.lock, l.err
}

// Bounds on pointers and dvc.lock files: YAML takes fifty times the room of its text.
const (
	maxPointer  = 4 << 20  // bytes of one
	maxPointers = 64 << 20 // bytes of all
	maxSigns    = 400_000  // of YAML, in one
)

var errLarge = errors.New("is too large")

// small reads a pointer or a dvc.lock.
func (s *survey) small(file string) ([]byte, error) {
	f, err := s.tree.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPointer+1))
	s.taken += len(b)
	if _, is := lfs.Parse(b); err == nil && is {
		return nil, pointer(file)
	}
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxPointer || yamlpos.Crowded(b, maxSigns) >= 0:
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s %w: it has more than %d MiB, or %d values", file, errLarge, maxPointer>>20, maxSigns/4), "let a pointer or a dvc.lock name less; a folder can be kept whole")
	case s.taken > maxPointers:
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s %w: with it, pointers and dvc.lock files have more than %d MiB", file, errLarge, maxPointers>>20), "keep folders whole in place of their files one by one")
	}
	return b, nil
}

// within is p as seen from dir, which is above it.
func within(dir, p string) string {
	if dir == "." {
		return p
	}
	return strings.TrimPrefix(p, dir+"/")
}

func (s *survey) pointer(file string) (*dvc.Pointer, error) {
	b, err := s.small(file)
	if err != nil {
		return nil, err
	}
	return dvc.ParsePointer(file, b)
}

func point(file string, p *dvc.Pointer, o dvc.Out) (*port.DataPointer, error) {
	at, err := p.Place(file, o)
	if err != nil {
		return nil, err
	}
	if o.Versioned {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s keeps %s by version_aware, which DVC alone reads", file, o.Path), "add the data anew, to a remote without version_aware: vishwa data add %s", at)
	}
	if o.OID == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s says nothing of the content of %s", file, o.Path), "run dvc commit or vishwa data add, and commit the file")
	}
	to := &port.DataPointer{File: file, Path: at, Name: string(o.OID), Layout: o.Layout(), Size: o.Size, Files: o.NFiles, SHA256: o.SHA256, Remote: o.Remote, Rows: -1,
		NoPush: o.NoPush || o.NoCache || len(p.Deps) == 1 && p.Deps[0].Repo != nil}
	// What people wrote there themselves says nothing.
	if n, err := strconv.ParseInt(o.Stats["rows"], 10, 64); err == nil && n >= 0 {
		to.Rows = n
	}
	if n, err := strconv.Atoi(o.Stats["columns"]); err == nil && n > 0 {
		to.Columns = n
	}
	if d, err := digest.Parse(o.Stats["profile"]); err == nil {
		to.Profile = d
	}
	return to, nil
}
