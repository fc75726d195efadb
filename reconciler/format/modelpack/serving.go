// The image that serves: a base, the model's own layers, and what runs over them. It is named by the index like the other
// manifests, so that the layers are there once and one signature covers all.

package modelpack

import (
	"fmt"
	"slices"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/plural"
)

// servesNote, on an entry of the index, is the platform of an image that serves. Its own platform there is none: whoever
// asks the index for the files of its platform gets those, and not a system around them.
const servesNote = "dev.vishwa.serves"

// MostImage is how many layers an image can be mounted with, on any engine.
const MostImage = 120

// Serving is what an image that serves is made of.
type Serving struct {
	Platform ocispec.Platform
	Config   ocispec.ImageConfig
	Base     []ocispec.Descriptor // layers, of the types of OCI
	Diffs    []godigest.Digest    // of the base: what each is when it is not compressed
	Over     []Sent               // tars, over the base and the model
}

func (a *assembly) serve(s Serving, model []ocispec.Descriptor) error {
	if len(s.Base) == 0 || len(s.Base) != len(s.Diffs) {
		return fmt.Errorf("the base has %s, and its configuration names %d", plural.Of(len(s.Base), "layer"), len(s.Diffs))
	}
	layers, diffs := slices.Concat(s.Base, model), slices.Clone(s.Diffs)
	for _, l := range model {
		diffs = append(diffs, l.Digest)
	}
	for i, sent := range s.Over {
		l, err := tarLayer(sent)
		if err != nil {
			return fmt.Errorf("layer %d over the base: %w", i, err)
		}
		layers, diffs = append(layers, l), append(diffs, l.Digest)
	}
	if len(layers) > MostImage {
		return fmt.Errorf("the image would have %s, and engines mount %d at most", plural.Of(len(layers), "layer"), MostImage)
	}
	image := ocispec.Image{Platform: s.Platform, Config: s.Config, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: diffs}}
	return a.add(ocispec.MediaTypeImageConfig, image, layers, ocispec.Descriptor{
		Platform: &nowhere, Annotations: map[string]string{servesNote: s.Platform.OS + "/" + s.Platform.Architecture},
	})
}
