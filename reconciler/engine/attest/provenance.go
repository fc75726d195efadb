// Provenance: how a model came to be, as SLSA provenance v1 (https://slsa.dev/provenance/v1).

package attest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// What Vishwa's provenance calls itself. A builder is a controller of the trust file.
const (
	ProvenanceType = "https://slsa.dev/provenance/v1"
	BuildType      = "https://vishwa.dev/training-run/v1"
	BuilderPrefix  = "https://vishwa.dev/controller/"
)

// maxSubjects is the most that sigstore's verifiers accept in a statement.
const maxSubjects = 1024

// Provenance is how a model came to be. What came from outside stands in it by
// digest; nothing in it is secret.
type Provenance struct {
	Controller string         // who ran and signed, the controller's name in the trust file
	Version    string         // of Vishwa
	Key        digest.Digest  // of the run's recipe
	Repository string         // URL without credentials; empty where there is no remote
	Revision   string         // commit, lower-case hex
	Ref        string         // training/enrollment
	Candidate  string         // of the training's candidates
	Params     map[string]any // of the candidate

	Code   map[string]digest.Digest // path in the repository -> content
	Inputs map[string]digest.Digest // name -> content
	Lock   digest.Digest            // of the environment's lock file; none is the caller's own environment
	Image  string                   // container image that it ran in, by digest; none is none

	Host   string // operating system and architecture
	Python string // version of the environment's interpreter
	// Isolation is what kept the run apart from its machine; nil: not known.
	Isolation *port.Isolation
	Runner    string // that carried it out; none is the controller's machine
	Nodes     int    // where there were several
	Started   time.Time
	Finished  time.Time
	Metrics   map[string]float64
	Log       digest.Digest
}

// descriptor is SLSA's ResourceDescriptor.
type descriptor struct {
	Name      string            `json:"name"`
	URI       string            `json:"uri,omitempty"`
	Digest    map[string]string `json:"digest"`
	MediaType string            `json:"mediaType,omitempty"`
	Content   []byte            `json:"content,omitempty"`
}

