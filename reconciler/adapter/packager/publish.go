// What is attached to a package, and the tags that name it.

package packager

import (
	"context"
	"fmt"
	"slices"

	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// How cosign attaches a Sigstore bundle: https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md
const (
	bundleType  = "application/vnd.dev.sigstore.bundle.v0.3+json"
	contentNote = "dev.sigstore.bundle.content"
	typeNote    = "dev.sigstore.bundle.predicateType"
)

// Publish implements port.Packager. What is attached refers to the index and to each manifest
// that it names, so that it is found by whichever digest somebody has.
func (p *packer) Publish(ctx context.Context, at port.Registry, packed port.Packed, evidence [][]byte, tags port.PackageTags) (port.Packed, error) {
	to, err := p.open(at)
	if err != nil {
		return packed, err
	}
	subjects, index, err := subjectsOf(ctx, to, packed)
	if err != nil {
		return packed, err
	}
	if err := to.PushBytes(ctx, ocispec.DescriptorEmptyJSON.Data); err != nil {
		return packed, err
	}
	packed.Evidence = nil
	for _, b := range evidence {
		e, err := attach(ctx, to, b, subjects)
		if err != nil {
			return packed, err
		}
		packed.Evidence = append(packed.Evidence, e)
	}
	for _, s := range subjects {
		if err := attached(ctx, to, s, packed.Evidence); err != nil {
			return packed, err
		}
	}
	from := append(slices.Clone(tags.From), packed.Digest)
	packed.Tags = append([]string{OwnTag(packed.Digest)}, tags.Names...)
	for i, tag := range packed.Tags {
		if err := move(ctx, to, tag, index, from, i == 0); err != nil {
			return packed, err
		}
	}
	return packed, nil
}

type document struct {
	ocispec.Descriptor
	raw []byte
}

// subjectsOf are the manifests of a package, as the registry has them.
func subjectsOf(ctx context.Context, to *registry.Artifacts, p port.Packed) (out []ocispec.Descriptor, index document, err error) {
	for i, d := range p.Manifests() {
		desc, raw, err := to.Manifest(ctx, string(d))
		if err != nil {
			return nil, index, err
		}
		if i == 0 {
			index = document{desc, raw}
		}
		out = append(out, ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size})
	}
	return out, index, nil
}

// attach keeps a bundle, and a manifest of it that refers to each subject. The same bundle has
// the same manifests.
func attach(ctx context.Context, to *registry.Artifacts, bundle []byte, subjects []ocispec.Descriptor) (e port.Evidence, err error) {
	kind, err := attest.PredicateOf(bundle)
	if err != nil {
		return e, fault.New(fault.Invalid, "attach to %s: %w", to.Repository(), err)
	}
	e = port.Evidence{Type: kind, Bundle: digest.Of(bundle)}
	if err := to.PushBytes(ctx, bundle); err != nil {
		return e, err
	}
	for _, s := range subjects {
		raw, err := digest.Canonical(ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: bundleType,
			Config:  ocispec.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: ocispec.DescriptorEmptyJSON.Digest, Size: ocispec.DescriptorEmptyJSON.Size},
			Layers:  []ocispec.Descriptor{{MediaType: bundleType, Digest: godigest.Digest(e.Bundle), Size: int64(len(bundle))}},
			Subject: &s, Annotations: map[string]string{contentNote: "dsse-envelope", typeNote: kind},
		})
		if err != nil {
			return e, fault.New(fault.Internal, "attach to %s: %w", to.Repository(), err)
		}
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: godigest.FromBytes(raw), Size: int64(len(raw))}
		if err := to.PushManifest(ctx, d, raw, ""); err != nil {
			return e, err
		}
		e.Attached = append(e.Attached, digest.Digest(d.Digest))
	}
	return e, nil
}

// attached tells whether the registry lists what was attached to a subject: else nobody who
// verifies it finds it.
func attached(ctx context.Context, to *registry.Artifacts, subject ocispec.Descriptor, evidence []port.Evidence) error {
	listed, err := to.Referrers(ctx, subject)
	if err != nil {
		return err
	}
	for _, e := range evidence {
		if !slices.ContainsFunc(listed, func(d ocispec.Descriptor) bool { return slices.Contains(e.Attached, digest.Digest(d.Digest)) }) {
			return fault.WithHint(fault.New(fault.Transient, "%s/%s: the registry does not list what was attached to %s", to.Host(), to.Repository(), subject.Digest.Encoded()[:12]),
				"run the command again; if it stays so, the registry has no referrers as OCI 1.1 says, nor lets their tag move")
		}
	}
	return nil
}

// move lets a tag name index, where it names nothing, or what it may be moved from.
func move(ctx context.Context, to *registry.Artifacts, tag string, index document, from []digest.Digest, own bool) error {
	d, err := to.Resolve(ctx, tag)
	switch {
	case err != nil && fault.Of(err) != fault.Missing:
		return err
	case err == nil && d.Digest == index.Digest:
		return nil
	case err == nil && (own || !slices.Contains(from, digest.Digest(d.Digest))):
		return fault.WithHint(fault.New(fault.Conflict, "%s/%s:%s names %s, which is no package of this declaration", to.Host(), to.Repository(), tag, d.Digest),
			"see who moved the tag; remove it in the registry if it is to move, or take it out of spec.oci.tags")
	}
	if err := to.PushManifest(ctx, index.Descriptor, index.raw, tag); err != nil {
		return err
	}
	if d, err = to.Resolve(ctx, tag); err == nil && d.Digest != index.Digest {
		err = fault.WithHint(fault.New(fault.Conflict, "%s/%s:%s was moved to %s by somebody else meanwhile", to.Host(), to.Repository(), tag, d.Digest), "see who else pushes there, then run the command again")
	}
	if err != nil {
		return fmt.Errorf("look at the tag again: %w", err)
	}
	return nil
}
