// Out of the store and into a bucket of others: the files of an artifact, as they are named, below a prefix.

package artifact

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Below is what lies below a prefix, next to the files of an artifact that belong there.
type Below struct {
	There map[string]port.Object // files of the artifact that have their size, by their paths; what their bytes are is not known
	Lacks []digest.File
	Other []string // what has another size, or is no file of the artifact: the first few
	Sum   digest.Digest
}

// mostOther is how much that does not belong there is told of: one is enough to know.
const mostOther = 8

// Look lists what is below prefix.
func Look(ctx context.Context, in port.Objects, prefix string, art port.Artifact) (Below, error) {
	b := Below{There: map[string]port.Object{}}
	if err := check(art); err != nil {
		return b, err
	}
	sizes := map[string]int64{}
	for _, f := range Files(art) {
		sizes[f.Path] = f.Size
	}
	etags := map[string]string{}
	for o, err := range in.List(ctx, prefix) {
		if err != nil {
			return b, err
		}
		name := strings.TrimPrefix(o.Key, prefix)
		if size, is := sizes[name]; is && size == o.Size {
			b.There[name], etags[name] = o, o.ETag
			continue
		}
		if delete(sizes, name); len(b.Other) == mostOther {
			return b, nil
		}
		b.Other = append(b.Other, name)
	}
	for _, f := range Files(art) {
		_, is := b.There[f.Path]
		if _, free := sizes[f.Path]; !is && free {
			b.Lacks = append(b.Lacks, f)
		}
	}
	b.Sum = SumOf(etags)
	return b, nil
}

// SumOf names what lies somewhere by the ETags of its files: it is another one once somebody put a file there again, whatever its size. An ETag says
// that alone, as what it is made of differs by how an object was sent, and by how it is encrypted.
func SumOf(etags map[string]string) digest.Digest {
	var all []byte
	for _, name := range slices.Sorted(maps.Keys(etags)) {
		all = fmt.Appendf(all, "%q %q\n", name, etags[name])
	}
	return digest.Of(all)
}

// Differ reads the files that are there, and tells which are not of the artifact by their bytes.
func (b Below) Differ(ctx context.Context, in port.Objects, art port.Artifact) (paths []string, err error) {
	for _, f := range Files(art) {
		o, is := b.There[f.Path]
		if !is {
			continue
		}
		body, _, err := in.Get(ctx, o.Key, port.Range{Length: -1, ETag: o.ETag})
		if err != nil {
			return nil, fmt.Errorf("read %s again: %w", f.Path, err)
		}
		d, _, err := digest.Reader(body)
		body.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s again: %w", f.Path, err)
		}
		if d != f.Digest {
			paths = append(paths, f.Path)
		}
	}
	return paths, nil
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

// Send puts files below prefix, side by side, and tells the ETags of those that arrived, by their paths. Bytes that are not what they are named go
// nowhere: each is held against its name before it is there. What had arrived of a large one is not sent twice.
func Send(ctx context.Context, to port.Bucket, prefix string, files []digest.File, content func(context.Context, digest.Digest) (io.ReadCloser, error)) (map[string]string, error) {
	var mu sync.Mutex
	sent, failed := map[string]string{}, false
	over := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return failed || ctx.Err() != nil
	}
	var g routine.Group // without a context of its own: what is under way when another fails still arrives
	g.SetLimit(sideBySide)
	for _, f := range files {
		if over() {
			break
		}
		g.Start(func() error {
			o, err := send(ctx, to, prefix+f.Path, f, content)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = true
				return err
			}
			sent[f.Path] = o.ETag
			return nil
		})
	}
	err := g.Wait()
	if err == nil && ctx.Err() != nil {
		err = fault.New(fault.Cancelled, "send files: %w", ctx.Err())
	}
	return sent, err
}

func send(ctx context.Context, to port.Bucket, key string, f digest.File, content func(context.Context, digest.Digest) (io.ReadCloser, error)) (o port.Object, err error) {
	in, err := content(ctx, f.Digest)
	if err != nil {
		return o, err
	}
	defer in.Close()
	h, holds := to.(port.NamedPutter)
	if !holds {
		if err := readToEnd(in, f); err != nil {
			return o, err
		}
	}
	at, ok := in.(io.ReaderAt)
	if !ok {
		return o, fault.New(fault.Internal, "send %s: it cannot be read at any place", f.Path)
	}
	if holds {
		o, err = h.PutNamed(ctx, key, at, f.Size, f.Digest)
	} else {
		o, err = to.Put(ctx, key, at, f.Size)
	}
	if err != nil {
		return o, fmt.Errorf("send %s: %w", f.Path, err)
	}
	return o, nil
}

// readToEnd has content hold its bytes against their name.
func readToEnd(in io.Reader, f digest.File) error {
	n, err := io.Copy(io.Discard, in)
	if err == nil && n != f.Size {
		err = fault.WithHint(fault.New(fault.Corrupt, "%s has %d bytes, the manifest says %d", f.Digest, n, f.Size), "the record that names it is damaged: run vishwa ledger verify")
	}
	return err
}
