// The seal: a mirror holds its objects, its refs and the configuration that stands here,
// byte for byte. Whatever else lies in its folder may have been put there by somebody
// whose code was run on this machine; it is gone before a program looks.

package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// head is where a mirror's HEAD points: to nothing that anybody asks for.
const head = "ref: refs/heads/main\n"

// folders are what a mirror is made of. Each is a folder of its own, and no link to one.
var folders = []string{"objects", "objects/info", "objects/pack", "refs", "refs/heads"}

// kept are the names at the top of a mirror; ours of a moment, and git's, may be those
// of a process that is at work beside this one.
var kept = []string{"HEAD", "HEAD.lock", "config", "objects", "refs", "packed-refs", "packed-refs.lock", "packed-refs.new", "vishwa"}

// configuration is all that a mirror's own configuration says.
func (m *Mirror) configuration() []byte {
	url := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.o.URL)
	return fmt.Appendf(nil, "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n[remote \"origin\"]\n\turl = \"%s\"\n", url)
}

// begin makes an empty bare repository with its remote.
func (m *Mirror) begin() error {
	if err := os.RemoveAll(m.o.Dir); err != nil {
		return fault.New(fault.Invalid, "make room for the mirror: %w", err)
	}
	if err := os.MkdirAll(m.o.Dir, 0o700); err != nil {
		return fault.New(fault.Invalid, "make the mirror: %w", err)
	}
	return m.seal()
}

// seal has the folder hold nothing that could lead git elsewhere.
func (m *Mirror) seal() error {
	if info, err := os.Lstat(m.o.Dir); err != nil || !info.IsDir() {
		_ = os.Remove(m.o.Dir) // a link to elsewhere
		if err := os.MkdirAll(m.o.Dir, 0o700); err != nil {
			return fault.New(fault.Invalid, "make the mirror: %w", err)
		}
	}
	odd, err := m.foreign()
	if err != nil {
		return fault.WithHint(fault.New(fault.Denied, "look through the mirror %s: %w", m.o.Dir, err), "make the folder this user's own, or remove it: it is made anew")
	}
	for _, name := range odd {
		if err := os.RemoveAll(filepath.Join(m.o.Dir, name)); err != nil {
			return fault.WithHint(fault.New(fault.Denied, "clear the mirror %s: %w", m.o.Dir, err), "remove the folder: it is made anew")
		}
	}
	for _, name := range folders {
		if err := os.Mkdir(filepath.Join(m.o.Dir, name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fault.New(fault.Invalid, "make the mirror: %w", err)
		}
	}
	for name, text := range map[string][]byte{"HEAD": []byte(head), "config": m.configuration()} {
		if m.holds(name, text) {
			continue
		}
		if err := m.writeConfig(name, text); err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "write %s of the mirror: %w", name, err), "free some space, or make %s writable", m.o.Dir)
		}
		odd = append(odd, name)
	}
	if again := m.sealed.Swap(true); again && len(odd) > 0 {
		slices.Sort(odd)
		m.o.Env.Log.Warn("the mirror held what Vishwa had not put there: it is taken out, and did nothing; find out what runs as this user", "mirror", m.o.Dir, "names", strings.Join(odd, ", "))
	}
	return nil
}

// foreign lists what does not belong into a mirror, from the mirror on.
func (m *Mirror) foreign() ([]string, error) {
	var odd []string
	top, err := os.ReadDir(m.o.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range top {
		name := e.Name()
		folder := slices.Contains(folders, name) || name == "vishwa"
		known := slices.Contains(kept, name) || strings.HasPrefix(name, "vishwa-") && e.Type().IsRegular()
		if !known || folder && !e.IsDir() || !folder && !e.Type().IsRegular() {
			odd = append(odd, name)
		}
	}
	for _, name := range folders { // those at the top are no links
		if slices.Contains(odd, filepath.Dir(name)) || !strings.Contains(name, "/") {
			continue
		}
		if info, err := os.Lstat(filepath.Join(m.o.Dir, name)); err == nil && !info.IsDir() {
			odd = append(odd, name)
		}
	}
	if slices.Contains(odd, "objects") || slices.Contains(odd, "objects/info") {
		return odd, nil
	}
	beside, err := os.ReadDir(filepath.Join(m.o.Dir, "objects", "info")) // alternates, http-alternates, commit-graphs
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range beside {
		odd = append(odd, "objects/info/"+e.Name())
	}
	return odd, nil
}

// holds tells whether the file is there with text, and nothing else.
func (m *Mirror) holds(name string, text []byte) bool {
	f, err := os.OpenFile(filepath.Join(m.o.Dir, name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	was, err := io.ReadAll(io.LimitReader(f, int64(len(text))+1))
	return err == nil && bytes.Equal(was, text)
}

// writeConfig writes a file at once: a program that looks meanwhile finds the old one or this.
func (m *Mirror) writeConfig(name string, text []byte) error {
	f, err := os.CreateTemp(m.o.Dir, "vishwa-seal-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(m.o.Dir, name))
}
