// The base of an image that is built: what it is for one platform, by the digest that is declared and by no tag.

package registry

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oci "oras.land/oras-go/v2/registry"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Base is an image that others are built over, of which no layer was fetched.
type Base struct {
	*Artifacts                      // where its layers are
	Digest     godigest.Digest      // of its manifest for the platform
	Image      ocispec.Image        // its configuration
	Layers     []ocispec.Descriptor // of the types of OCI
}

// OpenBase reads an image by digest, as it is for a platform such as linux/amd64. Where it is for others, the error is Missing.
func OpenBase(ctx context.Context, o Options, name, of string) (b Base, err error) {
	bare, sum, _ := strings.Cut(name, "@")
	ref, err := oci.ParseReference(fullName(bare))
	if d, wrong := digest.Parse(sum); err != nil || wrong != nil || string(d) != sum {
		return b, fault.WithHint(fault.New(fault.Invalid, "%q names no image by digest", name), "write it as registry.example.com/team/python:3.11@sha256:...; vishwa image pin looks a digest up")
	}
	at, err := imagesAt(o, ref)
	if err != nil {
		return b, err
	}
	b.Artifacts = &Artifacts{at}
	raw, kind, err := at.document(ctx, sum)
	if err != nil {
		return b, absent(err, name)
	}
	if kind == ocispec.MediaTypeImageIndex || kind == dockerIndex {
		if sum, err = at.of(raw, name, of); err != nil {
			return b, err
		}
		if raw, kind, err = at.document(ctx, sum); err != nil {
			return b, absent(err, name)
		}
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || kind != ocispec.MediaTypeImageManifest && kind != dockerManifest {
		return b, fault.WithHint(fault.New(fault.Corrupt, "%s: its manifest cannot be read", name), "push the image again, or name another")
	}
	b.Digest = godigest.FromBytes(raw)
	if err := at.configuration(ctx, m.Config, sum, &b.Image); err != nil {
		return b, err
	}
	if is := platform(b.Image.Platform); is != of {
		has := []string{is}
		if !platformShape(is) {
			has = nil
		}
		return b, fault.WithHint(fault.New(fault.Missing, "%s is for %s, and an image for %s is to be built over it", name, orNothing(has), of), "name an image that is built for %s", of)
	}
	b.Layers, err = layersOf(m, b.Image, name)
	return b, err
}

// of is what an index has for a platform.
func (b *repository) of(raw []byte, name, of string) (string, error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return "", fault.WithHint(fault.New(fault.Corrupt, "%s: its index cannot be read", name), "push the image again, or name another")
	}
	var has []string
	for _, m := range index.Manifests {
		if m.Platform == nil || m.Digest.Validate() != nil {
			continue
		}
		if platform(*m.Platform) == of {
			return m.Digest.String(), nil
		}
		if p := platform(*m.Platform); platformShape(p) && !slices.Contains(has, p) {
			has = append(has, p)
		}
	}
	slices.Sort(has)
	return "", fault.WithHint(fault.New(fault.Missing, "%s has nothing for %s: it is for %s", name, of, orNothing(has)), "name an image that is built for %s", of)
}

// layerTypes are those of layers, by what Docker calls them: OCI's are the same bytes.
var layerTypes = map[string]string{
	ocispec.MediaTypeImageLayer: ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip: ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd: ocispec.MediaTypeImageLayerZstd,
	"application/vnd.docker.image.rootfs.diff.tar": ocispec.MediaTypeImageLayer, "application/vnd.docker.image.rootfs.diff.tar.gzip": ocispec.MediaTypeImageLayerGzip,
}

// layersOf are a manifest's layers, each of which anybody may keep.
func layersOf(m ocispec.Manifest, image ocispec.Image, name string) (out []ocispec.Descriptor, err error) {
	for _, l := range m.Layers {
		kind := layerTypes[l.MediaType]
		if kind == "" || len(l.URLs) > 0 {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s has a layer of the type %.100q, over which nothing can be built", name, l.MediaType), "name an image whose layers are tar, and its own")
		}
		if l.Digest.Validate() != nil || l.Digest.Algorithm() != godigest.SHA256 || l.Size <= 0 {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "%s has a layer that is none", name), "push the image again, or name another")
		}
		out = append(out, ocispec.Descriptor{MediaType: kind, Digest: l.Digest, Size: l.Size})
	}
	if len(out) == 0 || len(out) != len(image.RootFS.DiffIDs) || len(out) > mostBase {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s has %s, and its configuration names %d; a base has 1 to %d", name, plural.Of(len(out), "layer"), len(image.RootFS.DiffIDs), mostBase), "name another image")
	}
	for _, d := range image.RootFS.DiffIDs {
		if d.Validate() != nil {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: its configuration names a layer that is none", name), "push the image again, or name another")
		}
	}
	return out, nil
}

const mostBase = 100 // layers
