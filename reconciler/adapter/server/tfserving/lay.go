// The files of a version below its model's base path: laid out, held against what they are to be, taken away.

package tfserving

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

func readFile(root *os.Root, name string, most int64) ([]byte, error) {
	if st, err := root.Lstat(name); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// lay has the files of a version there, each held against its digest: what is lost or was changed is written again, and
// what is not the model's is removed.
func (w *work) lay(ctx context.Context, number int64) error {
	if w.place.At.InStore {
		return w.layStored(ctx, number)
	}
	dir := w.name + "/" + strconv.FormatInt(number, 10)
	if len(differences(w.root.Root, dir, w.files, true)) == 0 {
		return nil
	}
	tmp := w.name + "/.vishwa-" + strconv.FormatInt(number, 10)
	if err := w.root.RemoveAll(tmp); err != nil {
		return w.disk(err)
	}
	for _, f := range w.files {
		if err := w.layFile(ctx, tmp, f); err != nil {
			_ = w.root.RemoveAll(tmp)
			return err
		}
	}
	if err := w.root.RemoveAll(dir); err != nil {
		return w.disk(err)
	}
	return w.disk(w.root.Rename(tmp, dir))
}

func (w *work) layFile(ctx context.Context, dir string, f digest.File) error {
	at := dir + "/" + f.Path
	if err := w.root.MkdirAll(path.Dir(at), 0o755); err != nil {
		return w.disk(err)
	}
	for d := path.Dir(at); d != w.name; d = path.Dir(d) {
		if err := w.root.Chmod(d, 0o755); err != nil {
			return w.disk(err)
		}
	}
	from, err := w.server.o.Store.Get(ctx, f.Digest)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := w.root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return w.disk(err)
	}
	got, n, err := artifact.Copy(ctx, to, from)
	if more := to.Chmod(0o444); err == nil && more != nil {
		err = w.disk(more)
	}
	if more := to.Close(); err == nil && more != nil {
		err = w.disk(more)
	}
	if err == nil && (got != f.Digest || n != f.Size) {
		err = fault.WithHint(fault.New(fault.Corrupt, "the bytes of %s in the store are not what they are named", f.Path), "restore the store from a good copy, or release the model again")
	}
	return err
}

// differences are the paths of a version's folder that are not as they were laid; their bytes are read where that is asked.
func differences(root *os.Root, dir string, files digest.Manifest, bytes bool) (found []string) {
	want := map[string]digest.File{}
	for _, f := range files {
		want[f.Path] = f
	}
	sub, err := root.OpenRoot(dir)
	if err != nil {
		return []string{dir}
	}
	defer sub.Close()
	err = fs.WalkDir(sub.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, declared := want[p]
		delete(want, p)
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !declared || !e.Type().IsRegular() || info.Size() != f.Size || bytes && !holds(sub, p, f.Digest) {
			found = append(found, p)
		}
		return nil
	})
	for p := range want {
		found = append(found, p)
	}
	if err != nil {
		found = append(found, dir)
	}
	return found
}

func holds(root *os.Root, name string, d digest.Digest) bool {
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	got, _, err := digest.Reader(f)
	return err == nil && got == d
}

// unchanged sees that nobody else wrote in the store what is noted of the model since it was read: what it names is removed after that alone.
func (w *work) unchanged(ctx context.Context) error {
	if w.root.stored == nil {
		return nil
	}
	return w.writeRecord(ctx)
}

// clear removes all that is ours of the model.
func (w *work) clear(ctx context.Context) error {
	if err := w.unchanged(ctx); err != nil {
		return err
	}
	for number := range w.rec.Versions {
		if err := w.drop(ctx, number); err != nil {
			return err
		}
	}
	if err := w.root.remove(ctx, w.name+"/"+recordFile); err != nil {
		if w.root.stored != nil {
			return err
		}
		return w.disk(err)
	}
	if w.root.stored == nil {
		_ = w.root.Remove(w.name) // it stays where others have something in it
	}
	w.rec = record{}
	return nil
}

// drop removes a version that is ours.
func (w *work) drop(ctx context.Context, number int64) error {
	if w.rec.Versions[number].Stored {
		if err := w.dropStored(ctx, number); err != nil {
			return err
		}
	}
	if w.root.stored != nil {
		delete(w.rec.Versions, number)
		return nil
	}
	for _, dir := range []string{w.name + "/" + strconv.FormatInt(number, 10), w.name + "/.vishwa-" + strconv.FormatInt(number, 10)} {
		if err := w.root.RemoveAll(dir); err != nil {
			return w.disk(err)
		}
	}
	delete(w.rec.Versions, number)
	return nil
}
