// Taking data in: named in one pass, kept in the cache, linked back, and pointed to
// by a .dvc file that Git keeps.

package data

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// Added is what an add came to.
type Added struct {
	Path   string        `json:"path"`
	File   string        `json:"file"` // the .dvc file
	OID    dvc.OID       `json:"md5"`
	SHA256 digest.Digest `json:"sha256"`
	Size   int64         `json:"size"`
	Files  int64         `json:"files"`
	Read   int64         `json:"read"` // files that had to be read
	Moved  bool          `json:"changed"`
}

// Add takes in the file or folder at each path.
func (w *Workspace) Add(ctx context.Context, paths []string) ([]Added, error) {
	var out []Added
	for _, p := range paths {
		rel, err := w.rel(strings.TrimSuffix(p, ".dvc"))
		if err != nil {
			return out, err
		}
		a, err := w.add(ctx, rel)
		if err != nil {
			return out, fmt.Errorf("add %s: %w", rel, err)
		}
		out = append(out, a)
	}
	return out, nil
}

func (w *Workspace) add(ctx context.Context, rel string) (Added, error) {
	if rel == "." || rel == ".dvc" || strings.HasPrefix(rel, ".dvc/") || rel == ".git" || strings.HasPrefix(rel, ".git/") {
		return Added{}, fault.WithHint(fault.New(fault.Invalid, "it is the repository's own"), "name a file or folder of data")
	}
	if err := dvc.CheckPath(rel); err != nil {
		return Added{}, fault.WithHint(fault.New(fault.Invalid, "%w", err), "rename it")
	}
	release, err := w.lockOutput(ctx, rel)
	if err != nil {
		return Added{}, err
	}
	defer release()
	return w.added(ctx, rel)
}

// added is add for whoever has the turn.
func (w *Workspace) added(ctx context.Context, rel string) (Added, error) {
	held, err := w.cache.Hold()
	if err != nil {
		return Added{}, err
	}
	defer held.Close()
	dvccache.Tidy(filepath.Dir(w.abs(rel)))
	if err := w.checkOverlap(ctx, rel); err != nil {
		return Added{}, err
	}
	if by, err := w.ignoredBy(rel); err != nil || by != "" {
		if err == nil {
			err = fault.WithHint(fault.New(fault.Invalid, "%s leaves it out", by), "change the pattern there, or keep the data elsewhere: DVC would refuse the repository")
		}
		return Added{}, err
	}
	t, err := w.ingest(ctx, rel)
	if err != nil {
		return Added{}, err
	}
	a := Added{Path: rel, File: rel + ".dvc", OID: t.oid, SHA256: t.sha256, Size: t.size, Files: int64(len(t.sums)), Read: t.read}
	if a.Moved, err = w.writePointer(rel, t); err != nil {
		return a, err
	}
	return a, w.gitignore(ctx, rel)
}

// checkOverlap refuses data that another output holds, or that holds one.
func (w *Workspace) checkOverlap(ctx context.Context, rel string) error {
	all, err := OutputsOf(ctx, os.DirFS(w.root))
	if err != nil {
		return err
	}
	for _, o := range all {
		switch {
		case o.Path == rel && o.Stage != "":
			return fault.WithHint(fault.New(fault.Invalid, "it is made by the stage %s of %s", o.Stage, o.File), "run the stage; its output needs no add")
		case strings.HasPrefix(rel, o.Path+"/"):
			return fault.WithHint(fault.New(fault.Invalid, "it is part of %s, which %s keeps", o.Path, o.File), "add that as a whole: vishwa data add %s", o.Path)
		case strings.HasPrefix(o.Path, rel+"/"):
			return fault.WithHint(fault.New(fault.Invalid, "%s in it is kept by %s already", o.Path, o.File), "remove %s first, or add its other parts one by one", o.File)
		}
	}
	return nil
}

// taken is data in the cache.
type taken struct {
	oid    dvc.OID
	sha256 digest.Digest
	size   int64
	dir    bool
	exec   bool
	sums   []dvccache.FileState // of its files, by path
	read   int64
}

