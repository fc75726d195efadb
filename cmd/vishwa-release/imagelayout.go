// Where an image goes: a folder in the form of OCI, and a registry. Its bill of materials goes with it, as an artifact that refers
// to it by digest (https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage).

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/rootfs"
)

const billType = "application/vnd.cyclonedx+json"

// laid is an image with its bill of materials.
type laid struct {
	image  v1.Image
	digest v1.Hash
	bill   v1.Image // the artifact
}

func lay(image v1.Image, bill []byte) (*laid, error) {
	image = mutate.MediaType(image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	digest, err := image.Digest()
	if err != nil {
		return nil, fault.New(fault.Internal, "name the image: %w", err)
	}
	raw, err := image.RawManifest()
	if err != nil {
		return nil, fault.New(fault.Internal, "write the image's manifest: %w", err)
	}
	artifact := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	artifact = mutate.ConfigMediaType(artifact, billType) // what registries without artifactType go by
	artifact, err = mutate.AppendLayers(artifact, static.NewLayer(bill, billType))
	if err != nil {
		return nil, fault.New(fault.Internal, "lay out the bill of materials: %w", err)
	}
	subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: int64(len(raw))}
	refers, is := mutate.Subject(artifact, subject).(v1.Image)
	if !is {
		return nil, fault.New(fault.Internal, "the bill of materials is no artifact")
	}
	return &laid{image, digest, refers}, nil
}

// write puts both into the folder.
func (l *laid) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.New(fault.Invalid, "make the folder: %w", err)
	}
	at, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = at.AppendImage(l.image)
	}
	if err == nil {
		err = at.AppendImage(l.bill)
	}
	if err != nil {
		return fault.New(fault.Invalid, "write the image to %s: %w", dir, err)
	}
	return nil
}

// push puts both into a repository of a registry, and gives the image's reference there.
func (l *laid) push(ctx context.Context, repository string) (string, error) {
	to, err := name.NewRepository(repository)
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%q is not a repository: %w", repository, err), "write it as HOST/NAME, without a tag")
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	bill, err := l.bill.Digest()
	if err != nil {
		return "", fault.New(fault.Internal, "name the bill of materials: %w", err)
	}
	if err := remote.Write(to.Digest(l.digest.String()), l.image, options...); err != nil {
		return "", fault.WithHint(fault.New(fault.Transient, "push the image: %w", err), "check the name, the credentials of Docker's configuration, and that the registry answers")
	}
	if err := remote.Write(to.Digest(bill.String()), l.bill, options...); err != nil {
		return "", fault.WithHint(fault.New(fault.Transient, "push the bill of materials: %w", err), "try again: the image is there")
	}
	return to.Digest(l.digest.String()).String(), nil
}

// imageBill is one bill of materials of the programs' own and of the packages beside them; of a base it says by which digest it is known.
func imageBill(version, base string, programs []string, packages []rootfs.Package) ([]byte, error) {
	var whole map[string]any
	var parts []any
	for _, at := range programs {
		raw, err := os.ReadFile(at)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read a bill of materials: %w", err)
		}
		var one map[string]any
		in := json.NewDecoder(bytes.NewReader(raw))
		in.UseNumber()
		if err := in.Decode(&one); err != nil {
			return nil, fault.New(fault.Invalid, "read the bill of materials %s: %w", at, err)
		}
		if whole == nil {
			whole = one
		}
		components, _ := one["components"].([]any)
		parts = append(parts, components...)
	}
	for _, p := range packages {
		parts = append(parts, map[string]any{"type": "library", "name": p.Name, "version": p.Version,
			"bom-ref": "deb " + p.Name, "purl": fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s", p.Name, p.Version, p.Arch)})
	}
	if base != "" {
		parts = append(parts, map[string]any{"type": "container", "name": base, "bom-ref": "base"})
	}
	whole["components"] = once(parts)
	delete(whole, "dependencies") // of one of the programs alone
	whole["metadata"] = map[string]any{"component": map[string]any{"type": "container", "name": "vishwa", "version": version, "bom-ref": "vishwa"}}
	out, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return nil, fault.New(fault.Internal, "write the bill of materials: %w", err)
	}
	return append(out, '\n'), nil
}

// once leaves out what is listed before.
func once(parts []any) (out []any) {
	seen := map[any]bool{}
	for _, p := range parts {
		if m, is := p.(map[string]any); is {
			ref := m["bom-ref"]
			if ref != nil && seen[ref] {
				continue
			}
			seen[ref] = true
		}
		out = append(out, p)
	}
	return out
}
