// Manifests name directories: the sorted list of their files.

package digest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// File is one regular file of a directory. Path is relative, with forward
// slashes; Size is in bytes.
type File struct {
	Path   string `json:"path"`
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
}

// Manifest lists the files of a directory, sorted by path in byte order. Empty
// directories and file modes are not part of a directory's name.
type Manifest []File

// Digest names the directory: the SHA-256 of the manifest's canonical JSON.
func (m Manifest) Digest() Digest {
	return Directory(len(m), func(i int) File { return m[i] })
}

// Directory is Manifest.Digest of n files, which need not be held all at once.
func Directory(n int, file func(i int) File) Digest {
	h := sha256.New()
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = file(i).canonical(b)
		if len(b) > 1<<15 {
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(append(b, ']'))
	return FromSum(h.Sum(nil))
}

// canonical appends f as canonical JSON.
func (f File) canonical(b []byte) []byte {
	if isPlain([]byte(f.Path)) && isPlain([]byte(f.Digest)) && f.Size < 1<<53 && f.Size > -1<<53 {
		b = append(append(append(b, `{"digest":"`...), f.Digest...), `","path":"`...)
		b = append(append(append(b, f.Path...), `","size":`...), strconv.FormatInt(f.Size, 10)...)
		return append(b, '}')
	}
	raw, err := Canonical(f)
	if err != nil { // strings and integers always encode
		panic(err)
	}
	return append(b, raw...)
}

// Size is the sum of the files' sizes, in bytes.
func (m Manifest) Size() (n int64) {
	for _, f := range m {
		n += f.Size
	}
	return n
}

// Check tells whether m can be laid out safely: sorted, no path twice, every
// path local (no "..", no leading "/", no back-slash, nothing empty).
func (m Manifest) Check() error {
	for i, f := range m {
		if !fs.ValidPath(f.Path) || f.Path == "." || strings.ContainsAny(f.Path, "\\\x00") {
			return fmt.Errorf("manifest: path %q is not a plain relative path", f.Path)
		}
		if _, err := Parse(string(f.Digest)); err != nil {
			return fmt.Errorf("manifest: %s: %w", f.Path, err)
		}
		if f.Size < 0 {
			return fmt.Errorf("manifest: %s: negative size", f.Path)
		}
		if i > 0 && m[i-1].Path >= f.Path {
			return fmt.Errorf("manifest: %q does not come after %q", f.Path, m[i-1].Path)
		}
		if i > 0 && strings.HasPrefix(f.Path, m[i-1].Path+"/") {
			return fmt.Errorf("manifest: %q is both a file and a directory", m[i-1].Path)
		}
	}
	return nil
}

// Walk hashes the regular files below fsys's root. Symbolic links, devices and
// other special files are an error: a name must not depend on what they point to.
func Walk(fsys fs.FS) (Manifest, error) {
	m := Manifest{}
	err := fs.WalkDir(fsys, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s is a %s, not a regular file", p, KindOf(e.Type()))
		}
		f, err := fsys.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		d, n, err := Reader(f)
		if err != nil {
			return fmt.Errorf("read %s: %w", p, err)
		}
		m = append(m, File{Path: p, Digest: d, Size: n})
		return nil
	})
	slices.SortFunc(m, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return m, err
}

// KindOf is what a file that is no regular one is called.
// KindOf is what a file that is no regular one is called.
func KindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	default:
		return "special file"
	}
}
