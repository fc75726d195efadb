// The documents of a package: one manifest of ModelPack, one image a platform over the same
// layers, and the index that names them all, which is the package.

package modelpack

import (
	"encoding/json"
	"fmt"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Types of ModelPack.
const (
	ManifestType = "application/vnd.cncf.model.manifest.v1+json" // an artifact's
	ConfigType   = "application/vnd.cncf.model.config.v1+json"
	filePath     = "org.cncf.model.filepath" // annotation: where a layer's one file is
)

// Annotations of ours: which model a package is of, by the name and by the digest that the
// ledger knows it by.
const (
	NameNote  = "dev.vishwa.model"
	ModelNote = "dev.vishwa.model.digest"
)

// platforms are those for which there is an image: it has no program, and fits any.
var platforms = []ocispec.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}

// nowhere is the platform of what no machine runs, as builders of images mark attachments: a
// container engine that chooses from an index passes it by.
var nowhere = ocispec.Platform{OS: "unknown", Architecture: "unknown"}

// Blob is content with the type by which others name it.
type Blob struct {
	ocispec.Descriptor
	Raw []byte
}

func blob(mediaType string, v any) (Blob, error) {
	raw, err := digest.Canonical(v)
	if err != nil {
		return Blob{}, err
	}
	return Blob{ocispec.Descriptor{MediaType: mediaType, Digest: godigest.FromBytes(raw), Size: int64(len(raw))}, raw}, nil
}

// Documents are all of a package but its layers.
type Documents struct {
	Configs   []Blob // of its manifests
	Manifests []Blob // of ModelPack first, then an image a platform, then the one that serves
	Index     Blob   // the package
}

// Sent is a layer's tar as a registry has it.
type Sent struct {
	Digest digest.Digest
	Size   int64
}

// modelConfig is the configuration of ModelPack.
type modelConfig struct {
	Descriptor struct {
		Name string `json:"name"`
	} `json:"descriptor"`
	Config  struct{} `json:"config"`
	ModelFS modelFS  `json:"modelfs"`
}

type modelFS struct {
	Type    string            `json:"type"`
	DiffIDs []godigest.Digest `json:"diffIds"`
}

// Contents are what a package is made of.
type Contents struct {
	Name    string        // of the model
	Model   digest.Digest // that the ledger knows it by
	Layers  []Layer
	Sent    []Sent   // the same, as they were sent
	Serving *Serving // an image that serves the model; nil: there is none
}

// Assemble makes the documents of a package.
func Assemble(c Contents) (d Documents, err error) {
	if len(c.Layers) == 0 || len(c.Layers) != len(c.Sent) {
		return d, fmt.Errorf("%s, of which %d were sent", plural.Of(len(c.Layers), "layer"), len(c.Sent))
	}
	a := assembly{documents: &d, notes: map[string]string{NameNote: c.Name, ModelNote: string(c.Model)}}
	var diffs []godigest.Digest
	var asModel, asImage []ocispec.Descriptor
	for i, l := range c.Layers {
		of, err := tarLayer(c.Sent[i])
		if err != nil {
			return d, fmt.Errorf("layer %d: %w", i, err)
		}
		diffs, asImage = append(diffs, of.Digest), append(asImage, of) // tar is not compressed: it is its own difference
		of.MediaType = "application/vnd.cncf.model." + l.Kind + ".v1.tar"
		if at := l.Path(); at != "" {
			of.Annotations = map[string]string{filePath: at}
		}
		asModel = append(asModel, of)
	}
	var config modelConfig
	config.Descriptor.Name, config.ModelFS = c.Name, modelFS{"layers", diffs}
	if err := a.add(ConfigType, config, asModel, ocispec.Descriptor{ArtifactType: ManifestType, Platform: &nowhere}); err != nil {
		return d, err
	}
	for _, p := range platforms {
		image := ocispec.Image{Platform: p, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: diffs}}
		if err := a.add(ocispec.MediaTypeImageConfig, image, asImage, ocispec.Descriptor{Platform: &p}); err != nil {
			return d, err
		}
	}
	if c.Serving != nil {
		if err := a.serve(*c.Serving, asImage); err != nil {
			return d, err
		}
	}
	d.Index, err = blob(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: a.entries, Annotations: a.notes,
	})
	return d, err
}

