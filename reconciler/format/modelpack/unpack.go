// The way back: a layer's tar, from a place that nobody here trusts, as files.

package modelpack

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Unpack hands each file of a layer's tar to put, by its path within the model. What is no
// plain file or folder below models, what a path leads out of it, and files of more than most
// bytes together, are an error: a tar may say that it holds more than it has bytes.
func Unpack(r io.Reader, most int64, put func(path string, size int64, content io.Reader) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, r) // what is behind its end counts for its digest
			return err
		}
		if err != nil {
			return fmt.Errorf("read its tar: %w", err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
			return fmt.Errorf("its tar has the path %q, which is not a plain relative one", h.Name)
		}
		inner, below := strings.CutPrefix(name, Root+"/")
		switch {
		case h.Typeflag == tar.TypeDir && (below || name == Root):
		case h.Typeflag == tar.TypeReg && below:
			if h.Size > most {
				return fmt.Errorf("its tar says that it holds more than it does")
			}
			most -= h.Size
			if err := put(inner, h.Size, t); err != nil {
				return err
			}
		default:
			return fmt.Errorf("its tar has %q, which is no plain file below %s", h.Name, Root)
		}
	}
}
