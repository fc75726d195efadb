// A virtual environment as an image has it: the packages of its lock, at a place of the image, with the image's
// interpreter. What installers note of themselves and of this machine is left out, so that the same lock has the same digest.

package imagelayer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Environment is a virtual environment as it was made.
type Environment struct {
	Files fs.FS  // its folder
	Dir   string // where that is: programs in it name it
	Arch  string // such as amd64
}

// Packed is a virtual environment for an image.
type Packed struct {
	Python  string   // such as 3.11
	Needs   []string // libraries of C
	Glibc   string   // the oldest version of that one that all packages can do with; "" is any
	Unsaid  []string // packages that were compiled on this machine, or do not say for which others they were
	entries []Entry
}

// Read lists what an image holds of an environment.
func (e Environment) Read() (p Packed, err error) {
	made, err := fs.Glob(e.Files, "lib/python3.*/site-packages")
	if err != nil || len(made) != 1 {
		return p, fmt.Errorf("it is no virtual environment: %w", cmp.Or(err, errors.New("it has no packages of one Python")))
	}
	p.Python = strings.TrimPrefix(strings.Split(made[0], "/")[1], "python")
	r := reading{Environment: e, packed: &p, scripts: map[string]string{}}
	for _, top := range []string{"lib", "bin", "etc", "include", "share"} {
		err := fs.WalkDir(e.Files, top, r.visit)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	if err := r.programs(); err != nil {
		return p, err
	}
	if err := r.records(); err != nil {
		return p, err
	}
	slices.Sort(p.Needs)
	p.Needs = slices.Compact(p.Needs)
	return p, nil
}

// Over is its layer, over a base whose interpreter is at python.
func (p Packed) Over(python string) (Layer, error) {
	settings := fmt.Sprintf("home = %s\ninclude-system-site-packages = false\nversion = %s\n", path.Dir(python), p.Python)
	link := func(name, to string) Entry { return Entry{Path: path.Join(EnvDir, name), Link: to} }
	return New(append(slices.Clone(p.entries), Bytes(path.Join(EnvDir, "pyvenv.cfg"), false, []byte(settings)),
		link("bin/python", python), link("bin/python3", "python"), link("bin/python"+p.Python, "python"), link("lib64", "lib")))
}

// reading is an environment being read.
type reading struct {
	Environment
	packed  *Packed
	scripts map[string]string // that packages say they have, by name: what each calls
	found   []string          // in bin
	// recorded are the lists of packages' files.
	recorded []string
}

// notes are files of a package's own description that the installer writes, and of its own.
var notes = map[string]bool{"RECORD": true, "INSTALLER": true, "REQUESTED": true, "direct_url.json": true, "uv_cache.json": true}

func (r *reading) visit(at string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	base, parent := path.Base(at), path.Base(path.Dir(at))
	switch {
	case d.IsDir():
		pip := (base == "pip" || strings.HasPrefix(base, "pip-") && strings.HasSuffix(base, ".dist-info")) && parent == "site-packages"
		if base == "__pycache__" || pip {
			return fs.SkipDir
		}
		return nil
	case ours.MatchString(at):
		return nil
	case !d.Type().IsRegular():
		return fmt.Errorf("its %s is no plain file", at)
	case strings.HasPrefix(at, "bin/"):
		r.found = append(r.found, at)
		return nil
	case strings.HasSuffix(base, ".pyc"), parent == "site-packages" && strings.HasPrefix(base, "_virtualenv."):
		return nil
	}
	if strings.HasSuffix(parent, ".dist-info") {
		if base == "RECORD" {
			r.recorded = append(r.recorded, at)
		}
		if notes[base] {
			return nil
		}
		if err := r.described(at, base); err != nil {
			return err
		}
	}
	return r.add(at, d)
}

// described reads what a package says of itself: for which machines it is built, and which programs it has.
func (r *reading) described(at, base string) error {
	switch base {
	case "WHEEL":
		raw, err := r.readFile(at)
		if err != nil {
			return err
		}
		r.built(path.Base(path.Dir(at)), string(raw))
	case "entry_points.txt":
		raw, err := r.readFile(at)
		if err != nil {
			return err
		}
		section := ""
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "[") {
				section = line
			} else if m := called.FindStringSubmatch(line); m != nil && (section == "[console_scripts]" || section == "[gui_scripts]") {
				first, _, _ := strings.Cut(m[3], ".")
				r.scripts[m[1]] = fmt.Sprintf("#!/%s/bin/python\nimport sys\nfrom %s import %s\nif __name__ == %q:\n    sys.exit(%s())\n", EnvDir, m[2], first, "__main__", m[3])
			}
		}
	}
	return nil
}

// called is a line of a package's programs: its name, and the function that it calls.
var called = lazyregexp.New(`^([A-Za-z0-9._-]+)\s*=\s*([A-Za-z_][A-Za-z0-9_.]*)\s*:\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(?:\[.*\])?$`)

