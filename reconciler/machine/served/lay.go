// Files of a release where others read them from a bucket: named as those want them, and not by their digests.

package served

import (
	"context"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Lies tells whether an object has the bytes of a digest.
func Lies(ctx context.Context, shelf port.Bucket, key string, d digest.Digest) (bool, error) {
	from, _, err := shelf.Get(ctx, key, port.All)
	if err != nil {
		if fault.Of(err) == fault.Missing {
			return false, nil
		}
		return false, err
	}
	got, _, err := artifact.Copy(ctx, io.Discard, from)
	if more := from.Close(); err == nil {
		err = more
	}
	return got == d, err
}

// LayFile puts a file of the store below a folder of the bucket, once its bytes are those of its digest; it passes through a file of tmp.
func LayFile(ctx context.Context, store port.Store, shelf port.Bucket, tmp, dir string, f digest.File) error {
	if !fs.ValidPath(f.Path) || f.Path == "." { // else it would be written over what others keep in the bucket
		return fault.WithHint(fault.New(fault.Denied, "its path leads out of the model"), "do not serve this model: train it again, and let it write only below its own folder")
	}
	to, err := os.CreateTemp(tmp, "lay-*")
	if err != nil {
		return artifact.Disk(err, tmp)
	}
	defer os.Remove(to.Name())
	defer to.Close()
	from, err := store.Get(ctx, f.Digest)
	if err != nil {
		return err
	}
	got, n, err := artifact.Copy(ctx, to, from)
	if more := from.Close(); err == nil {
		err = more
	}
	switch {
	case err != nil:
		return err
	case got != f.Digest || n != f.Size:
		return fault.WithHint(fault.New(fault.Corrupt, "its bytes in the store are not what they are named"), "restore the store from a good copy, or release the model again")
	}
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return artifact.Disk(err, tmp)
	}
	_, err = shelf.Put(ctx, dir+"/"+f.Path, to, n)
	return err
}

// Differences are the paths below a folder of a bucket that are not as files has them; their bytes are read where that is asked.
func Differences(ctx context.Context, shelf port.Bucket, dir string, files digest.Manifest, bytes bool) (found []string, err error) {
	want := map[string]digest.File{}
	for _, f := range files {
		want[dir+"/"+f.Path] = f
	}
	for o, err := range shelf.List(ctx, dir+"/") {
		if err != nil {
			return nil, err
		}
		f, declared := want[o.Key]
		delete(want, o.Key)
		same := declared && o.Size == f.Size
		if same && bytes {
			if same, err = Lies(ctx, shelf, o.Key, f.Digest); err != nil {
				return nil, err
			}
		}
		if !same {
			found = append(found, o.Key[len(dir)+1:])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		found = append(found, key[len(dir)+1:])
	}
	return found, nil
}