type provenancePredicate struct {
	BuildDefinition struct {
		BuildType            string       `json:"buildType"`
		ExternalParameters   external     `json:"externalParameters"`
		InternalParameters   internal     `json:"internalParameters,omitzero"`
		ResolvedDependencies []descriptor `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder    builder      `json:"builder"`
		Metadata   metadata     `json:"metadata"`
		Byproducts []descriptor `json:"byproducts,omitempty"`
	} `json:"runDetails"`
}

type external struct {
	Repository string         `json:"repository"`
	Revision   string         `json:"revision"`
	Ref        string         `json:"ref"`
	Candidate  string         `json:"candidate"`
	Params     map[string]any `json:"params,omitempty"`
}

type internal struct {
	Host   string `json:"host,omitempty"`
	Python string `json:"python,omitempty"`
	// Isolation is as the ledger has it: level, landlock, network, limits, user.
	Isolation *port.Isolation `json:"isolation,omitempty"`
	Runner    string          `json:"runner,omitempty"`
	Nodes     int             `json:"nodes,omitempty"`
}

type builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

type metadata struct {
	InvocationID string `json:"invocationId"`
	StartedOn    string `json:"startedOn"`
	FinishedOn   string `json:"finishedOn"`
}

// StateProvenance builds the statement that model came to be as p says. Its
// subjects are the model, by its manifest's digest, and each of its files; where
// they are more than verifiers accept, the model alone.
func StateProvenance(p Provenance, model port.Artifact) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("state provenance: %w", err)
	}
	if err := model.Files.Check(); err != nil {
		return nil, fmt.Errorf("state provenance: %w", err)
	}
	pred, err := p.predicate()
	if err != nil {
		return nil, fmt.Errorf("state provenance: %w", err)
	}
	return encode(subjects(model.Name, model.Files), ProvenanceType, pred)
}

func subjects(name string, m digest.Manifest) []subject {
	out := []subject{{name, map[string]string{"sha256": m.Digest().Hex()}}}
	if len(m) >= maxSubjects {
		return out
	}
	for _, f := range m {
		out = append(out, subject{name + "/" + f.Path, map[string]string{"sha256": f.Digest.Hex()}})
	}
	return out
}

func (p Provenance) predicate() (out provenancePredicate, err error) {
	b := &out.BuildDefinition
	b.BuildType = BuildType
	b.ExternalParameters = external{p.Repository, p.Revision, p.Ref, p.Candidate, p.Params}
	b.InternalParameters = internal{p.Host, p.Python, p.Isolation, p.Runner, p.Nodes}
	source := descriptor{Name: "repository", Digest: map[string]string{"gitCommit": p.Revision}}
	if p.Repository != "" {
		source.URI = "git+" + p.Repository + "@" + p.Revision
	}
	b.ResolvedDependencies = append(b.ResolvedDependencies, source)
	for _, group := range []struct {
		prefix string
		of     map[string]digest.Digest
	}{{codePrefix, p.Code}, {inputPrefix, p.Inputs}} {
		for _, name := range slices.Sorted(maps.Keys(group.of)) {
			b.ResolvedDependencies = append(b.ResolvedDependencies, named(group.prefix+name, group.of[name]))
		}
	}
	if p.Lock != "" {
		b.ResolvedDependencies = append(b.ResolvedDependencies, named(lockName, p.Lock))
	}
	if _, sum, ok := strings.Cut(p.Image, "@sha256:"); ok {
		b.ResolvedDependencies = append(b.ResolvedDependencies, descriptor{Name: imageName, URI: ociPrefix + p.Image, Digest: map[string]string{"sha256": sum}})
	}

	r := &out.RunDetails
	r.Builder = builder{ID: BuilderPrefix + p.Controller, Version: map[string]string{"vishwa": p.Version}}
	r.Metadata = metadata{string(p.Key), p.Started.UTC().Format(time.RFC3339Nano), p.Finished.UTC().Format(time.RFC3339Nano)}
	if len(p.Metrics) > 0 {
		text, err := digest.Canonical(p.Metrics)
		if err != nil {
			return out, fmt.Errorf("metrics: %w", err)
		}
		d := named(metricsName, digest.Of(text))
		d.MediaType, d.Content = "application/json", text
		r.Byproducts = append(r.Byproducts, d)
	}
	if p.Log != "" {
		r.Byproducts = append(r.Byproducts, named(logName, p.Log))
	}
	return out, nil
}

// Names of dependencies and byproducts.
const (
	codePrefix  = "code:"
	inputPrefix = "input:"
	lockName    = "lock"
	imageName   = "image"
	ociPrefix   = "oci://"
	metricsName = "metrics"
	logName     = "log"
)

func named(name string, d digest.Digest) descriptor {
	return descriptor{Name: name, Digest: map[string]string{"sha256": d.Hex()}}
}

// check refuses what would make the statement say nothing, or too much.
func (p Provenance) check() error {
	if p.Controller == "" || strings.ContainsAny(p.Controller, "/ \t\r\n") {
		return fmt.Errorf("%q is not a controller's name", p.Controller)
	}
	if n := len(p.Revision); n != 40 && n != 64 || strings.Trim(p.Revision, "0123456789abcdef") != "" {
		return fmt.Errorf("revision %q is not a commit", p.Revision)
	}
	if p.Ref == "" {
		return fmt.Errorf("it names no training")
	}
	if _, rest, ok := strings.Cut(p.Repository, "://"); ok {
		if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "@") {
			return fmt.Errorf("the repository's URL carries credentials; leave them out")
		}
	}
	if p.Started.IsZero() || p.Finished.Before(p.Started) {
		return fmt.Errorf("the run ends before it begins")
	}
	if p.Image != "" && !schemas.ByDigest(p.Image) {
		return fmt.Errorf("the image %q is not named by digest", p.Image)
	}
	all := map[string]digest.Digest{"key": p.Key}
	if p.Lock != "" {
		all[lockName] = p.Lock
	}
	if p.Log != "" {
		all[logName] = p.Log
	}
	for prefix, of := range map[string]map[string]digest.Digest{codePrefix: p.Code, inputPrefix: p.Inputs} {
		for name, d := range of {
			all[prefix+name] = d
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if d, err := digest.Parse(string(all[name])); err != nil || d != all[name] {
			return fmt.Errorf("%s: %q is not a digest", name, all[name])
		}
	}
	return nil
}
