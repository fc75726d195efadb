// A package in a registry: the statements that it is ours, and how its model came to be, about
// the digests by which others fetch it, so that cosign verifies them without Vishwa.

package attest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// SignType is the predicate by which cosign signs what is in a registry.
const SignType = "https://sigstore.dev/cosign/sign/v1"

// signPredicate says nothing: the subject is what is signed.
type signPredicate struct{}

// StatePackage builds the statement that signs the manifests of a package, in order, and
// StatePackageProvenance the one that the model in it came to be as provenance, a statement
// about the model itself, says.
func StatePackage(repository string, manifests []digest.Digest) ([]byte, error) {
	subjects, err := packaged(repository, manifests)
	if err != nil {
		return nil, fmt.Errorf("state package: %w", err)
	}
	return encode(subjects, SignType, signPredicate{})
}

// StatePackageProvenance is told of at StatePackage.
func StatePackageProvenance(provenance []byte, repository string, manifests []digest.Digest) ([]byte, error) {
	s, err := decode[provenancePredicate](provenance, ProvenanceType)
	if err != nil {
		return nil, fmt.Errorf("state package provenance: %w", err)
	}
	subjects, err := packaged(repository, manifests)
	if err != nil {
		return nil, fmt.Errorf("state package provenance: %w", err)
	}
	return encode(subjects, ProvenanceType, s.Predicate)
}

func packaged(repository string, manifests []digest.Digest) (out []subject, err error) {
	if repository == "" || len(manifests) == 0 {
		return nil, errors.New("it has no manifest, or is nowhere")
	}
	for _, m := range manifests {
		if d, err := digest.Parse(string(m)); err != nil || d != m {
			return nil, fmt.Errorf("%q is not a digest", m)
		}
		out = append(out, subject{repository, map[string]string{"sha256": m.Hex()}})
	}
	return out, nil
}

// CheckPackage holds a statement that StatePackage made against a manifest, and tells for which
// repository of a registry it was signed: a copy elsewhere has the same signature.
func CheckPackage(raw []byte, manifest digest.Digest) (repository string, err error) {
	s, err := decode[signPredicate](raw, SignType)
	if err != nil {
		return "", fmt.Errorf("package signature: %w", err)
	}
	return s.covers(manifest)
}

// CheckPackageProvenance holds a statement that StatePackageProvenance made against a manifest.
func CheckPackageProvenance(raw []byte, manifest digest.Digest) (Provenance, error) {
	s, err := decode[provenancePredicate](raw, ProvenanceType)
	if err != nil {
		return Provenance{}, fmt.Errorf("package provenance: %w", err)
	}
	if _, err := s.covers(manifest); err != nil {
		return Provenance{}, err
	}
	return provenanceOf(s.Predicate)
}

func (s statement[P]) covers(manifest digest.Digest) (name string, err error) {
	i := slices.IndexFunc(s.Subject, func(of subject) bool { return of.Digest["sha256"] == manifest.Hex() })
	if i < 0 {
		return "", fmt.Errorf("it is about another package than %s", manifest.Short())
	}
	return s.Subject[i].Name, nil
}

// PredicateOf is the type of the statement in a Sigstore bundle, of which nothing is verified.
func PredicateOf(bundle []byte) (string, error) {
	var b struct {
		Envelope struct {
			Payload string `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return "", errors.New("it is no bundle of Sigstore's")
	}
	statement, err := base64.StdEncoding.DecodeString(b.Envelope.Payload)
	if err != nil {
		return "", errors.New("it is no bundle of Sigstore's")
	}
	return frame(statement)
}
