// The kind Package: a released model where others fetch it.

package schemas

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Package keeps a released model where others fetch it. It is made when the model is released on the tracked branch; a pull request shows it, and neither makes it nor asks for it where it would be.
type Package struct {
	// Model is the model that is packed.
	Model Ref `json:"model" jsonschema:"required" part:"key"`
	// OCI packs it for a container registry.
	OCI OCIPackage `json:"oci" jsonschema:"required" part:"key"`
	// Image builds an image that serves the model as well; without it, a package has the model's files alone.
	Image *ServingImage `json:"image,omitempty" part:"key"`
	// Schedule says when the controller looks again though nothing was pushed, as a cron expression ("0 6 * * 1") or @hourly, @daily and so on, in UTC: what the registry lost is found then.
	Schedule string `json:"schedule,omitempty" part:"placement"`
}

// OCIPackage is a repository of a container registry. Credentials come from Docker's configuration and its credential helpers, or from VISHWA_OCI_REGISTRY, VISHWA_OCI_USERNAME and VISHWA_OCI_PASSWORD, and go to this registry alone.
type OCIPackage struct {
	// Repository is the registry's host and the repository, as registry.example.com/team/churn, without a tag.
	Repository string `json:"repository" jsonschema:"required,pattern=^([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:]+\\])(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$" part:"key"`
	// Tags are names of the newest package, such as [stable]. Each moves from one package of this declaration to the next; one that names something else stays, and is an error. Without it, a package has a tag of its own alone.
	Tags []string `json:"tags,omitempty" part:"placement"`
	// PlainHTTP asks without TLS; credentials then go to no other machine. A registry on this machine's own address is asked so unless this is false.
	PlainHTTP *bool `json:"plainHTTP,omitempty" part:"placement"`
}

// ServingImage is an image that serves a package's model: a base, the packages of a lock file, code, and the model's files. It finds the model, read-only, at VISHWA_MODEL_DIR and listens on every address of its own at VISHWA_PORT.
type ServingImage struct {
	// Base is the image that it is built over, by digest, as registry.example.com/team/python:3.11@sha256:...; vishwa image pin writes it. Its layers are copied next to the package.
	Base string `json:"base" jsonschema:"required" part:"key"`
	// Platform is the machine that it is for; the base has to have an image for it.
	Platform string `json:"platform,omitempty" jsonschema:"enum=linux/amd64,enum=linux/arm64,default=linux/amd64" part:"key"`
	Work
	// ContainerPort is where it listens; it is its VISHWA_PORT.
	ContainerPort int `json:"containerPort,omitempty" jsonschema:"minimum=1,maximum=65535,default=8080" part:"key"`
	// Params are handed to the process as JSON, at VISHWA_PARAMS.
	Params map[string]any `json:"params,omitempty" part:"recipe"`
}

// On is the platform that it is for.
func (i *ServingImage) On() string { return cmp.Or(i.Platform, "linux/amd64") }

// Port is where it listens.
func (i *ServingImage) Port() int { return cmp.Or(i.ContainerPort, 8080) }

// Packs keeps a model where others fetch it.
type Packs interface {
	Packs() Packing
}

// Packing is what is packed, and where it goes.
type Packing struct {
	Model Ref
	OCI   OCIPackage
	Image *ServingImage // nil: there is none
}

func (s *Package) Packs() Packing { return Packing{s.Model, s.OCI, s.Image} }
func (s *Package) Times() string  { return s.Schedule }

// Command is that of the image that serves.
func (s *Package) Command() (*Work, string) {
	if s.Image == nil {
		return nil, "spec.image"
	}
	return &s.Image.Work, "spec.image"
}

// Imaged is the base of the image that serves.
func (s *Package) Imaged() (string, string) {
	if s.Image == nil {
		return "", ""
	}
	return s.Image.Base, "spec.image.base"
}

// OwnTag begins the tag that each package has for itself: a registry that removes what no tag
// names keeps it.
const OwnTag = "vishwa-"

var tagShape = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

func (s *Package) check(c *checker, d *document) {
	defer schedule(d, "spec.schedule", s.Schedule)
	s.Image.check(c, d)
	c.ref(d, "spec.model", s.Model, func(t Traits) bool { return t.Releases })
	if host, _, _ := strings.Cut(s.OCI.Repository, "/"); host != "" && !strings.ContainsAny(host, ".:") && host != "localhost" {
		d.problem("spec.oci.repository", "begins with %q, which is no host; write it as registry.example.com/team/%s", host, d.decl.Metadata.Name)
	}
	seen := map[string]bool{}
	for i, tag := range s.OCI.Tags {
		field := fmt.Sprintf("spec.oci.tags.%d", i)
		switch {
		case !tagShape.MatchString(tag):
			d.problem(field, "%q is not a tag; write letters, digits, dots, dashes and underscores, such as stable", tag)
		case strings.HasPrefix(tag, OwnTag) || strings.HasPrefix(tag, "vishwa.") || strings.HasPrefix(tag, "sha256-"):
			d.problem(field, "%q begins as tags do that move by no declaration; choose another", tag)
		case seen[tag]:
			d.problem(field, "%q is listed twice; remove one", tag)
		}
		seen[tag] = true
	}
	if other := c.packages[s.OCI.Repository]; other != (Ref{}) && s.OCI.Repository != "" {
		d.problem("spec.oci.repository", "is that of %s as well, whose tags would be taken from it; give each package a repository of its own", other)
	} else if c.packages != nil {
		c.packages[s.OCI.Repository] = d.decl.Ref()
	}
}

func (i *ServingImage) check(c *checker, d *document) {
	const field = "spec.image"
	if i == nil {
		return
	}
	image(d, field+".base", i.Base, d.decl.Ref().String())
	c.command(d, field, nil)
	c.work(d, field, i.Work)
	if d.has(field + ".env.pass") {
		d.problem(field+".env.pass", "would be what this machine has, for whoever may read the image; remove it, and give variables where it is deployed")
	}
}
