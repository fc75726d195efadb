// Package packager keeps packages of released models in container registries: straight from
// the store, without a copy on this machine.
package packager

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/modelpack"
	"github.com/vishwaops/vishwa/reconciler/machine/alone"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	abreast = 4 // layers that are on their way at once
	rounds  = 3 // in which what a registry lost is sent again
)

// Options are what a packager is made of.
type Options struct {
	Env   port.Env
	Store port.Store           // that has what is packed
	Envs  sandbox.Environments // for images that serve
}

// OCI packs for registries.
func OCI(o Options) port.Packager { return &packer{o.Env, o.Store, o.Envs} }

// Reader reads packages back.
func Reader(env port.Env) port.PackageReader { return &packer{env: env} }

type packer struct {
	env   port.Env
	store port.Store
	envs  sandbox.Environments
}

// Variables are those of the environment that say how to sign in to a registry.
var Variables = registry.Variables

func (p *packer) open(at port.Registry) (*registry.Artifacts, error) {
	if err := p.env.MayAsk("oci://" + at.Repository); err != nil {
		return nil, err
	}
	return registry.OpenArtifacts(registry.Options{PlainHTTP: at.PlainHTTP, Lookup: p.env.Lookup}, at.Repository)
}

// Push implements port.Packager. A registry whose garbage collection runs meanwhile may lose
// what it was sent before a manifest names it: it is sent again.
func (p *packer) Push(ctx context.Context, pkg port.Package) (port.Packed, error) {
	to, err := p.open(pkg.At)
	if err != nil {
		return port.Packed{}, err
	}
	layers, err := layersOf(pkg)
	if err != nil {
		return port.Packed{}, err
	}
	// What an earlier one left that was killed goes, also where this package has no environment.
	if err := alone.Sweep(ctx, imagesIn(p.envs), environments); err != nil {
		if ctx.Err() != nil {
			return port.Packed{}, err
		}
		if p.env.Log != nil {
			p.env.Log.WarnContext(ctx, "what an earlier package left could not be removed", "error", err)
		}
	}
	s := sending{packer: p, to: to, pkg: pkg, known: map[digest.Digest][]port.PackageLayer{}}
	for _, l := range pkg.Known {
		s.known[l.Content] = append(s.known[l.Content], l)
	}
	for _, l := range layers {
		s.parts = append(s.parts, s.modelPart(l))
	}
	if pkg.Image != nil {
		if s.serves, err = s.prepare(ctx, len(layers)); err != nil {
			return port.Packed{}, fmt.Errorf("build the image that serves %s: %w", pkg.Name, err)
		}
		defer s.serves.close()
	}
	for round := 1; ; round++ {
		packed, err := s.all(ctx, layers)
		if err == nil || fault.Of(err) != fault.Transient || !registry.Lost(err) || round == rounds {
			return packed, err
		}
	}
}

func cause(err error) error {
	if err == nil {
		return fmt.Errorf("it is not a folder, or not the one that its digest names")
	}
	return err
}

// sending is a package on its way.
type sending struct {
	*packer
	to     *registry.Artifacts
	pkg    port.Package
	parts  []part   // of the model, and then of the image that serves it
	serves *serving // nil: there is none

	mu    sync.Mutex
	known map[digest.Digest][]port.PackageLayer // by what is in them
}

func (s *sending) report(format string, args ...any) {
	if s.pkg.Tell != nil {
		s.pkg.Tell(fmt.Sprintf(format, args...))
	}
}

// part is a layer to be sent.
type part struct {
	title   string        // to people
	content digest.Digest // names what is in it
	digest  digest.Digest // where it is known before
	bytes   func() (int64, error)
	write   func(ctx context.Context, w io.Writer) error
}

func (s *sending) modelPart(l modelpack.Layer) part {
	return part{title: title(l), content: l.Content(), bytes: l.Bytes, write: func(ctx context.Context, w io.Writer) error {
		return l.Write(w, func(f digest.File) (io.ReadCloser, error) { return s.kept(ctx, f) })
	}}
}

