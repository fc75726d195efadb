// What an environment needs to know of its base, found in the tars of its layers: no program of it is begun.

package imagelayer

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Base is what was found in the layers of an image so far.
type Base struct{ found map[string]bool }

var (
	interpreter = lazyregexp.New(`^python(3\.[0-9]{1,3})$`)
	loader      = lazyregexp.New(`^ld-(linux|musl)[a-z0-9_-]*\.so(\.[0-9]+)?$`)
)

const mostBase = 64 << 30 // bytes of a layer's tar: a small one may say that it holds without end

// Add reads the tar of the next layer, in the order of the image.
func (b *Base) Add(layer io.Reader) error {
	bounded := &io.LimitedReader{R: layer, N: mostBase}
	t := tar.NewReader(bounded)
	var gone []string
	come := map[string]bool{}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && bounded.N > 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("read its tar: %w", err)
		}
		at := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		dir, name := path.Split(at)
		switch taken, is := strings.CutPrefix(name, whiteout); {
		case name == whiteout+whiteout+".opq":
			gone = append(gone, dir)
		case is:
			gone = append(gone, dir+taken, dir+taken+"/")
		case h.Typeflag == tar.TypeDir || len(at) > 4096:
		case interpreter.MatchString(name) || loader.MatchString(name):
			if come[at] = true; len(come) > 1000 {
				return errors.New("it has more interpreters than an image can have")
			}
		}
	}
	for _, g := range gone {
		maps.DeleteFunc(b.found, func(at string, _ bool) bool {
			return at == g || (g == "" || strings.HasSuffix(g, "/")) && strings.HasPrefix(at, g)
		})
	}
	if b.found == nil {
		b.found = map[string]bool{}
	}
	maps.Copy(b.found, come)
	return nil
}

// usual is where programs are looked for where an image does not say it.
const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Path is the folders of programs that variables of an image name.
func Path(env []string) string {
	for _, v := range env {
		if value, is := strings.CutPrefix(v, "PATH="); is {
			return value
		}
	}
	return usual
}

// Interpreter is where Python of a version, such as 3.11, is on a path; "" where it is not.
func (b *Base) Interpreter(on, version string) string {
	for dir := range strings.SplitSeq(on, ":") {
		if at := path.Join("/", dir, "python"+version); path.IsAbs(dir) && b.found[at[1:]] {
			return at
		}
	}
	return ""
}

// Pythons are the versions of Python that it has, anywhere.
func (b *Base) Pythons() []string {
	var out []string
	for at := range b.found {
		if m := interpreter.FindStringSubmatch(path.Base(at)); m != nil {
			out = append(out, m[1])
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return slices.Compact(out)
}

// Libraries of C, for one of which a compiled package is built.
const (
	Glibc = "glibc"
	Musl  = "musl"
)

// Has tells whether programs of a library of C begin in it.
func (b *Base) Has(library string) bool {
	for at := range b.found {
		m := loader.FindStringSubmatch(path.Base(at))
		if m != nil && (m[1] == "musl") == (library == Musl) {
			return true
		}
	}
	return false
}
