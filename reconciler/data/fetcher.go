// The fetcher: data that pointers name, brought from a cache or a remote into the
// store of artifacts. What comes is what its names say, or it does not come.

package data

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/format/lfs"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Fetcher brings data into Store.
type Fetcher struct {
	Store port.Store
	Env   port.Env
	// Dir is the checkout whose cache and .dvc/config.local are used; "" is none.
	Dir string
	// Heard hears how far the data of a pointer has come, now and then; may be nil.
	Heard func(Progress)
	// Wary opens the remotes of a tree that was not reviewed; nil: it was.
	Wary *Wary
}

var _ port.DataFetcher = Fetcher{}

// FetchData is port.DataFetcher's.
func (d Fetcher) FetchData(ctx context.Context, tree fs.FS, p port.DataPointer, tell func(string)) (port.Artifact, error) {
	from, err := d.sources(ctx, tree, p)
	if err != nil {
		return port.Artifact{}, fmt.Errorf("%s: %w", p.File, err)
	}
	b := &bringing{Fetcher: d, from: from, legacy: p.Layout == dvc.DVC2, what: "fetching " + p.Path, of: max(p.Size, 0)}
	defer b.ends()
	name := path.Base(p.Path)
	oid := dvc.OID(p.Name)
	if !oid.IsDir() {
		f, err := b.one(ctx, oid)
		if err != nil {
			return port.Artifact{}, b.about(p, err)
		}
		return port.Artifact{Name: name, Digest: f.Digest, Size: f.Size}, nil
	}
	raw, err := b.manifest(ctx, oid)
	if err != nil {
		return port.Artifact{}, b.about(p, err)
	}
	if len(raw) > 64 {
		tell(fmt.Sprintf("bringing %s of %s", plural.Of(len(raw), "file"), p.Path))
	}
	files, err := b.all(ctx, raw)
	if err != nil {
		return port.Artifact{}, b.about(p, err)
	}
	return port.Artifact{Name: name, Digest: files.Digest(), Size: files.Size(), Files: files}, nil
}

// source is a place that may have objects.
type source struct {
	name string
	open func(ctx context.Context, oid dvc.OID) (io.ReadCloser, error)
}

// sources are where objects are looked for: the checkout's cache, then the remote.
func (d Fetcher) sources(ctx context.Context, tree fs.FS, p port.DataPointer) ([]source, error) {
	var out []source
	layers := []*dvc.Config{}
	b, err := fs.ReadFile(tree, ".dvc/config")
	switch {
	case err == nil:
		c, err := dvc.ParseConfig(".dvc/config", b)
		if err != nil {
			return nil, err
		}
		layers = append(layers, c)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Denied, "read .dvc/config: %w", err)
	}
	base := ""
	if d.Dir != "" {
		base = filepath.Join(d.Dir, ".dvc")
		if w, err := Open(d.Dir, Options{Env: d.Env}); err == nil {
			local, err := readConfig(filepath.Join(w.root, ".dvc", "config.local"))
			if err != nil {
				return nil, err
			}
			layers = append(layers, local)
			store := w.cache
			if p.Layout == dvc.DVC2 {
				store = store.Legacy()
			}
			out = append(out, source{"the cache", cached(store)})
		}
	}
	config := dvc.Merge(layers...)
	if name, _ := config.Get("core", "remote"); name == "" && p.Remote == "" {
		if len(out) == 0 {
			return nil, fault.WithHint(fault.New(fault.Missing, "the repository names no DVC remote, and this machine has no cache of it"), "set one, and push the data there: vishwa data remote add -d NAME URL")
		}
		return out, nil
	}
	if rc, err := config.Remote(p.Remote); err == nil && versionAware(rc) && len(out) > 0 {
		return out, nil // DVC alone can ask it
	}
	open := func() (*transfer.Remote, error) { return OpenRemote(config, p.Remote, base, d.Env, 0) }
	if d.Wary != nil {
		open = func() (*transfer.Remote, error) { return d.Wary.Open(ctx, config, p.Remote, d.Env) }
	}
	r, err := open()
	if err != nil {
		return nil, err
	}
	r.Legacy = p.Layout == dvc.DVC2
	return append(out, source{"remote " + r.Name, r.Object}), nil
}

func cached(c *dvccache.Cache) func(context.Context, dvc.OID) (io.ReadCloser, error) {
	return func(_ context.Context, oid dvc.OID) (io.ReadCloser, error) {
		f, _, err := c.Open(oid)
		return f, err
	}
}

type bringing struct {
	Fetcher
	from   []source
	legacy bool
	what   string // is done, for people
	of     int64  // bytes in all; 0: not known
	come   atomic.Int64
}

// ends tells that no more comes.
func (b *bringing) ends() {
	if n := max(b.come.Load(), 1); b.Heard != nil {
		b.Heard(Progress{What: b.what, Bytes: n, Of: n})
	}
}

// Write counts what has come.
func (b *bringing) Write(p []byte) (int, error) {
	if n := b.come.Add(int64(len(p))); b.Heard != nil {
		b.Heard(Progress{What: b.what, Bytes: n, Of: b.of})
	}
	return len(p), nil
}

