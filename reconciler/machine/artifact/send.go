// Out of the store and into a bucket of others: the files of an artifact, as they are named, below a prefix.

package artifact

import (
	"context"
	"fmt"
	"io"
	"path"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Lacks are the files of art that are not below prefix, or have another size there.
func Lacks(ctx context.Context, in port.Objects, prefix string, art port.Artifact) ([]digest.File, error) {
	if err := check(art); err != nil {
		return nil, err
	}
	there := map[string]int64{}
	for o, err := range in.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		there[o.Key] = o.Size
	}
	var out []digest.File
	for _, f := range Files(art) {
		if size, is := there[prefix+f.Path]; !is || size != f.Size {
			out = append(out, f)
		}
	}
	return out, nil
}

// Files are those of an artifact, of which one that is a single file has one.
func Files(art port.Artifact) []digest.File {
	if art.Files != nil {
		return art.Files
	}
	name := path.Base(art.Name)
	if name == "." || name == ".." || name == "/" {
		name = "model"
	}
	return []digest.File{{Path: name, Digest: art.Digest, Size: art.Size}}
}

// Send puts files below prefix, side by side, and tells how many arrived. Each is read to its end before it is sent: bytes that are not what they are
// named go nowhere. What had arrived of a large one is not sent twice.
func Send(ctx context.Context, to port.Bucket, prefix string, files []digest.File, content func(context.Context, digest.Digest) (io.ReadCloser, error)) (int, error) {
	var sent atomic.Int64
	var failed atomic.Bool
	var g errgroup.Group // without a context of its own: what is under way when another fails still arrives
	g.SetLimit(sideBySide)
	for _, f := range files {
		if failed.Load() || ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := send(ctx, to, prefix+f.Path, f, content); err != nil {
				failed.Store(true)
				return err
			}
			sent.Add(1)
			return nil
		})
	}
	err := g.Wait()
	if err == nil && ctx.Err() != nil {
		err = fault.New(fault.Cancelled, "send files: %w", ctx.Err())
	}
	return int(sent.Load()), err
}

func send(ctx context.Context, to port.Bucket, key string, f digest.File, content func(context.Context, digest.Digest) (io.ReadCloser, error)) error {
	in, err := content(ctx, f.Digest)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.Copy(io.Discard, in)
	if err == nil && n != f.Size {
		err = fault.WithHint(fault.New(fault.Corrupt, "%s has %d bytes, the manifest says %d", f.Digest, n, f.Size), "the record that names it is damaged: run vishwa ledger verify")
	}
	if err != nil {
		return err
	}
	at, ok := in.(io.ReaderAt)
	if !ok {
		return fault.New(fault.Internal, "send %s: it cannot be read at any place", f.Path)
	}
	if _, err := to.Put(ctx, key, at, f.Size); err != nil {
		return fmt.Errorf("send %s: %w", f.Path, err)
	}
	return nil
}
