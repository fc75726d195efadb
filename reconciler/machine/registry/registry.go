// Package registry keeps objects by name in an OCI registry, through oras-go: for teams
// that have one and no S3. An object is a tag, and its manifest names its bytes as
// layers, so that a registry's garbage collection keeps them. See
// docs/decisions/013-objects-in-a-registry.md.
package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	oci "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/vishwaops/vishwa/reconciler/fault"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Options say which repository of which registry, and how it is asked.
type Options struct {
	URL string // oci://host/repository
	// PlainHTTP asks without TLS; nil: on this machine's own addresses. Without TLS,
	// credentials go to no other machine.
	PlainHTTP *bool

	Lookup    func(name string) (string, bool) // the caller's variables; see Variables
	Anonymous bool                             // asks without credentials
	Jobs      int                              // requests under way at once; zero is 16

	pause time.Duration // before a second try; zero is usual
	pace  dialling.Pace // zero is steady
	least int64         // bytes of a part; zero is leastPart
}

// Open opens a repository of a registry. Nothing is asked of it yet.
func Open(o Options) (port.Bucket, error) {
	address, ok := strings.CutPrefix(o.URL, "oci://")
	ref, err := oci.ParseReference(address)
	if !ok || err != nil || ref.Reference != "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q is not the address of a repository in a registry", o.URL), "write it as oci://registry.example.com/team/vishwa, without a tag")
	}
	host, err := url.Parse("//" + ref.Host())
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open %s: the host cannot be read", o.URL), "write it as oci://registry.example.com/team/vishwa, without a tag")
	}
	at := server{host: ref.Host(), name: ref.Registry, loopback: dialling.Loopback(host.Hostname())}
	at.plain = o.PlainHTTP == nil && at.loopback || o.PlainHTTP != nil && *o.PlainHTTP
	c, err := o.client(at)
	if err != nil {
		return nil, err
	}
	repo := &remote.Repository{
		Client: c, Reference: ref, PlainHTTP: at.plain, ManifestMediaTypes: []string{ocispec.MediaTypeImageManifest},
		TagListPageSize: 1000, TagListMaxPages: 10_000, MaxMetadataBytes: mostManifest + 1, SkipReferrersGC: true,
	}
	_ = repo.SetReferrersCapability(true) // none of ours refers to another: it need not be asked
	return &repository{repo: repo, at: at, wait: o.wait(), least: cmp.Or(o.least, leastPart)}, nil
}

type repository struct {
	repo     *remote.Repository
	at       server
	wait     time.Duration
	least    int64
	empty    atomic.Bool // emptyPart is there
	unsorted atomic.Bool // tags are listed in an order of the registry's own
}

func (b *repository) name(key string) string { return "oci://" + b.repo.Reference.String() + " " + key }

// manifest reads what the tag of key names now.
func (b *repository) manifest(ctx context.Context, key string) (o object, tag godigest.Digest, err error) {
	name, err := tagOf(key)
	if err != nil {
		return o, "", err
	}
	var raw []byte
	err = b.tried(ctx, key, func() error {
		desc, body, err := b.repo.Manifests().FetchReference(ctx, name)
		if err != nil {
			return err
		}
		defer body.Close()
		if desc.MediaType != ocispec.MediaTypeImageManifest {
			return fault.WithHint(fault.New(fault.Invalid, "what answers is no registry, or keeps no OCI manifests"), "correct the address, or ask who runs it")
		}
		if raw, err = io.ReadAll(io.LimitReader(body, mostManifest+1)); err != nil {
			return err
		}
		if tag = godigest.FromBytes(raw); len(raw) <= mostManifest && tag != desc.Digest {
			return fault.WithHint(fault.New(fault.Corrupt, "its manifest is not what the registry says that it is"), "look for a proxy that changes what passes, and ask who runs the registry")
		}
		return nil
	})
	if err != nil {
		return o, "", err
	}
	if o, err = readObject(key, raw); err != nil {
		return o, "", fault.WithHint(b.classed(ctx, key, err), "remove the tag %s; then restore it from a copy, or run vishwa apply, which makes it again where a step needs it", name)
	}
	return o, tag, nil
}

// tried asks again where an answer was cut off.
func (b *repository) tried(ctx context.Context, key string, ask func() error) error {
	for try := 1; ; try++ {
		err := b.classed(ctx, key, ask())
		if err == nil || try == tries || fault.Of(err) != fault.Transient || !errors.Is(err, errCut) {
			return err
		}
		if err := b.rest(ctx, key, try); err != nil {
			return err
		}
	}
}

// rest waits before a further try.
func (b *repository) rest(ctx context.Context, key string, try int) error {
	select {
	case <-time.After(b.wait << (try - 1)):
		return nil
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "%s: %w", b.name(key), ctx.Err())
	}
}

