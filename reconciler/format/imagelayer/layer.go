// Package imagelayer says what lies over a base in an image that serves a model: its code, and its
// Python environment, as layers of plain tar. Nothing in them depends on when, where or by whom.
package imagelayer

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Folders of an image that serves: as they are in a container of the target docker.
const (
	CodeDir     = "vishwa/code"
	EnvDir      = "vishwa/env"
	ParamsFile  = "vishwa/params.json"
	Layout      = 1 // of layers: one more, and every image has another digest
	folderMode  = 0o755
	fileMode    = 0o644
	programMode = 0o755
	block       = 512    // of a tar
	whiteout    = ".wh." // begins the names of files that take others away in an image
)

// Entry is a file or a link of an image. The folders that it is in are made for it.
type Entry struct {
	Path    string // from the image's root, without a slash before it
	Program bool   // may be begun
	Link    string // where a symbolic link leads; "" is a file
	Size    int64
	Open    func() (io.ReadCloser, error)
}

// Bytes is a file that holds raw.
func Bytes(at string, program bool, raw []byte) Entry {
	return Entry{Path: at, Program: program, Size: int64(len(raw)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }}
}

// Layer is a layer's entries, by their paths.
type Layer []Entry

// New sorts entries into a layer. Two of one path, a path that is none, and a name by which an image takes files away
// are errors.
func New(entries []Entry) (Layer, error) {
	l := slices.Clone(entries)
	slices.SortFunc(l, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	there := map[string]bool{}
	for _, e := range l {
		if !fs.ValidPath(e.Path) || e.Path == "." || strings.ContainsAny(e.Path, "\\\x00") {
			return nil, fmt.Errorf("%q is no path of an image", e.Path)
		}
		for part := range strings.SplitSeq(e.Path, "/") {
			if strings.HasPrefix(part, whiteout) {
				return nil, fmt.Errorf("%q begins as the names do by which an image takes files away (%s)", e.Path, whiteout)
			}
		}
		for _, at := range append(above(e.Path), e.Path) {
			if there[at] {
				return nil, fmt.Errorf("%q is there twice", at)
			}
		}
		there[e.Path] = true
	}
	return l, nil
}

// Size is how many bytes its tar has.
func (l Layer) Size() (int64, error) {
	n := int64(2 * block) // its end
	return n, l.each(func(h *tar.Header, _ Entry) error {
		var c counter
		if err := tar.NewWriter(&c).WriteHeader(h); err != nil {
			return err
		}
		n += int64(c) + (h.Size+block-1)/block*block
		return nil
	})
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Write writes its tar.
func (l Layer) Write(w io.Writer) error {
	t := tar.NewWriter(w)
	err := l.each(func(h *tar.Header, e Entry) error {
		if err := t.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
			return err
		}
		return copyFile(t, e)
	})
	if err != nil {
		return err
	}
	return t.Close()
}

// each calls visit with each header of its tar, folders before what is in them.
func (l Layer) each(visit func(*tar.Header, Entry) error) error {
	made := map[string]bool{}
	for _, e := range l {
		for _, dir := range above(e.Path) {
			if made[dir] {
				continue
			}
			made[dir] = true
			if err := visit(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: folderMode, ModTime: epoch}, Entry{}); err != nil {
				return err
			}
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Path, Mode: fileMode, Size: e.Size, ModTime: epoch}
		switch {
		case e.Link != "":
			h.Typeflag, h.Linkname, h.Mode, h.Size = tar.TypeSymlink, e.Link, 0o777, 0
		case e.Program:
			h.Mode = programMode
		}
		if err := visit(h, e); err != nil {
			return err
		}
	}
	return nil
}

// epoch is when every file was changed last.
var epoch = time.Unix(0, 0).UTC()

// copyFile reads to the end: there, a store says whether the bytes are those that it names.
func copyFile(w io.Writer, e Entry) error {
	in, err := e.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{in}, make([]byte, 256<<10))
	if err == nil && n != e.Size {
		err = fmt.Errorf("%s has %d bytes, and had %d", e.Path, n, e.Size)
	}
	return err
}

// above lists the folders that a file is in, the outermost first.
func above(file string) (out []string) {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		out = append(out, dir)
	}
	slices.Reverse(out)
	return out
}
