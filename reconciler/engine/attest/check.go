// Reading provenance back. What StateProvenance would not have written for the
// same facts is refused, so that no field is there unread.

package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// CheckProvenance reads a provenance statement, and holds its subjects against the
// files of the model that it should be about.
func CheckProvenance(raw []byte, m digest.Manifest) (Provenance, error) {
	p, name, err := ParseProvenance(raw)
	if err != nil {
		return p, err
	}
	want, err := StateProvenance(p, port.Artifact{Name: name, Files: m})
	if err != nil {
		return p, err
	}
	if same(raw, json.RawMessage(want)) != nil {
		return p, fmt.Errorf("provenance: it is about other files than these (manifest %s)", m.Digest().Short())
	}
	return p, nil
}

// ParseProvenance reads a provenance statement, and the name of the model that it is about.
func ParseProvenance(raw []byte) (p Provenance, model string, err error) {
	s, err := decode[provenancePredicate](raw, ProvenanceType)
	if err != nil {
		return p, "", fmt.Errorf("provenance: %w", err)
	}
	if p, err = provenanceOf(s.Predicate); err != nil {
		return p, "", fmt.Errorf("provenance: %w", err)
	}
	if len(s.Subject) == 0 {
		return p, "", errors.New("provenance: it is about nothing")
	}
	again, err := p.predicate()
	if err != nil {
		return p, "", fmt.Errorf("provenance: %w", err)
	}
	if err := same(raw, statement[provenancePredicate]{s.Type, s.Subject, s.PredicateType, again}); err != nil {
		return p, "", fmt.Errorf("provenance: %w", err)
	}
	return p, s.Subject[0].Name, nil
}

func provenanceOf(pred provenancePredicate) (Provenance, error) {
	b, r := pred.BuildDefinition, pred.RunDetails
	if b.BuildType != BuildType {
		return Provenance{}, fmt.Errorf("its build type is %q, want %q", b.BuildType, BuildType)
	}
	controller, ok := strings.CutPrefix(r.Builder.ID, BuilderPrefix)
	if !ok {
		return Provenance{}, fmt.Errorf("its builder %q is not a controller of Vishwa", r.Builder.ID)
	}
	x := b.ExternalParameters
	p := Provenance{
		Controller: controller, Version: r.Builder.Version["vishwa"], Key: digest.Digest(r.Metadata.InvocationID),
		Repository: x.Repository, Revision: x.Revision, Ref: x.Ref, Candidate: x.Candidate, Params: x.Params,
		Host: b.InternalParameters.Host, Python: b.InternalParameters.Python, Isolation: b.InternalParameters.Isolation,
		Runner: b.InternalParameters.Runner, Nodes: b.InternalParameters.Nodes,
		Code: map[string]digest.Digest{}, Inputs: map[string]digest.Digest{},
	}
	var err error
	if p.Started, err = time.Parse(time.RFC3339Nano, r.Metadata.StartedOn); err != nil {
		return p, fmt.Errorf("startedOn: %w", err)
	}
	if p.Finished, err = time.Parse(time.RFC3339Nano, r.Metadata.FinishedOn); err != nil {
		return p, fmt.Errorf("finishedOn: %w", err)
	}
	for _, d := range b.ResolvedDependencies {
		sum := digest.Digest("sha256:" + d.Digest["sha256"])
		if path, ok := strings.CutPrefix(d.Name, codePrefix); ok {
			p.Code[path] = sum
		} else if name, ok := strings.CutPrefix(d.Name, inputPrefix); ok {
			p.Inputs[name] = sum
		} else if d.Name == lockName {
			p.Lock = sum
		} else if d.Name == imageName {
			p.Image = strings.TrimPrefix(d.URI, ociPrefix)
		}
	}
	for _, d := range r.Byproducts {
		switch d.Name {
		case logName:
			p.Log = digest.Digest("sha256:" + d.Digest["sha256"])
		case metricsName:
			if err := json.Unmarshal(d.Content, &p.Metrics); err != nil {
				return p, fmt.Errorf("metrics: %w", err)
			}
		}
	}
	return p, p.check()
}
