// Packages: a released model where others fetch it.

package port

import (
	"context"
	"io"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Packager keeps packages of released models where others fetch them.
type Packager interface {
	// Inspect tells what there is of a package that was published as p. What is not there is
	// no error. A place that cannot be asked is one.
	Inspect(ctx context.Context, at Registry, p Packed, tags []string) (PackageState, error)
	// Push sends what is not there of a package, and names it. Nothing names it by a tag yet.
	// Twice is once, and the same model is the same package. Files that the store does not
	// have, or has otherwise, are Missing and Corrupt, and no package is there.
	Push(ctx context.Context, p Package) (Packed, error)
	// Publish attaches evidence to a pushed package, and then lets tags name it. A tag that
	// names what is not in from is a Conflict, and stays.
	Publish(ctx context.Context, at Registry, p Packed, evidence [][]byte, tags PackageTags) (Packed, error)
}

// PackageReader reads packages back, from wherever they are.
type PackageReader interface {
	// Read finds the package that reference names, by digest or by a tag, and what is attached
	// to it. Nobody has checked any of it.
	Read(ctx context.Context, at Registry, reference string) (PackageFound, error)
	// Unpack hands each file of a package to put, several at once, each held against the digest
	// of the layer that it came in: where an error is returned, what was put is worth nothing.
	Unpack(ctx context.Context, at Registry, p PackageFound, put PutFile) error
}

// Registry is a repository of a container registry.
type Registry struct {
	Repository string // registry.example.com/team/churn
	PlainHTTP  *bool  // nil: on this machine's own addresses
}

// Package is what is to be packed.
type Package struct {
	At    Registry
	Name  string // of the model, in the package
	Model Artifact
	// Image is an image that serves the model; nil: there is none.
	Image *ServingImage
	// Known are layers that were sent before, to any repository: they are not read again.
	Known []PackageLayer
	Tell  func(line string)
}

// ServingImage is what serves a model, over a base.
type ServingImage struct {
	Base     string // by digest: registry.example.com/python:3.11@sha256:...
	Platform string // linux/amd64
	Run      []string
	Code     digest.Manifest // which the store has
	Lock     string          // the lock file among Code; "" is none
	Params   map[string]any
	Port     int
}

// Packed is a package as it was published; the ledger keeps it.
type Packed struct {
	Repository string         `json:"repository"`
	Digest     digest.Digest  `json:"digest"` // of its index: what is deployed
	ModelPack  digest.Digest  `json:"modelPack"`
	Images     []string       `json:"images"` // platform, @ and digest: linux/amd64@sha256:...
	Serving    *PackedImage   `json:"serving,omitempty"`
	Tags       []string       `json:"tags,omitempty"`
	Layers     []PackageLayer `json:"layers"`
	Evidence   []Evidence     `json:"evidence,omitempty"`
}

// PackedImage is an image that serves the model of a package.
type PackedImage struct {
	Platform string        `json:"platform"`
	Digest   digest.Digest `json:"digest"`
	Base     string        `json:"base"` // as it was declared
}

// Reference is the package by its digest.
func (p Packed) Reference() string { return p.Repository + "@" + string(p.Digest) }

// Manifests are the index and all that it names.
func (p Packed) Manifests() []digest.Digest {
	out := []digest.Digest{p.Digest, p.ModelPack}
	for _, im := range p.Images {
		_, d, _ := strings.Cut(im, "@")
		out = append(out, digest.Digest(d))
	}
	if p.Serving != nil {
		out = append(out, p.Serving.Digest)
	}
	return out
}

// PackageLayer is a layer as it was sent.
type PackageLayer struct {
	Content    digest.Digest `json:"content"` // names what is in it
	Digest     digest.Digest `json:"digest"`  // of its tar
	Size       int64         `json:"size"`
	Repository string        `json:"-"` // that it was sent to
}

// Evidence is a signed statement that is attached to a package.
type Evidence struct {
	Type   string        `json:"type"`   // of its predicate
	Bundle digest.Digest `json:"bundle"` // of the Sigstore bundle, in the store as well
	// Attached are the manifests by which the registry has it, one a manifest of the package
	// that it refers to.
	Attached []digest.Digest `json:"attached"`
}

// PackageTags are names that move.
type PackageTags struct {
	Names []string
	From  []digest.Digest // packages that a tag may name before it names this one
}

// PackageState is how a package was found.
type PackageState struct {
	Lacks string // what of it is not there; "" is nothing
	// Elsewhere are tags that name another package, or nothing (""), by tag.
	Elsewhere map[string]digest.Digest
}

// PackageFound is a package in a registry.
type PackageFound struct {
	Digest    digest.Digest
	Name      string // of the model, as the package says
	Model     digest.Digest
	Manifests []digest.Digest // the index, and all that it names
	Layers    []PackageLayer  // of its ModelPack manifest
	Evidence  [][]byte        // Sigstore bundles that are attached to it
}

// PutFile takes a file of a package.
type PutFile func(path string, size int64, content io.Reader) error