// tarLayer describes a tar that was sent.
func tarLayer(s Sent) (ocispec.Descriptor, error) {
	sum := godigest.Digest(s.Digest)
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: sum, Size: s.Size}, sum.Validate()
}

// assembly is an index being made.
type assembly struct {
	documents *Documents
	notes     map[string]string
	entries   []ocispec.Descriptor
}

// add makes a manifest over layers; as is what the index says of it.
func (a *assembly) add(kind string, config any, layers []ocispec.Descriptor, as ocispec.Descriptor) error {
	c, err := blob(kind, config)
	if err != nil {
		return err
	}
	m, err := blob(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: as.ArtifactType,
		Config: c.Descriptor, Layers: layers, Annotations: a.notes,
	})
	if err != nil {
		return err
	}
	a.documents.Configs, a.documents.Manifests = append(a.documents.Configs, c), append(a.documents.Manifests, m)
	as.MediaType, as.Digest, as.Size = m.MediaType, m.Digest, m.Size
	a.entries = append(a.entries, as)
	return nil
}

// Package is what an index says of a package.
type Package struct {
	Name      string        // of the model
	Model     digest.Digest // that the ledger knows it by
	Manifest  ocispec.Descriptor
	Serving   ocispec.Descriptor   // an image that serves it, where there is one
	Manifests []ocispec.Descriptor // all, those included
}

// ReadIndex reads the index of a package.
func ReadIndex(raw []byte) (p Package, err error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil || index.MediaType != ocispec.MediaTypeImageIndex {
		return p, fmt.Errorf("it is no index of a package")
	}
	p.Name, p.Model = index.Annotations[NameNote], digest.Digest(index.Annotations[ModelNote])
	if d, err := digest.Parse(string(p.Model)); err != nil || d != p.Model || p.Name == "" {
		return p, fmt.Errorf("it does not say of which model it is: it is no package of Vishwa's")
	}
	if len(index.Manifests) > mostManifests {
		return p, fmt.Errorf("it names %d manifests; a package has no more than %d", len(index.Manifests), mostManifests)
	}
	for _, m := range index.Manifests {
		if m.MediaType != ocispec.MediaTypeImageManifest || m.Digest.Validate() != nil || m.Size <= 0 {
			return p, fmt.Errorf("it names a manifest that is none")
		}
		p.Manifests = append(p.Manifests, m)
		if m.ArtifactType == ManifestType && p.Manifest.Digest == "" {
			p.Manifest = m
		}
		if m.Annotations[servesNote] != "" && p.Serving.Digest == "" {
			p.Serving = m
		}
	}
	if p.Manifest.Digest == "" {
		return p, fmt.Errorf("it has no manifest of ModelPack")
	}
	return p, nil
}

const (
	mostManifests = 32
	mostLayers    = 256
)

// ReadManifest lists the blobs of a manifest: its layers, which are tar for the ModelPack
// manifest of a package, and its configuration.
func ReadManifest(raw []byte) (layers []ocispec.Descriptor, config ocispec.Descriptor, err error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.MediaType != ocispec.MediaTypeImageManifest {
		return nil, config, fmt.Errorf("it is no manifest")
	}
	if len(m.Layers) == 0 || len(m.Layers) > mostLayers {
		return nil, config, fmt.Errorf("it has %s; one of a package has 1 to %d", plural.Of(len(m.Layers), "layer"), mostLayers)
	}
	for _, l := range m.Layers {
		if l.Digest.Validate() != nil || l.Digest.Algorithm() != godigest.SHA256 || l.Size <= 0 {
			return nil, config, fmt.Errorf("it has a layer that is none")
		}
		if m.ArtifactType == ManifestType && !(strings.HasPrefix(l.MediaType, "application/vnd.cncf.model.") && strings.HasSuffix(l.MediaType, ".v1.tar")) {
			return nil, config, fmt.Errorf("its layer is of the type %q; Vishwa packs tar", l.MediaType)
		}
	}
	return m.Layers, m.Config, nil
}