// ingest names what is at rel and has the cache keep it. Files that stand as they
// stood are not read.
func (w *Workspace) ingest(ctx context.Context, rel string) (*taken, error) {
	abs := w.abs(rel)
	st, err := os.Stat(abs)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not there", rel), "correct the path; or check it out: vishwa data checkout")
	}
	ignore, err := w.ignored(rel)
	if err != nil {
		return nil, err
	}
	files, err := look(ctx, abs, tidied(abs, ignore), w.workers())
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		for _, f := range files {
			if path.Base(f.path) == ".dvcignore" {
				return nil, fault.WithHint(fault.New(fault.Invalid, "%s is inside of the data", path.Join(rel, f.path)), "move it next to or above the data, as DVC asks")
			}
			if err := dvc.CheckPath(f.path); err != nil {
				return nil, fault.WithHint(fault.New(fault.Invalid, "%w", err), "rename it")
			}
		}
	}
	t, job, err := w.hashAndCache(ctx, "adding "+rel, abs, st.IsDir(), files, dvccache.LoadMemory(w.memoryFile(rel)))
	if err != nil {
		return nil, err
	}
	return t, w.remember(rel, t, files, job)
}

// hashAndCache has the cache keep files, which are below abs or at it. What stands as before
// has it is not read.
func (w *Workspace) hashAndCache(ctx context.Context, what, abs string, dir bool, files []found, before *dvccache.Memory) (*taken, *taking, error) {
	inOrder(files)
	job := &taking{w: w, what: what, abs: abs, before: before, sums: make([]dvccache.FileState, len(files)), began: make([]int64, len(files)), batch: w.cache.Batch()}
	defer job.batch.Drop()
	for _, f := range files {
		job.total += f.stamp.Size
	}
	if w.o.Tell != nil {
		w.o.Tell(Progress{what, int64(len(files)), job.total, true})
	}
	// What has come stays, whatever comes of the rest.
	for from := 0; from < len(files); {
		to, bytes := from, int64(0)
		for to < len(files) && bytes < atOnce {
			bytes += files[to].stamp.Size
			to++
		}
		err := job.some(ctx, files, from, to)
		if kept := job.batch.Keep(); err == nil {
			err = kept
		}
		if err != nil {
			return nil, nil, err
		}
		from = to
	}
	job.before = nil // of a million files it is a third of all that is held
	t := &taken{dir: dir, sums: job.sums, read: job.read.Load()}
	for _, k := range t.sums {
		t.size += k.Size
	}
	return t, job, w.name(ctx, t, files)
}

// name gives the whole its name; a folder's manifest appears after all of its files.
func (w *Workspace) name(ctx context.Context, t *taken, files []found) error {
	if !t.dir {
		s := t.sums[0].Sums()
		t.oid, t.sha256, t.exec = s.OID, s.SHA256, files[0].exec
		return nil
	}
	t.sha256 = digest.Directory(len(files), func(i int) digest.File {
		return digest.File{Path: files[i].path, Digest: digest.FromSum(t.sums[i].Sum[16:]), Size: t.sums[i].Size}
	})
	var err error
	t.oid, err = w.cache.InsertManifest(ctx, manifest(files, t.sums))
	return err
}

// manifest is the .dir object of files, sorted by path, with their sums.
func manifest(files []found, sums []dvccache.FileState) []byte {
	var digits [32]byte
	return dvc.TreeBytes(len(files), func(i int) (string, []byte) {
		hex.Encode(digits[:], sums[i].Sum[:16])
		return files[i].path, digits[:]
	})
}

// remember keeps how the files stood, for the next time. With links, what stands in
// the work tree is put in order first.
func (w *Workspace) remember(rel string, t *taken, files []found, job *taking) error {
	if !w.cache.Copies() {
		if err := w.relink(rel, job, files); err != nil {
			return err
		}
	}
	err := dvccache.Remember(w.memoryFile(rel), t.oid, len(files), func(i int) (string, dvccache.FileState) {
		k := job.sums[i]
		if !k.Stamp.Settled(job.at(i)) {
			k.Stamp = dvccache.Stamp{}
		}
		return files[i].path, k
	})
	if err != nil && w.o.Env.Log != nil {
		w.o.Env.Log.Warn("the next command will read the files again", "path", rel, "error", err)
	}
	return nil
}