// built notes what a package was compiled for.
func (r *reading) built(name, wheel string) {
	name = strings.TrimSuffix(name, ".dist-info")
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[r.Arch]
	var needs, least string
	for line := range strings.Lines(wheel) {
		tag, is := strings.CutPrefix(strings.TrimSpace(line), "Tag:")
		if !is {
			continue
		}
		for platform := range strings.SplitSeq(tag[strings.LastIndex(tag, "-")+1:], ".") {
			switch {
			case platform == "any":
				return
			case strings.HasPrefix(platform, "manylinux") && strings.HasSuffix(platform, "_"+arch):
				needs = Glibc
				if v := glibcOf(platform); least == "" || number(v) < number(least) {
					least = v // one that is built for several fits each
				}
			case strings.HasPrefix(platform, "musllinux") && strings.HasSuffix(platform, "_"+arch):
				needs = Musl
			}
		}
	}
	if needs == "" {
		r.packed.Unsaid = append(r.packed.Unsaid, name)
	} else {
		r.packed.Needs = append(r.packed.Needs, needs)
		if number(least) > number(r.packed.Glibc) {
			r.packed.Glibc = least
		}
	}
}

// glibcOf is the version that a platform's tag names.
func glibcOf(platform string) string {
	for old, is := range map[string]string{"manylinux1_": "2.5", "manylinux2010_": "2.12", "manylinux2014_": "2.17"} {
		if strings.HasPrefix(platform, old) {
			return is
		}
	}
	parts := strings.SplitN(strings.TrimPrefix(platform, "manylinux_"), "_", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

const mostRead = 16 << 20 // bytes of a file that is read as a whole

func (r *reading) readFile(at string) ([]byte, error) {
	in, err := r.Files.Open(at)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, mostRead+1))
	if err == nil && len(raw) > mostRead {
		err = fmt.Errorf("its %s is larger than %d MiB", at, mostRead>>20)
	}
	return raw, err
}

func (r *reading) add(at string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	r.packed.entries = append(r.packed.entries, Entry{
		Path: path.Join(EnvDir, at), Program: info.Mode()&0o111 != 0, Size: info.Size(),
		Open: func() (io.ReadCloser, error) { return r.Files.Open(at) },
	})
	return nil
}

// ours are programs that every environment has, by how their names begin.
var ours = lazyregexp.New(`^bin/(python[0-9.]*|pip[0-9.]*|activate([._].*)?|Activate\.ps1|deactivate\.bat|pydoc\.bat)$`)

// programs adds those of the packages, which begin the image's interpreter.
func (r *reading) programs() error {
	for _, at := range r.found {
		d, err := fs.Stat(r.Files, at)
		if err != nil {
			return err
		}
		to := path.Join(EnvDir, at)
		if text, is := r.scripts[path.Base(at)]; is {
			r.packed.entries = append(r.packed.entries, Bytes(to, true, []byte(text)))
			continue
		}
		if d.Size() > mostRead { // a program of a machine's own code
			r.packed.entries = append(r.packed.entries, Entry{Path: to, Program: true, Size: d.Size(), Open: func() (io.ReadCloser, error) { return r.Files.Open(at) }})
			continue
		}
		raw, err := r.readFile(at)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(raw, []byte("#!")) {
			raw = bytes.ReplaceAll(raw, []byte(r.Dir), []byte("/"+EnvDir))
			if first := begun.Find(raw); first != nil {
				raw = append([]byte("#!/"+EnvDir+"/bin/python\n"), raw[len(first):]...)
			}
		}
		r.packed.entries = append(r.packed.entries, Bytes(to, true, raw))
	}
	return nil
}

// begun is how a program names the environment's interpreter, in a line, or in three where the name was too long for one.
var begun = lazyregexp.New(`\A(#!/` + EnvDir + `/bin/python[0-9.]*[ \t]*\n|#!/bin/sh\n'''exec' "?/` + EnvDir + `/bin/python[0-9.]*"? "\$0" "\$@"\n' '''\n)`)

// records adds the list of each package's files as they are in the image: who asks which package a module is of reads it.
func (r *reading) records() error {
	has := make(map[string]Entry, len(r.packed.entries))
	for _, e := range r.packed.entries {
		has[e.Path] = e
	}
	for _, at := range r.recorded {
		raw, err := r.readFile(at)
		if err != nil {
			return err
		}
		lists := csv.NewReader(bytes.NewReader(raw))
		lists.FieldsPerRecord = -1
		rows, err := lists.ReadAll()
		if err != nil {
			return fmt.Errorf("its %s cannot be read: %w", at, err)
		}
		packages := path.Dir(path.Dir(at))
		lines := [][]string{{path.Join(path.Base(path.Dir(at)), "RECORD"), "", ""}}
		for _, row := range rows {
			if len(row) == 0 || strings.HasPrefix(row[0], "/") {
				continue
			}
			e, there := has[path.Join(EnvDir, packages, row[0])]
			if !there {
				continue
			}
			sum, err := summed(e)
			if err != nil {
				return err
			}
			lines = append(lines, []string{row[0], sum, strconv.FormatInt(e.Size, 10)})
		}
		slices.SortFunc(lines, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
		var out bytes.Buffer
		if err := csv.NewWriter(&out).WriteAll(slices.CompactFunc(lines, func(a, b []string) bool { return a[0] == b[0] })); err != nil {
			return err
		}
		r.packed.entries = append(r.packed.entries, Bytes(path.Join(EnvDir, at), false, out.Bytes()))
	}
	return nil
}

// summed is a file's hash as such a list has it.
func summed(e Entry) (string, error) {
	in, err := e.Open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	h := sha256.New()
	if _, err := io.Copy(h, in); err != nil {
		return "", err
	}
	return "sha256=" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)), nil
}
