// Container images: what a tag names now. Nothing of an image is fetched but what says for
// which machines it is.

package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oci "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

// Image is a container image in a registry.
type Image struct {
	Name      string        // as it was asked for, without a digest: registry.example.com/team/base:1.0
	Digest    digest.Digest // of its index, where it is for several machines, or else of its manifest
	Platforms []string      // such as linux/amd64, sorted
}

// String is its name by digest.
func (i Image) String() string { return i.Name + "@" + string(i.Digest) }

// Media types of images, of OCI and of Docker.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	mostConfig     = 4 << 20
)

var imageTypes = []string{ocispec.MediaTypeImageIndex, dockerIndex, ocispec.MediaTypeImageManifest, dockerManifest}

// Place is the address of the repository that name is of; "" where it is no image's.
func Place(name string) string {
	bare, _, _ := strings.Cut(name, "@")
	ref, err := oci.ParseReference(fullName(bare))
	if err != nil {
		return ""
	}
	return "oci://" + ref.Registry + "/" + ref.Repository
}

// Resolve asks a registry what name names: an image with a tag, without one the tag latest,
// or one by digest, which is looked whether it is there. Where platforms are given, it is
// for each of them.
func Resolve(ctx context.Context, o Options, name string, platforms ...string) (Image, error) {
	bare, sum, pinned := strings.Cut(name, "@")
	ref, err := oci.ParseReference(fullName(bare))
	if err != nil || ref.Repository == "" {
		return Image{}, fault.WithHint(fault.New(fault.Invalid, "%q is not the name of an image", name), "write it as registry.example.com/team/base:1.0")
	}
	asked := ref.Reference
	switch d, err := digest.Parse(sum); {
	case pinned && (err != nil || string(d) != sum):
		return Image{}, fault.WithHint(fault.New(fault.Invalid, "%q has no digest that can be read", name), "write its tag alone, and its digest is looked up")
	case pinned:
		asked = sum
	case asked == "":
		asked = "latest"
		bare += ":latest" // so that it is seen where it moves
	}
	b, err := imagesAt(o, ref)
	if err != nil {
		return Image{}, err
	}
	im := Image{Name: bare}
	raw, kind, err := b.document(ctx, asked)
	if err != nil {
		return Image{}, absent(err, name)
	}
	im.Digest = digest.Of(raw)
	if im.Platforms, err = b.platforms(ctx, kind, raw, asked); err != nil {
		return Image{}, err
	}
	for _, want := range platforms {
		if !slices.Contains(im.Platforms, want) {
			return Image{}, fault.WithHint(fault.New(fault.Missing, "%s has nothing for %s: it is for %s", name, want, orNothing(im.Platforms)), "name an image that is built for %s, or another platform", want)
		}
	}
	return im, nil
}

func orNothing(platforms []string) string {
	if len(platforms) == 0 {
		return "no platform that it names"
	}
	return strings.Join(platforms, ", ")
}

// absent says what to do about an image that is not there.
func absent(err error, name string) error {
	if fault.Of(err) != fault.Missing {
		return err
	}
	return fault.WithHint(err, "correct the name or the tag of %s, or push it there", name)
}

// fullName is name with the registry and the folder that Docker takes it to have.
func fullName(name string) string {
	host, _, path := strings.Cut(name, "/")
	switch {
	case !path:
		return "docker.io/library/" + name
	case strings.ContainsAny(host, ".:") || host == "localhost":
		return name
	}
	return "docker.io/" + name
}

// imagesAt is the repository of a registry that ref names, to read images of.
func imagesAt(o Options, ref oci.Reference) (*repository, error) {
	host, err := url.Parse("//" + ref.Host())
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s: the host cannot be read", ref.Registry), "write an image as registry.example.com/team/name@sha256:...")
	}
	at := server{host: ref.Host(), name: ref.Registry, loopback: dial.Loopback(host.Hostname())}
	at.plain = o.PlainHTTP == nil && at.loopback || o.PlainHTTP != nil && *o.PlainHTTP
	c, err := o.client(at)
	if err != nil {
		return nil, err
	}
	ref.Reference = ""
	repo := &remote.Repository{Client: c, Reference: ref, PlainHTTP: at.plain, ManifestMediaTypes: imageTypes, MaxMetadataBytes: mostManifest + 1, SkipReferrersGC: true}
	return &repository{repo: repo, at: at, wait: o.wait()}, nil
}