// relink puts links to the cache in place of files of their own.
func (w *Workspace) relink(rel string, job *taking, files []found) error {
	for i, f := range files {
		at := filepath.Join(w.abs(rel), filepath.FromSlash(f.path))
		st, err := os.Stat(at)
		if err != nil {
			return fault.New(fault.Conflict, "%s went while it was added: %w", at, err)
		}
		var stands unix.Stat_t
		if err := unix.Stat(at, &stands); err != nil || dvccache.StampOf(&stands) != job.sums[i].Stamp {
			return fault.WithHint(fault.New(fault.Conflict, "%s changed after it was read", at), "end what writes to it, and add it again; what was read is in the cache")
		}
		oid := job.sums[i].Sums().OID
		if was, err := os.Stat(w.cache.Path(oid)); err == nil && os.SameFile(st, was) {
			continue
		}
		k, err := w.cache.Link(oid, at, f.exec)
		if err != nil {
			return err
		}
		if k.Inode != 0 { // it stands otherwise now
			job.sums[i].Stamp, job.began[i] = k.Stamp, 0
		}
	}
	return nil
}

func (w *Workspace) memoryFile(rel string) string {
	return filepath.Join(w.state, digest.Of([]byte(rel)).Short()+".state")
}

func (w *Workspace) tell(what string, files, bytes int64) {
	if w.o.Tell != nil {
		w.o.Tell(Progress{What: what, Files: files, Bytes: bytes})
	}
}

// taking reads files and has the cache keep them, several side by side.
type taking struct {
	w      *Workspace
	what   string // is done, for people
	abs    string
	before *dvccache.Memory
	sums   []dvccache.FileState
	batch  *dvccache.Batch
	total  int64
	read   atomic.Int64
	done   atomic.Int64 // files that were read, and their bytes
	bytes  atomic.Int64
	began  []int64 // when each file was begun to be read, in nanoseconds; zero: not read now
}

func (j *taking) at(i int) time.Time {
	if n := j.began[i]; n != 0 {
		return time.Unix(0, n)
	}
	return time.Unix(1<<40, 0) // settled when it was remembered
}

// atOnce is how many bytes are made durable together.
const atOnce = 8 << 30

// some takes in the files between two places of their list.
func (j *taking) some(ctx context.Context, files []found, from, to int) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	next.Store(int64(from))
	for range min(to-from, max(2, runtime.NumCPU())) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= to {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return fault.New(fault.Cancelled, "add: %w", err)
				}
				if err := j.file(ctx, i, files[i]); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// tries is how often a file that changes while it is read is begun anew.
const tries = 3

func (j *taking) file(ctx context.Context, i int, f found) error {
	if k, ok := j.before.Get(f.path); ok && k.Stamp == f.stamp && k.Whole() && j.w.cache.Has(k.Sums().OID) {
		j.sums[i] = k
		return nil
	}
	at, size := j.abs, f.stamp.Size
	if f.path != "" {
		at += "/" + f.path
	}
	for range tries {
		began := j.w.o.Env.Now()
		stamp, sum, err := j.once(ctx, at, size)
		if err != nil {
			return err
		}
		if stamp == nil { // it changed under the read
			if st, err := os.Stat(at); err == nil {
				size = st.Size()
			}
			continue
		}
		j.began[i] = began.UnixNano()
		j.w.tell(j.what, j.done.Add(1), j.bytes.Add(size))
		k, ok := dvccache.Know(*stamp, sum)
		if !ok {
			return fault.New(fault.Internal, "%s: its name cannot be remembered", at)
		}
		j.sums[i] = k
		j.read.Add(1)
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "%s keeps changing while it is read", at), "end what writes to it, and add it again")
}

// once reads a file. A nil stamp says that it changed meanwhile.
func (j *taking) once(ctx context.Context, at string, size int64) (*dvccache.Stamp, dvccache.Sum, error) {
	if size <= dvccache.InMemory {
		stamp, sum, err := j.small(at, size)
		return stamp, sum, gone(at, err)
	}
	f, err := os.Open(at)
	if err != nil {
		return nil, dvccache.Sum{}, gone(at, err)
	}
	defer f.Close()
	before, err := stamped(f)
	if err != nil {
		return nil, dvccache.Sum{}, err
	}
	var sum dvccache.Sum
	if sum, err = j.batch.Take(ctx, f, ""); err != nil {
		return nil, sum, err
	}
	after, err := stamped(f)
	if err != nil || after != before || sum.Size != before.Size {
		return nil, sum, err // what was taken in is content that nobody points to
	}
	return &before, sum, nil
}

