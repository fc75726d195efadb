// What names a dataset's data: the files themselves, or a pointer of DVC's that
// stands in the repository for data that is kept elsewhere.
package graph

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (s *survey) dataset(d *schemas.Declaration, spec *schemas.Dataset) {
	src := spec.Source
	switch {
	case src.Path != "":
		m := s.read(d, "spec.source.path", src.Path)
		if m != nil && len(m) == 0 {
			s.problem(d, "spec.source.path", src.Path+" is an empty folder; put the data there")
		} else if m != nil {
			s.pins.Data[d.Ref()] = held(path.Clean(src.Path), m)
		}
	case src.Mutable():
		s.pointed(d, "spec.source.pin", func() (*port.Pointed, error) { return pinned(s.tree, src.Pin) })
	case src.DVC != nil:
		s.pointed(d, "spec.source.dvc.path", func() (*port.Pointed, error) { return tracked(s.tree, path.Clean(src.DVC.Path)) })
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

func (s *survey) pointed(d *schemas.Declaration, field string, find func() (*port.Pointed, error)) {
	at, err := find()
	if err != nil {
		message := err.Error()
		if way := fault.Way(err); way != "" {
			message += "; " + way
		}
		s.problem(d, field, message)
		return
	}
	data := port.Artifact{Name: path.Base(at.Path), Digest: at.SHA256, Size: max(at.Size, 0)}
	s.pins.Data[d.Ref()], s.pins.Points[d.Ref()] = data, at
}

// pinned reads the pointer that pins a source.
func pinned(tree fs.FS, file string) (*port.Pointed, error) {
	file = path.Clean(file)
	p, err := pointer(tree, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Hint(fault.New(fault.Missing, "%s is not in the repository: the source is not pinned yet", file), "run vishwa data refresh, and commit what it writes")
	}
	if err != nil {
		return nil, err
	}
	return point(file, p, p.Outs[0])
}

// tracked finds what DVC keeps at p: by a .dvc file beside it, or as an output of a
// stage in the dvc.lock of a folder above.
func tracked(tree fs.FS, p string) (*port.Pointed, error) {
	file := p + ".dvc"
	switch ptr, err := pointer(tree, file); {
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
		b, err := fs.ReadFile(tree, file)
		if err == nil {
			lock, err := dvc.ParseLock(file, b)
			if err != nil {
				return nil, err
			}
			if o, ok := lock.Out(within(dir, p)); ok {
				return point(file, &dvc.Pointer{}, o)
			}
		}
		if dir == "." {
			return nil, fault.Hint(fault.New(fault.Missing, "no %s.dvc and no dvc.lock has %s", p, p), "add the data with vishwa data add %s, or correct the path", p)
		}
	}
}

func within(dir, p string) string {
	if dir == "." {
		return p
	}
	return strings.TrimPrefix(p, dir+"/")
}

func pointer(tree fs.FS, file string) (*dvc.Pointer, error) {
	b, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil, err
	}
	return dvc.ParsePointer(file, b)
}

func point(file string, p *dvc.Pointer, o dvc.Out) (*port.Pointed, error) {
	at, err := p.Place(file, o)
	if err != nil {
		return nil, err
	}
	if o.OID == "" {
		return nil, fault.Hint(fault.New(fault.Invalid, "%s says nothing of the content of %s", file, o.Path), "run dvc commit or vishwa data add, and commit the file")
	}
	to := &port.Pointed{File: file, Path: at, MD5: o.OID, Legacy: o.Hash == "", Size: o.Size, Files: o.NFiles, SHA256: o.SHA256, Remote: o.Remote, Rows: -1}
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
