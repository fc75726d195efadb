// The model signature: which files, with which bytes, are the model. Its format
// is the OpenSSF Model Signing specification v1.0 (github.com/ossf/model-signing-spec),
// so that others' programs verify it too.

package attest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// ModelSignature is the predicate type of a model signature, SignatureFile its
// name in a released model's folder.
const (
	ModelSignature = "https://model_signing/signature/v1.0"
	SignatureFile  = "model.sig"
)

// unhashed are the names that every reader of the format leaves out at a model's
// top level. A file there would not be covered.
var unhashed = []string{".git", ".gitignore", ".gitattributes", ".github", SignatureFile}

// Unsigned is the first of names, of what is at the top level of a model's folder, that
// verifiers leave out, so that no signature would cover it; "" where all are covered.
func Unsigned(names []string) string {
	for _, name := range names {
		if slices.Contains(unhashed, name) {
			return name
		}
	}
	return ""
}

type resource struct {
	Name      string `json:"name"`
	Digest    string `json:"digest"`
	Algorithm string `json:"algorithm"`
}

type serialization struct {
	Method        string    `json:"method"`
	HashType      string    `json:"hash_type"`
	AllowSymlinks bool      `json:"allow_symlinks"`
	IgnorePaths   *[]string `json:"ignore_paths,omitempty"`
}

type modelPredicate struct {
	Resources     []resource    `json:"resources"`
	Serialization serialization `json:"serialization"`
}

// Model is what a model signature says.
type Model struct {
	Name  string        // for people
	Root  digest.Digest // over the files' digests in order
	Files []File
}

// File is one signed file.
type File struct {
	Path   string
	Digest digest.Digest
}

// StateModel builds the statement of a model signature.
func StateModel(name string, m digest.Manifest) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, errors.New("a model without files cannot be signed")
	}
	p := modelPredicate{Serialization: serialization{Method: "files", HashType: "sha256"}}
	for _, f := range m {
		if top, _, _ := strings.Cut(f.Path, "/"); Unsigned([]string{top}) != "" {
			return nil, fmt.Errorf("%s cannot be in a model: verifiers leave %s out, so no signature would cover it", f.Path, top)
		}
		p.Resources = append(p.Resources, resource{f.Path, f.Digest.Hex(), "sha256"})
	}
	root, err := rootOf(p.Resources)
	if err != nil {
		return nil, err
	}
	return encode([]subject{{name, map[string]string{"sha256": root.Hex()}}}, ModelSignature, p)
}

// ParseModel reads the statement of a model signature, and refuses whatever could
// mean two things or cover less than it seems to: names twice, out of order or
// leading outside, files left out, links, other hashes, a root that is not theirs.
func ParseModel(raw []byte) (Model, error) {
	s, err := decode[modelPredicate](raw, ModelSignature)
	if err != nil {
		return Model{}, fmt.Errorf("model signature: %w", err)
	}
	m, err := modelOf(s)
	if err != nil {
		return Model{}, fmt.Errorf("model signature: %w", err)
	}
	return m, nil
}

func modelOf(s statement[modelPredicate]) (Model, error) {
	p := s.Predicate
	if len(s.Subject) != 1 {
		return Model{}, fmt.Errorf("it has %d subjects, want one", len(s.Subject))
	}
	ser := p.Serialization
	switch {
	case ser.Method != "files" || ser.HashType != "sha256":
		return Model{}, fmt.Errorf("it lists %s by %s, want files by sha256", ser.Method, ser.HashType)
	case ser.AllowSymlinks:
		return Model{}, errors.New("it allows symbolic links, whose targets it does not cover")
	case ser.IgnorePaths != nil && len(*ser.IgnorePaths) > 0:
		return Model{}, fmt.Errorf("it leaves out %s", strings.Join(*ser.IgnorePaths, ", "))
	case len(p.Resources) == 0:
		return Model{}, errors.New("it lists no file")
	}
	out := Model{Name: s.Subject[0].Name}
	listed := digest.Manifest{}
	for _, r := range p.Resources {
		if r.Algorithm != "sha256" {
			return Model{}, fmt.Errorf("%s is hashed by %s, want sha256", r.Name, r.Algorithm)
		}
		d, err := digest.Parse(r.Digest)
		if err != nil || d.Hex() != r.Digest {
			return Model{}, fmt.Errorf("%s: %q is not a SHA-256 in hex", r.Name, r.Digest)
		}
		listed = append(listed, digest.File{Path: r.Name, Digest: d})
		out.Files = append(out.Files, File{r.Name, d})
	}
	if err := listed.Check(); err != nil {
		return Model{}, err
	}
	root, err := rootOf(p.Resources)
	if err != nil {
		return Model{}, err
	}
	if d := s.Subject[0].Digest; len(d) != 1 || d["sha256"] != root.Hex() {
		return Model{}, errors.New("its subject's digest is not that of the files listed")
	}
	out.Root = root
	return out, nil
}

// Differences names each file in which m is not the signed model, in order of path.
func (s Model) Differences(m digest.Manifest) (out []string) {
	signed := make(map[string]digest.Digest, len(s.Files))
	for _, f := range s.Files {
		signed[f.Path] = f.Digest
	}
	for _, f := range m {
		want, ok := signed[f.Path]
		switch {
		case !ok:
			out = append(out, f.Path+": is not part of the signed model")
		case want != f.Digest:
			out = append(out, fmt.Sprintf("%s: was changed: signed %s, found %s", f.Path, want.Short(), f.Digest.Short()))
		}
		delete(signed, f.Path)
	}
	for p := range signed {
		out = append(out, p+": is missing")
	}
	slices.Sort(out)
	return out
}

// rootOf is SHA-256 over the files' raw digests in the order listed.
func rootOf(files []resource) (digest.Digest, error) {
	h := sha256.New()
	for _, f := range files {
		raw, err := hex.DecodeString(f.Digest)
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.Name, err)
		}
		h.Write(raw)
	}
	return digest.FromSum(h.Sum(nil)), nil
}
