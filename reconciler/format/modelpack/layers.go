// Package modelpack says how a released model is laid out for a registry of containers: the
// files in layers, as plain tar, that a model artifact (ModelPack,
// https://github.com/modelpack/model-spec) and an image with the files below /models share.
// Nothing in it depends on when, where or by whom: the same model has the same digest.
package modelpack

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Root is the folder of an image, and of each tar, below which a model's files are.
const Root = "models"

const (
	layout     = 1       // of layers: one more, and every package has another digest
	ownSize    = 1 << 20 // bytes from which on a file may have a layer of its own
	mostOwn    = 64      // files that have: an image can be mounted with some 120 layers
	whiteout   = ".wh."  // begins the names of files that take others away in an image
	fileMode   = 0o644
	folderMode = 0o755
)

// Layer is some of a model's files, which travel together.
type Layer struct {
	Kind  string // of ModelPack: weight, weight.config, doc or code
	Files digest.Manifest
}

// Layers shares files out: each of the largest has a layer of its own, so that they travel
// side by side and one that did not change is not sent again; the rest goes together by kind.
func Layers(files digest.Manifest) ([]Layer, error) {
	if len(files) == 0 {
		return nil, fmt.Errorf("a package needs a file at least")
	}
	if err := files.Check(); err != nil {
		return nil, err
	}
	for _, f := range files {
		for _, part := range strings.Split(f.Path, "/") {
			if strings.HasPrefix(part, whiteout) {
				return nil, fmt.Errorf("%q begins as the names do by which an image takes files away (%s)", f.Path, whiteout)
			}
		}
	}
	large := slices.DeleteFunc(slices.Clone(files), func(f digest.File) bool { return f.Size < ownSize })
	slices.SortStableFunc(large, func(a, b digest.File) int { return cmp.Compare(b.Size, a.Size) })
	own := map[string]bool{}
	for _, f := range large[:min(len(large), mostOwn)] {
		own[f.Path] = true
	}
	var out []Layer
	at := map[string]int{}
	for _, f := range files {
		kind := kindOf(f.Path)
		i, there := at[kind]
		if own[f.Path] || !there {
			i = len(out)
			out = append(out, Layer{Kind: kind})
		}
		if !own[f.Path] {
			at[kind] = i
		}
		out[i].Files = append(out[i].Files, f)
	}
	return out, nil
}

// kindOf is what ModelPack calls a file, by its name.
func kindOf(name string) string {
	switch base := strings.ToLower(path.Base(name)); path.Ext(base) {
	case ".json", ".yaml", ".yml", ".toml", ".ini", ".cfg":
		return "weight.config"
	case ".md", ".txt", ".rst", ".pdf", ".html":
		return "doc"
	case ".py", ".ipynb", ".sh", ".r":
		return "code"
	default:
		if base == "license" || base == "readme" || base == "notice" {
			return "doc"
		}
		return "weight"
	}
}

// Content names what is in l, before it is known what its tar is called.
func (l Layer) Content() digest.Digest {
	d, err := digest.JSON(map[string]any{"layout": layout, "files": l.Files})
	if err != nil {
		panic(err) // paths were checked
	}
	return d
}

// Path is where its one file is; "" where it has several.
func (l Layer) Path() string {
	if len(l.Files) != 1 {
		return ""
	}
	return path.Join(Root, l.Files[0].Path)
}

// Size is how many bytes its files have; its tar has a few more.
func (l Layer) Size() int64 { return l.Files.Size() }

// Bytes is how many bytes its tar has.
func (l Layer) Bytes() (int64, error) {
	n := int64(2 * block) // its end
	return n, l.headers(func(h *tar.Header) error {
		var c counter
		if err := tar.NewWriter(&c).WriteHeader(h); err != nil {
			return err
		}
		n += int64(c) + (h.Size+block-1)/block*block
		return nil
	}, func(digest.File) error { return nil })
}

const block = 512 // of a tar

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Write writes l's tar. What open yields has to be as long as the file is declared.
func (l Layer) Write(w io.Writer, open func(f digest.File) (io.ReadCloser, error)) error {
	t := tar.NewWriter(w)
	if err := l.headers(t.WriteHeader, func(f digest.File) error { return copyFile(t, f, open) }); err != nil {
		return err
	}
	return t.Close()
}

// headers hands each header of l's tar to write, and each file after its own to content.
func (l Layer) headers(write func(*tar.Header) error, content func(digest.File) error) error {
	made := map[string]bool{}
	for _, f := range l.Files {
		full := path.Join(Root, f.Path)
		for _, dir := range above(full) {
			if made[dir] {
				continue
			}
			made[dir] = true
			if err := write(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: folderMode, ModTime: epoch}); err != nil {
				return err
			}
		}
		if err := write(&tar.Header{Typeflag: tar.TypeReg, Name: full, Mode: fileMode, Size: f.Size, ModTime: epoch}); err != nil {
			return err
		}
		if err := content(f); err != nil {
			return err
		}
	}
	return nil
}

// epoch is when every file was changed last.
var epoch = time.Unix(0, 0).UTC()

// copyFile reads to the end: there, a store says whether the bytes are those that it names.
func copyFile(w io.Writer, f digest.File, open func(f digest.File) (io.ReadCloser, error)) error {
	in, err := open(f)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.CopyBuffer(onlyWriter{w}, onlyReader{in}, make([]byte, copySize))
	if err == nil && n != f.Size {
		err = fmt.Errorf("%s has %d bytes, and %d are declared", f.Path, n, f.Size)
	}
	return err
}

// copySize is how much is read at a time; what has ways of its own to be copied reads less.
const copySize = 1 << 20

type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// above lists the folders that a file is in, the outermost first.
func above(file string) (out []string) {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		out = append(out, dir)
	}
	slices.Reverse(out)
	return out
}
