// What a target verifies of a model before anything of it is begun elsewhere.

package served

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Signed verifies that one of keys signed r's model, and returns that key; it is none where the model has no signature.
func Signed(ctx context.Context, store port.Store, r port.Release, trusted []string) (keys []string, err error) {
	if r.Signature == "" {
		return nil, nil
	}
	raw, err := artifact.ReadAll(ctx, store, r.Signature)
	if err != nil {
		return nil, fmt.Errorf("read the model's signature: %w", err)
	}
	said, err := attest.ParseBundle(raw)
	for _, key := range trusted {
		if err == nil && attest.Hint([]byte(key)) == said.Hint {
			keys = []string{key}
		}
	}
	doc := Release{Ref: r.Name, Signature: r.Signature, Keys: keys}
	for _, f := range ModelFiles(r.Model) {
		f.Path = ModelDir + f.Path
		doc.Files = append(doc.Files, f)
	}
	return keys, doc.Verify(raw)
}

// ModelFiles are the files of a model; one that is a file has its own name, or else that of a model.
func ModelFiles(m port.Artifact) digest.Manifest {
	if m.Digest == "" || m.Files != nil {
		return m.Files
	}
	name := m.Name
	if name == "" {
		name = "model"
	}
	return digest.Manifest{{Path: name, Digest: m.Digest, Size: m.Size}}
}