// Stat asks for the parts, too: a registry whose garbage collection ran beside a Put may
// have the manifest alone, and then the object is to be put again.
func (b *repository) Stat(ctx context.Context, key string) (port.Object, error) {
	o, tag, err := b.manifest(ctx, key)
	if err != nil {
		return port.Object{}, err
	}
	g, within := routine.WithContext(ctx)
	g.SetLimit(abreast)
	for _, l := range o.layers {
		g.Start(func() error {
			there, err := b.has(within, key, l)
			if err == nil && !there {
				err = fault.WithHint(fault.New(fault.Missing, "%s: a part of it is missing", b.name(key)), "the registry has deleted parts that a manifest names: keep its garbage collection from them, and put the object there again")
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return port.Object{}, err
	}
	return port.Object{Key: key, Size: o.size, ETag: tag.String()}, nil
}

// has tells whether the registry has a part.
func (b *repository) has(ctx context.Context, key string, part ocispec.Descriptor) (bool, error) {
	got, err := b.repo.Blobs().Resolve(ctx, part.Digest.String())
	switch {
	case err == nil:
		return got.Size == part.Size, nil
	case errors.Is(err, errdef.ErrNotFound):
		return false, nil
	}
	return false, b.classed(ctx, key, err)
}

// List asks from shortly before the first tag that it can be on, and for no more than it
// yields. A registry whose tags come in another order is listed as a whole.
func (b *repository) List(ctx context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		l := listing{b: b, ctx: ctx, prefix: prefix, from: tagPrefix + spelt(prefix), whole: b.unsorted.Load(), yield: yield}
		last := ""
		if !l.whole && len(l.from) <= longestTag {
			last = l.from[:len(l.from)-1] // after it comes from itself
		}
		err := b.repo.Tags(ctx, last, l.page)
		if errors.Is(err, errUnsorted) || status(err) == http.StatusBadRequest && last != "" { // its places in the list are no tags
			l.whole, l.last = true, ""
			err = b.repo.Tags(ctx, "", l.page)
		}
		switch {
		case errors.Is(err, errListed):
		case err != nil && (status(err) != http.StatusNotFound || l.any):
			yield(port.Object{}, b.classed(ctx, prefix, err))
		case ctx.Err() != nil:
			yield(port.Object{}, fault.New(fault.Cancelled, "list %s: %w", b.name(prefix), ctx.Err()))
		case l.whole:
			slices.Sort(l.keys)
			for _, k := range l.keys {
				if !l.yieldObject(k) {
					return
				}
			}
		}
	}
}

const (
	tries   = 4                      // in a row that bring nothing, before it is given up
	pause   = 100 * time.Millisecond // before the second, doubled before each further one
	abreast = 4                      // parts of one object that are under way at once
)

var (
	errListed   = errors.New("that was all")      // ends a listing that has all it wants
	errUnsorted = errors.New("it is in no order") // and one that is to begin anew
)

type listing struct {
	b            *repository
	ctx          context.Context
	prefix, from string
	whole        bool
	keys         []string // where whole
	last         string   // tag that was seen
	any          bool     // one was told of
	yield        func(port.Object, error) bool
}

// page takes a page of tags up.
func (l *listing) page(tags []string) error {
	var ours []string
	for _, t := range tags {
		if _, is := keyOf(t); is {
			ours = append(ours, t)
		}
	}
	sorted := slices.IsSorted(ours) && (len(ours) == 0 || ours[0] > l.last)
	if !l.whole && !sorted {
		l.b.unsorted.Store(true)
		if l.any {
			return fault.WithHint(fault.New(fault.Transient, "the registry lists tags in no order"), "try again: from now on they are sorted here")
		}
		return errUnsorted
	}
	for _, t := range ours {
		l.last = t
		key, _ := keyOf(t)
		switch {
		case !strings.HasPrefix(key, l.prefix):
			if !l.whole && t > l.from {
				return errListed
			}
		case l.whole:
			l.keys = append(l.keys, key)
		case !l.yieldObject(key):
			return errListed
		}
	}
	return nil
}

// yieldObject yields an object, but for one that was deleted meanwhile.
func (l *listing) yieldObject(key string) bool {
	o, tag, err := l.b.manifest(l.ctx, key)
	if err != nil && fault.Of(err) == fault.Missing {
		return true
	}
	l.any = true
	if err != nil {
		l.yield(port.Object{}, err)
		return false
	}
	return l.yield(port.Object{Key: key, Size: o.size, ETag: tag.String()}, nil)
}

func (b *repository) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	tag, err := tagOf(key)
	if err != nil {
		return port.Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return port.Object{}, fault.New(fault.Cancelled, "put %s: %w", b.name(key), err)
	}
	for try := 1; ; try++ {
		// What a garbage collection took before the manifest named it is sent again.
		layers, err := b.send(ctx, key, r, size, try > 1)
		if err != nil {
			return port.Object{}, err
		}
		raw, err := object{size, layers}.manifest(key)
		if err == nil && len(raw) > mostManifest {
			err = fault.WithHint(fault.New(fault.Invalid, "it is too large for a registry"), "keep it in a store of files or S3: spec.store in vishwa.yaml")
		}
		if err != nil {
			return port.Object{}, fmt.Errorf("%s: %w", b.name(key), err)
		}
		desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: godigest.FromBytes(raw), Size: int64(len(raw))}
		err = b.repo.Manifests().PushReference(ctx, desc, bytes.NewReader(raw), tag)
		if err == nil {
			return port.Object{Key: key, Size: size, ETag: desc.Digest.String()}, nil
		}
		if try == tries || !lost(err) {
			return port.Object{}, b.classed(ctx, key, err)
		}
	}
}

// Delete takes manifests away; their bytes go with the registry's next garbage collection.
func (b *repository) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		tag, err := tagOf(key)
		if err != nil {
			return err
		}
		desc, err := b.repo.Manifests().Resolve(ctx, tag)
		if err == nil {
			err = b.repo.Manifests().Delete(ctx, desc)
		}
		if err == nil || errors.Is(err, errdef.ErrNotFound) {
			continue
		}
		if status(err) == http.StatusMethodNotAllowed || status(err) == http.StatusNotImplemented {
			return fault.WithHint(fault.New(fault.Denied, "delete %s: the registry deletes nothing", b.name(key)), "allow it in the registry's configuration (of distribution: REGISTRY_STORAGE_DELETE_ENABLED=true)")
		}
		return b.classed(ctx, key, err)
	}
	return nil
}
