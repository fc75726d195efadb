// Where data lies until all of it has come: under names that say what it is a part
// of and how much of it is safely on disk, so that the next try goes on from there.

package download

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	staging = ".vishwa-fetch"
	whole   = "whole" // in place of a count: all of a file, synced

	// worth is the size in bytes from which a file is kept for the next try. What is
	// smaller comes again sooner than a disk has made it safe.
	worth = 1 << 20
	// often is how many bytes come in between two times of making them safe.
	often = 64 << 20
)

// stage is the folder of what is being read into dir.
type stage struct {
	dir   string
	root  *os.Root
	names []string          // of look's files, in their order
	kept  map[string]string // what an earlier try left of them: bytes, or whole
}

// openStage makes the folder, or finds what an earlier Fetch of the same look left
// there. What belongs to another look is removed.
func openStage(dir string, look port.Snapshot) (*stage, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, artifact.Disk(err, dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, artifact.Disk(err, dir)
	}
	s := &stage{dir: dir, root: root, names: make([]string, len(look.Files)), kept: map[string]string{}}
	ours := make(map[string]bool, len(look.Files))
	for i, f := range look.Files {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", look.Token, f.Path, f.ETag, f.Size))
		s.names[i] = hex.EncodeToString(sum[:16])
		ours[s.names[i]] = true
	}
	if err := s.takeOver(ours); err != nil {
		root.Close()
		return nil, artifact.Disk(err, dir)
	}
	return s, nil
}

func (s *stage) takeOver(ours map[string]bool) error {
	if err := s.root.Mkdir(staging, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	left, err := fs.ReadDir(s.root.FS(), staging)
	if err != nil {
		return err
	}
	for _, e := range left {
		name, state, _ := strings.Cut(e.Name(), ".")
		if _, twice := s.kept[name]; ours[name] && !twice && state != "0" {
			s.kept[name] = state
			continue
		}
		if err := s.root.RemoveAll(path.Join(staging, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) close() { s.root.Close() }

// part is a file on its way in. Its name tells how many of its bytes, from the
// first on, are safe.
type part struct {
	s     *stage
	f     *os.File
	name  string
	state string
	safe  int64
}

// begin opens the i-th file; it is nil where all of it is there already.
func (s *stage) begin(i int) (*part, error) {
	p := &part{s: s, name: s.names[i], state: "0"}
	if state, ok := s.kept[p.name]; ok {
		if state == whole {
			return nil, nil
		}
		if n, err := strconv.ParseInt(state, 10, 64); err == nil && n > 0 {
			p.state, p.safe = state, n
		}
	}
	f, err := s.root.OpenFile(p.path(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, artifact.Disk(err, s.dir)
	}
	p.f = f
	if err := f.Truncate(p.safe); err != nil {
		f.Close()
		return nil, artifact.Disk(err, s.dir)
	}
	return p, nil
}

func (p *part) path() string { return path.Join(staging, p.name+"."+p.state) }

// keep makes what has come safe, and says so in the name.
func (p *part) keep(state string) error {
	if state == p.state {
		return nil
	}
	if err := p.f.Sync(); err != nil {
		return artifact.Disk(err, p.s.dir)
	}
	was := p.path()
	p.state = state
	if err := p.s.root.Rename(was, p.path()); err != nil {
		return artifact.Disk(err, p.s.dir)
	}
	return nil
}

// reached tells that the first n bytes are there.
func (p *part) reached(n int64) error {
	p.safe = n
	return p.keep(strconv.FormatInt(n, 10))
}

// done closes a part that is complete.
func (p *part) done() error {
	st, err := p.f.Stat()
	if err == nil && st.Size() >= worth {
		err = p.keep(whole)
	}
	if cerr := p.f.Close(); err == nil {
		err = cerr
	}
	return artifact.Disk(err, p.s.dir)
}

// drop removes what turned out to be something else.
func (p *part) drop() {
	p.f.Close()
	_ = p.s.root.Remove(p.path()) // what stays is removed by the next Fetch
}

// file is the path of the part on this machine.
func (p *part) file() string { return filepath.Join(p.s.dir, filepath.FromSlash(p.path())) }

// publish puts everything under its own name.
func (s *stage) publish(files []port.SourceFile) error {
	made := map[string]bool{".": true}
	for i, f := range files {
		if dir := path.Dir(f.Path); !made[dir] {
			if err := s.root.MkdirAll(dir, 0o755); err != nil {
				return artifact.Disk(err, s.dir)
			}
			made[dir] = true
		}
		from, err := s.lying(i)
		if err == nil {
			err = s.root.Rename(from, f.Path)
		}
		if err != nil {
			return artifact.Disk(fmt.Errorf("lay out %s: %w", Quoted(f.Path), err), s.dir)
		}
	}
	return artifact.Disk(s.root.RemoveAll(staging), s.dir)
}

// lying is the path of a file that has come; only a large one's name was changed.
func (s *stage) lying(i int) (string, error) {
	for _, state := range []string{"0", whole} {
		p := path.Join(staging, s.names[i]+"."+state)
		if _, err := s.root.Lstat(p); err == nil {
			return p, nil
		}
	}
	return "", fs.ErrNotExist
}