// about says which data could not be brought, and the way out.
func (b *bringing) about(p port.DataPointer, err error) error {
	if fault.Of(err) != fault.Missing || errors.Is(err, port.ErrAbsent) {
		return fmt.Errorf("%s: %w", p.File, err)
	}
	names := make([]string, len(b.from))
	for i, s := range b.from {
		names[i] = s.name
	}
	if p.NoPush {
		return fault.WithHint(fmt.Errorf("%s: %w (looked in %s), and no push sends it, as the file says", p.File, err, strings.Join(names, ", ")),
			"add the data anew, without push: false or cache: false, where it is, and push it from there: vishwa data push %s", p.Path)
	}
	return fault.WithHint(fmt.Errorf("%s: %w (looked in %s)", p.File, err, strings.Join(names, ", ")), "push it from where it was added: vishwa data push %s", p.Path)
}

// open finds an object in the first place that has it.
func (b *bringing) open(ctx context.Context, oid dvc.OID) (io.ReadCloser, error) {
	r, _, err := b.openFrom(ctx, oid, 0)
	return r, err
}

// openFrom is open but for the first places, and tells which it was.
func (b *bringing) openFrom(ctx context.Context, oid dvc.OID, first int) (io.ReadCloser, int, error) {
	for i, s := range b.from[min(first, len(b.from)):] {
		r, err := s.open(ctx, oid)
		if err == nil || fault.Of(err) != fault.Missing || errors.Is(err, port.ErrAbsent) {
			return r, first + i, err
		}
	}
	return nil, len(b.from), fault.WithHint(fault.New(fault.Missing, "%s is not available anywhere", oid), "push it from where it was added: vishwa data push")
}

// one puts an object into the store, and holds it against its name on the way.
func (b *bringing) one(ctx context.Context, oid dvc.OID) (digest.File, error) {
	var spoilt error
	for at := 0; ; at++ {
		r, i, err := b.openFrom(ctx, oid, at)
		if err != nil && spoilt != nil && fault.Of(err) == fault.Missing {
			return digest.File{}, spoilt
		}
		if err != nil {
			return digest.File{}, err
		}
		named := &naming{r: r, md5: md5.New(), want: oid}
		var head beginning
		if b.legacy {
			named.old = dvccache.NewLegacySum()
		}
		d, n, err := b.Store.Put(ctx, io.TeeReader(named, io.MultiWriter(&head, b)))
		r.Close()
		if _, is := lfs.Parse(head); err == nil && is {
			return digest.File{}, fault.WithHint(fault.New(fault.Invalid, "%s %s", oid, isPointer),
				"add the data where Git LFS has it: git lfs pull; vishwa data add; then push it and commit its pointer")
		}
		if fault.Of(err) != fault.Corrupt || err == nil {
			return digest.File{Digest: d, Size: n}, err
		}
		at, spoilt = i, err // another place may have the right bytes
	}
}

// beginning is the first bytes of what is written to it: enough to tell a pointer of Git LFS.
type beginning []byte

func (h *beginning) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), lfs.MaxPointer-len(*h))]...)
	return len(p), nil
}

// naming ends with Corrupt where what was read is not what it is named.
type naming struct {
	r    io.Reader
	md5  hash.Hash
	old  *dvccache.LegacySum // where it may have DVC 2's name
	want dvc.OID
}

func (n *naming) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	n.md5.Write(p[:k])
	if n.old != nil {
		_, _ = n.old.Write(p[:k])
	}
	if err == io.EOF {
		got := dvc.OID(hex.EncodeToString(n.md5.Sum(nil)))
		if got != n.want && (n.old == nil || n.old.OID() != n.want) {
			return k, fault.WithHint(fault.New(fault.Corrupt, "%s holds other bytes: %s", n.want, got), "push it anew from where it was added")
		}
	}
	return k, err
}

func (b *bringing) manifest(ctx context.Context, oid dvc.OID) (dvc.Tree, error) {
	r, err := b.open(ctx, oid)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, 1<<30))
	if err != nil {
		return nil, err
	}
	if sum := md5.Sum(raw); hex.EncodeToString(sum[:])+".dir" != string(oid) {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "%s holds other bytes", oid), "push it anew from where it was added")
	}
	return dvc.ParseTree(raw)
}

// all brings the files of a manifest, some side by side; equal ones once.
func (b *bringing) all(ctx context.Context, t dvc.Tree) (digest.Manifest, error) {
	out := make(digest.Manifest, len(t))
	var mu sync.Mutex
	done := map[dvc.OID]digest.File{}
	g, ctx := routine.WithContext(ctx)
	g.SetLimit(16)
	for i, f := range t {
		g.Start(func() error {
			mu.Lock()
			got, had := done[f.OID]
			mu.Unlock()
			if !had {
				var err error
				if got, err = b.one(ctx, f.OID); err != nil {
					return fmt.Errorf("%s: %w", f.Path, err)
				}
				mu.Lock()
				done[f.OID] = got
				mu.Unlock()
			}
			got.Path = f.Path
			out[i] = got
			return nil
		})
	}
	return out, g.Wait()
}
