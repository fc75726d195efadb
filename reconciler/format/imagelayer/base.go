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
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Base is what was found in the layers of an image so far.
type Base struct {
	found map[string]bool
	glibc string // its version, such as 2.36; "" is not known
	read  int64  // bytes of tars
	gone  int    // files that layers took away
}

var (
	interpreter = lazyregexp.New(`^python(3\.[0-9]{1,3})$`)
	loader      = lazyregexp.New(`^ld-(linux|musl)[a-z0-9_-]*\.so(\.[0-9]+)?$`)
	libcFile    = lazyregexp.New(`^libc(?:\.so\.6|-([0-9]{1,3}\.[0-9]{1,3})\.so)$`)
	libcSays    = lazyregexp.New(`GNU C Library [^\x00]{0,100}release version ([0-9]{1,3}\.[0-9]{1,3})`)
)

// Bounds of what is read of a base: whoever made it may say that it holds without end.
const (
	mostBase  = 16 << 30 // bytes of all tars
	mostGone  = 100_000  // files that are taken away
	mostFound = 1000     // interpreters and loaders
	mostPath  = 4096     // bytes of a name
	mostLibc  = 16 << 20 // bytes of a library of C
)

// Add reads the tar of the next layer, in the order of the image.
func (b *Base) Add(layer io.Reader) error {
	bounded := &io.LimitedReader{R: layer, N: mostBase - b.read}
	left := bounded.N
	defer func() { b.read += left - bounded.N }()
	t := tar.NewReader(bounded)
	come := map[string]bool{}
	for {
		h, err := t.Next()
		if bounded.N <= 0 {
			return fmt.Errorf("its layers have more than %d GiB", mostBase>>30)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read its tar: %w", err)
		}
		if len(h.Name) > mostPath {
			continue
		}
		at := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if strings.HasPrefix(path.Base(at), whiteout) {
			if err := b.takeAway(at); err != nil {
				return err
			}
			continue
		}
		if err := b.note(at, h, t, come); err != nil {
			return err
		}
	}
	if b.found == nil {
		b.found = map[string]bool{}
	}
	maps.Copy(b.found, come)
	return nil
}

// takeAway forgets what a layer takes away of those before it.
func (b *Base) takeAway(at string) error {
	if b.gone++; b.gone > mostGone {
		return fmt.Errorf("its layers take more than %d files away", mostGone)
	}
	dir, name := path.Split(at)
	gone, below := dir+strings.TrimPrefix(name, whiteout), dir+strings.TrimPrefix(name, whiteout)+"/"
	if name == whiteout+whiteout+".opq" {
		gone, below = "", dir
	}
	maps.DeleteFunc(b.found, func(at string, _ bool) bool { return at == gone || strings.HasPrefix(at, below) })
	return nil
}

// note keeps of a file what is looked for.
func (b *Base) note(at string, h *tar.Header, content io.Reader, come map[string]bool) error {
	name := path.Base(at)
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	if interpreter.MatchString(name) || loader.MatchString(name) {
		if come[at] = true; len(come)+len(b.found) > mostFound {
			return errors.New("it has more interpreters than an image can have")
		}
	}
	m := libcFile.FindStringSubmatch(name)
	switch {
	case m == nil:
	case m[1] != "":
		b.glibc = m[1]
	case h.Typeflag == tar.TypeReg && h.Size <= mostLibc:
		raw, err := io.ReadAll(content)
		if err != nil {
			return fmt.Errorf("read its tar: %w", err)
		}
		if said := libcSays.FindSubmatch(raw); said != nil {
			b.glibc = string(said[1])
		}
	}
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

// Older tells whether its library of C is older than a version, such as 2.28, and which it is. One whose version is not known is not.
func (b *Base) Older(version string) (is string, older bool) {
	return b.glibc, b.glibc != "" && number(b.glibc) < number(version)
}

// number makes versions of two numbers comparable.
func number(version string) int {
	major, minor, _ := strings.Cut(version, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a*1000 + b
}