// document reads a manifest or an index, and holds it against its digest.
func (b *repository) document(ctx context.Context, asked string) (raw []byte, kind string, err error) {
	err = b.tried(ctx, asked, func() error {
		desc, body, err := b.repo.Manifests().FetchReference(ctx, asked)
		if err != nil {
			return err
		}
		defer body.Close()
		if kind = desc.MediaType; !slices.Contains(imageTypes, kind) {
			return fault.WithHint(fault.New(fault.Invalid, "what answers is no registry, or this is no image"), "correct the name, or ask who runs the registry")
		}
		if raw, err = io.ReadAll(io.LimitReader(body, mostManifest+1)); err != nil {
			return err
		}
		if len(raw) > mostManifest {
			return fault.WithHint(fault.New(fault.Corrupt, "its manifest is larger than %d MiB", mostManifest>>20), "name another image, or ask who runs the registry")
		}
		is := godigest.FromBytes(raw)
		if is != desc.Digest || strings.HasPrefix(asked, "sha256:") && string(is) != asked {
			return fault.WithHint(fault.New(fault.Corrupt, "its manifest is not what the registry says that it is"), "do not use this image: ask who runs the registry, and look for a proxy that changes what passes")
		}
		return nil
	})
	return raw, kind, err
}

// platforms are those that an index lists, or that of a manifest's configuration.
func (b *repository) platforms(ctx context.Context, kind string, raw []byte, asked string) (out []string, err error) {
	if kind == ocispec.MediaTypeImageIndex || kind == dockerIndex {
		var index ocispec.Index
		if err := json.Unmarshal(raw, &index); err != nil {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: its index cannot be read", b.name(asked)), "push the image again, or name another")
		}
		for _, m := range index.Manifests {
			if m.Platform != nil {
				out = append(out, platform(*m.Platform))
			}
		}
	} else {
		var manifest ocispec.Manifest
		if err := json.Unmarshal(raw, &manifest); err != nil {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: its manifest cannot be read", b.name(asked)), "push the image again, or name another")
		}
		var config ocispec.Platform
		if err := b.configuration(ctx, manifest.Config, asked, &config); err != nil {
			return nil, fmt.Errorf("read for which machines it is: %w", err)
		}
		out = []string{platform(config)}
	}
	out = slices.DeleteFunc(out, func(p string) bool { return !platformShape(p) }) // unknown/unknown: what is attached to an image
	slices.Sort(out)
	return slices.Compact(out), nil
}

// configuration reads that of an image into config.
func (b *repository) configuration(ctx context.Context, of ocispec.Descriptor, asked string, config any) error {
	return b.tried(ctx, asked, func() error {
		if of.Size > mostConfig {
			return fault.WithHint(fault.New(fault.Corrupt, "its configuration is larger than %d MiB", mostConfig>>20), "name another image, or ask who runs the registry")
		}
		body, err := b.repo.Blobs().Fetch(ctx, of)
		if err != nil {
			return err
		}
		defer body.Close()
		text, err := io.ReadAll(io.LimitReader(body, mostConfig))
		if err != nil {
			return err
		}
		if godigest.FromBytes(text) != of.Digest || json.Unmarshal(text, config) != nil {
			return fault.WithHint(fault.New(fault.Corrupt, "its configuration is not what its manifest says that it is"), "do not use this image: ask who runs the registry, and look for a proxy that changes what passes")
		}
		return nil
	})
}

func platform(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" && p.Variant != "v8" { // which arm64 always is
		s += "/" + p.Variant
	}
	return s
}

// platformShape tells whether p is one that a machine can have: nothing else that a registry
// says is told on.
func platformShape(p string) bool {
	return len(p) <= 64 && len(p) > 2 && !strings.HasPrefix(p, "unknown/") && !strings.HasPrefix(p, "/") && !strings.HasSuffix(p, "/") &&
		strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789/._-") == ""
}
