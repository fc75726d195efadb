// Data named and kept: files that stand as they stood are not read, a folder gets its
// manifest after all of its files, and what is linked is put in order.

package data

import (
	"context"
	"encoding/hex"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

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
	files, err := findFiles(ctx, abs, tidied(abs, ignore), w.workers())
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
		w.o.Tell(Progress{What: what, Files: int64(len(files)), Bytes: job.total, Ahead: true})
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
		if !job.settled(i) {
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
			return fault.WithHint(fault.New(fault.Conflict, "%s went while it was added: %w", at, err), "let nothing change the folder meanwhile, and add it again")
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

func (w *Workspace) reportProgress(what string, files, bytes int64) {
	if w.o.Tell != nil {
		w.o.Tell(Progress{What: what, Files: files, Bytes: bytes})
	}
}