// kept opens a file of the store.
func (s *sending) kept(ctx context.Context, f digest.File) (io.ReadCloser, error) {
	in, err := s.store.Get(ctx, f.Digest)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", f.Path, s.pkg.Name, err)
	}
	return in, nil
}

// all sends the layers side by side, and then what names them.
func (s *sending) all(ctx context.Context, layers []modelpack.Layer) (port.Packed, error) {
	sent := make([]modelpack.Sent, len(s.parts))
	out := port.Packed{Repository: s.pkg.At.Repository, Layers: make([]port.PackageLayer, len(s.parts))}
	g, within := routine.WithContext(ctx)
	g.SetLimit(abreast)
	for i, l := range s.parts {
		g.Start(func() (err error) {
			out.Layers[i], err = s.layer(within, l)
			sent[i] = modelpack.Sent{Digest: out.Layers[i].Digest, Size: out.Layers[i].Size}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			err = fault.New(fault.Cancelled, "push %s: %w", s.pkg.At.Repository, context.Cause(ctx))
		}
		return out, err
	}
	contents := modelpack.Contents{Name: s.pkg.Name, Model: s.pkg.Model.Digest, Layers: layers, Sent: sent[:len(layers)]}
	if s.serves != nil {
		contents.Serving = s.serves.image(sent[len(layers):])
	}
	d, err := modelpack.Assemble(contents)
	if err != nil {
		return out, fault.New(fault.Internal, "assemble the package of %s: %w", s.pkg.Name, err)
	}
	for _, c := range d.Configs {
		if err := s.to.PushBytes(ctx, c.Raw); err != nil {
			return out, err
		}
	}
	for _, m := range append(slices.Clone(d.Manifests), d.Index) {
		if err := s.to.PushManifest(ctx, m.Descriptor, m.Raw, ""); err != nil {
			s.forget()
			return out, err
		}
	}
	if err := named(&out, d, s.pkg.Image); err != nil {
		return out, fault.New(fault.Internal, "assemble the package of %s: %w", s.pkg.Name, err)
	}
	return out, s.whole(ctx, out)
}

// named notes the digests of a package's documents.
func named(out *port.Packed, d modelpack.Documents, image *port.ServingImage) error {
	out.Digest, out.ModelPack = digest.Digest(d.Index.Digest), digest.Digest(d.Manifests[0].Digest)
	index, err := modelpack.ReadIndex(d.Index.Raw)
	if err != nil {
		return err
	}
	for _, m := range index.Manifests {
		switch m.Digest {
		case index.Manifest.Digest:
		case index.Serving.Digest:
			out.Serving = &port.PackedImage{Platform: image.Platform, Digest: digest.Digest(m.Digest), Base: image.Base}
		default:
			out.Images = append(out.Images, m.Platform.OS+"/"+m.Platform.Architecture+"@"+m.Digest.String())
		}
	}
	return nil
}

// whole asks the registry for what it was sent: what it answers is what others will get.
func (s *sending) whole(ctx context.Context, out port.Packed) error {
	lacks, err := inspect(ctx, s.to, out)
	if err != nil {
		return err
	}
	if lacks != "" {
		s.forget()
		return registry.LostBlob(fault.WithHint(fault.New(fault.Transient, "%s: after it was pushed, %s", s.pkg.At.Repository, lacks),
			"run the command again; if it stays so, see whether the registry's garbage collection runs while bytes are sent"))
	}
	return nil
}

// forget has every layer looked for anew.
func (s *sending) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

// layer has the registry hold a layer: where it was sent before, it is looked for, and taken
// over from another repository of the same registry; else it is read from the store and sent.
func (s *sending) layer(ctx context.Context, l part) (port.PackageLayer, error) {
	s.mu.Lock()
	known := s.known[l.content]
	s.mu.Unlock()
	out := port.PackageLayer{Content: l.content}
	for _, k := range known {
		there, err := s.to.HasBlob(ctx, godigest.Digest(k.Digest), k.Size)
		if err != nil {
			return out, err
		}
		host, from, _ := strings.Cut(k.Repository, "/")
		if !there && host == s.to.Host() && from != s.to.Repository() && from != "" {
			if there, err = s.to.Mount(ctx, godigest.Digest(k.Digest), from); err != nil {
				return out, err
			}
			if there {
				s.report("took %s over from %s", l.title, k.Repository)
			}
		}
		if there {
			out.Digest, out.Size = k.Digest, k.Size
			return out, nil
		}
	}
	d, err := s.stream(ctx, l)
	if err != nil {
		return out, err
	}
	out.Digest, out.Size = digest.Digest(d.Digest), d.Size
	s.mu.Lock()
	s.known[l.content] = append(s.known[l.content], port.PackageLayer{Content: l.content, Digest: out.Digest, Size: out.Size, Repository: s.pkg.At.Repository})
	s.mu.Unlock()
	return out, nil
}

func (s *sending) stream(ctx context.Context, l part) (ocispec.Descriptor, error) {
	size, err := l.bytes()
	if err != nil {
		return ocispec.Descriptor{}, fault.New(fault.Invalid, "pack %s: %w", l.title, err)
	}
	d, err := s.to.Stream(ctx, l.title, size, func(w io.Writer) error { return l.write(ctx, w) })
	if err == nil && l.digest != "" && digest.Digest(d.Digest) != l.digest {
		err = fault.WithHint(fault.New(fault.Corrupt, "%s is %s, and its image names %s", l.title, digest.Digest(d.Digest).Short(), l.digest.Short()), "push the base anew, or name another")
	}
	if err != nil {
		return d, err
	}
	s.report("sent %s, %d bytes", l.title, d.Size)
	return d, nil
}

// title is how a layer is called to people.
func title(l modelpack.Layer) string {
	if at := l.Path(); at != "" {
		return at
	}
	return fmt.Sprintf("%s (%s)", plural.Of(len(l.Files), "file"), l.Kind)
}

// Inspect implements port.Packager.
func (p *packer) Inspect(ctx context.Context, at port.Registry, packed port.Packed, tags []string) (state port.PackageState, err error) {
	to, err := p.open(at)
	if err != nil {
		return state, err
	}
	if state.Lacks, err = inspect(ctx, to, packed); err != nil {
		return state, err
	}
	state.Elsewhere = map[string]digest.Digest{}
	for _, tag := range append([]string{OwnTag(packed.Digest)}, tags...) {
		d, err := to.Resolve(ctx, tag)
		switch {
		case fault.Of(err) == fault.Missing && err != nil:
			state.Elsewhere[tag] = ""
		case err != nil:
			return state, err
		case digest.Digest(d.Digest) != packed.Digest:
			state.Elsewhere[tag] = digest.Digest(d.Digest)
		}
	}
	return state, nil
}

// OwnTag is the tag that a package has for itself.
func OwnTag(d digest.Digest) string { return schemas.OwnTag + d.Hex()[:16] }

// inspect tells what of a package is not there.
func inspect(ctx context.Context, to *registry.Artifacts, p port.Packed) (lacks string, err error) {
	var mu sync.Mutex
	g, within := routine.WithContext(ctx)
	g.SetLimit(abreast)
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if lacks == "" {
			lacks = fmt.Sprintf(format, args...)
		}
	}
	manifests := p.Manifests()
	for _, e := range p.Evidence {
		manifests = append(manifests, e.Attached...)
	}
	for _, d := range manifests {
		g.Start(func() error {
			got, err := to.Resolve(within, string(d))
			switch {
			case err != nil && fault.Of(err) == fault.Missing:
				note("the registry does not have its manifest %s", d.Short())
			case err != nil:
				return err
			case digest.Digest(got.Digest) != d:
				note("the registry has another manifest under %s", d.Short())
			}
			return nil
		})
	}
	for _, l := range p.Layers {
		g.Start(func() error {
			there, err := to.HasBlob(within, godigest.Digest(l.Digest), l.Size)
			if err == nil && !there {
				note("the registry does not have its layer %s", l.Digest.Short())
			}
			return err
		})
	}
	err = g.Wait()
	if err != nil && ctx.Err() != nil {
		err = fault.New(fault.Cancelled, "look at %s: %w", p.Repository, context.Cause(ctx))
	}
	return lacks, err
}
