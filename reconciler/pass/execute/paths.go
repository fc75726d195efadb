// What is told of an error to those who have no part in this machine: the ledger and comments are read by many.

package execute

import (
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// WithoutPaths is err's text with the names of this machine's files alone, and not where they are.
func WithoutPaths(err error) string {
	text, all := err.Error(), refused(err)
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) }) // one may be below another
	for _, p := range all {
		if filepath.IsAbs(p) {
			text = strings.ReplaceAll(text, p, filepath.Base(p))
		}
	}
	return text
}

// refused are the paths at which the operating system refused something: files, programs, and the sockets of those who were asked.
func refused(err error) (out []string) {
	switch e := err.(type) {
	case *fs.PathError:
		out = append(out, e.Path)
	case *os.LinkError:
		out = append(out, e.Old, e.New)
	case *exec.Error:
		out = append(out, e.Name)
	case *net.OpError:
		for _, at := range []net.Addr{e.Source, e.Addr} {
			if at, is := at.(*net.UnixAddr); is && at != nil {
				out = append(out, at.Name)
			}
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		out = append(out, refused(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			out = append(out, refused(one)...)
		}
	}
	return out
}