// pieces are what small files are read into.
var pieces = sync.Pool{New: func() any { b := make([]byte, dvccache.InMemory+1); return &b }}

// small reads a file as one piece: its bytes are written to the cache only where it does
// not have them.
func (j *taking) small(at string, size int64) (*dvccache.Stamp, dvccache.Sum, error) {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	n, before, after, err := dvccache.ReadSmall(at, size, *buf)
	if err != nil || before != after || int64(n) != before.Size {
		return nil, dvccache.Sum{}, err
	}
	sum := dvccache.SumOf((*buf)[:n])
	return &before, sum, j.batch.TakeBytes((*buf)[:n], sum)
}

// gone says what keeps a file from being read.
func gone(at string, err error) error {
	switch {
	case err == nil, fault.Of(err) != fault.Internal:
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fault.WithHint(fault.New(fault.Conflict, "%s went while it was added", at), "add it again")
	case errors.Is(err, fs.ErrPermission):
		return fault.WithHint(fault.New(fault.Denied, "read %s: %w", at, err), "make it readable")
	}
	return artifact.Disk(fmt.Errorf("read %s: %w", at, err), at)
}

func stamped(f *os.File) (dvccache.Stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return dvccache.Stamp{}, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	return dvccache.StampOf(&st), nil
}

// writePointer writes the .dvc file, and tells whether it had to be.
func (w *Workspace) writePointer(rel string, t *taken) (bool, error) {
	file := w.abs(rel) + ".dvc"
	p := &dvc.Pointer{Outs: []dvc.Out{{Path: path.Base(rel)}}}
	was, err := os.ReadFile(file)
	switch {
	case err == nil:
		if p, err = dvc.ParsePointer(rel+".dvc", was); err != nil {
			return false, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, fault.New(fault.Denied, "read %s.dvc: %w", rel, err)
	}
	i := slices.IndexFunc(p.Outs, func(o dvc.Out) bool {
		at, err := p.Place(rel+".dvc", o)
		return err == nil && at == rel
	})
	if i < 0 {
		return false, fault.WithHint(fault.New(fault.Conflict, "%s.dvc is about something else", rel), "rename it, or add the data under another name")
	}
	o := &p.Outs[i]
	o.OID, o.Size, o.NFiles, o.Hash, o.Exec, o.SHA256 = t.oid, t.size, -1, "md5", !t.dir && t.exec, t.sha256
	if t.dir {
		o.NFiles = int64(len(t.sums))
	}
	now := p.Bytes()
	if string(now) == string(was) {
		return false, nil
	}
	return true, replace(file, now)
}

// replace writes a file of the repository whole or not at all.
func replace(file string, b []byte) error { return replaceAs(file, b, 0o644) }

func replaceAs(file string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), dvccache.Draft())
	if err != nil {
		return artifact.Disk(fmt.Errorf("write %s: %w", file, err), filepath.Dir(file))
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return artifact.Disk(err, filepath.Dir(file))
}

// escaped is what means something in a .gitignore (gitignore(5)); DVC escapes the same.
var escaped = regexp.MustCompile(`[\\\[\]!*#?]`)

// ignoring is the line for a file or folder.
func ignoring(rel string) string { return "/" + escaped.ReplaceAllString(path.Base(rel), `\$0`) }

// inGit tells whether a folder is in a work tree of Git.
func inGit(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// gitignore has Git ignore the data, as DVC does: by a line beside it.
func (w *Workspace) gitignore(ctx context.Context, rel string) error {
	if w.kept == "" && !inGit(w.root) {
		return nil
	}
	file := filepath.Join(filepath.Dir(w.abs(rel)), ".gitignore")
	release, err := w.lockOutput(ctx, path.Join(path.Dir(rel), ".gitignore")) // others may add beside it
	if err != nil {
		return err
	}
	defer release()
	line := ignoring(rel)
	was, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Denied, "read %s: %w", file, err)
	}
	for l := range strings.Lines(string(was)) {
		if strings.TrimSpace(l) == line {
			return nil
		}
	}
	if len(was) > 0 && was[len(was)-1] != '\n' {
		was = append(was, '\n')
	}
	return replace(file, append(was, line+"\n"...))
}
