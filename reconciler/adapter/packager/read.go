// The way back: a package as a registry gives it, of which nothing is believed before it is
// held against its digest.

package packager

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/modelpack"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

const (
	mostBundle  = 8 << 20 // bytes of a bundle
	mostBundles = 64      // that are read
)

// Read implements port.PackageReader.
func (p *packer) Read(ctx context.Context, at port.Registry, reference string) (found port.PackageFound, err error) {
	from, err := p.open(at)
	if err != nil {
		return found, err
	}
	name := "oci://" + at.Repository + " " + reference
	desc, raw, err := from.Manifest(ctx, reference)
	if err != nil {
		return found, err
	}
	index, err := modelpack.ReadIndex(raw)
	if err != nil {
		return found, fault.WithHint(fault.New(fault.Invalid, "%s: %w", name, err), "name a package by the digest that vishwa status prints, or by its tag")
	}
	found = port.PackageFound{Digest: digest.Digest(desc.Digest), Name: index.Name, Model: index.Model, Manifests: []digest.Digest{digest.Digest(desc.Digest)}}
	for _, m := range index.Manifests {
		found.Manifests = append(found.Manifests, digest.Digest(m.Digest))
	}
	_, raw, err = from.Manifest(ctx, index.Manifest.Digest.String())
	if err != nil {
		return found, err
	}
	layers, _, err := modelpack.ReadManifest(raw)
	if err != nil {
		return found, fault.WithHint(fault.New(fault.Corrupt, "%s: its manifest %s: %w", name, index.Manifest.Digest, err), "run vishwa apply: it sends what is missing or damaged again")
	}
	for _, l := range layers {
		found.Layers = append(found.Layers, port.PackageLayer{Digest: digest.Digest(l.Digest), Size: l.Size})
	}
	found.Evidence, err = bundles(ctx, from, desc)
	return found, err
}

// bundles reads the Sigstore bundles that refer to a manifest. What cannot be read is none: it
// may be anybody's.
func bundles(ctx context.Context, from *registry.Artifacts, subject ocispec.Descriptor) (out [][]byte, err error) {
	listed, err := from.Referrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	for _, l := range listed {
		// Some registries list the type of a manifest's configuration in place of its own.
		if !slices.Contains([]string{bundleType, ocispec.MediaTypeEmptyJSON, ""}, l.ArtifactType) || len(out) >= mostBundles {
			continue
		}
		raw, err := bundle(ctx, from, l)
		switch fault.Of(err) {
		case fault.Missing, fault.Corrupt, fault.Invalid:
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

func bundle(ctx context.Context, from *registry.Artifacts, l ocispec.Descriptor) ([]byte, error) {
	_, raw, err := from.Manifest(ctx, l.Digest.String())
	if err != nil {
		return nil, err
	}
	layers, _, err := modelpack.ReadManifest(raw)
	if err != nil || len(layers) != 1 || layers[0].MediaType != bundleType || layers[0].Size > mostBundle {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is no bundle", l.Digest), "somebody else attached it: remove it in the registry")
	}
	in, err := from.Blob(ctx, layers[0])
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, mostBundle+1))
}

// Unpack implements port.PackageReader.
func (p *packer) Unpack(ctx context.Context, at port.Registry, found port.PackageFound, put port.PutFile) error {
	from, err := p.open(at)
	if err != nil {
		return err
	}
	g, within := routine.WithContext(ctx)
	g.SetLimit(abreast)
	for _, l := range found.Layers {
		g.Start(func() error { return unpack(within, from, l, put) })
	}
	err = g.Wait()
	if err != nil && ctx.Err() != nil {
		return fault.New(fault.Cancelled, "pull %s: %w", at.Repository, context.Cause(ctx))
	}
	return err
}

func unpack(ctx context.Context, from *registry.Artifacts, l port.PackageLayer, put port.PutFile) error {
	in, err := from.Blob(ctx, ocispec.Descriptor{Digest: godigest.Digest(l.Digest), Size: l.Size})
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	err = modelpack.Unpack(io.TeeReader(in, sum), l.Size, func(path string, size int64, content io.Reader) error { return put(path, size, content) })
	if err == nil && digest.FromSum(sum.Sum(nil)) != l.Digest {
		err = fault.WithHint(fault.New(fault.Corrupt, "the bytes are not those of %s", l.Digest), "do not use them: remove the layer in the registry, then vishwa apply sends it again")
	}
	if err != nil {
		return fmt.Errorf("unpack oci://%s/%s: %w", from.Host(), from.Repository(), err)
	}
	return nil
}
