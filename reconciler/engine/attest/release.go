// A release of the program itself: which files belong to it, in the predicate that
// in-toto has for it (https://github.com/in-toto/attestation/blob/main/spec/predicates/release.md).

package attest

import (
	"errors"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// ReleaseType is the predicate type of a release of the program.
const ReleaseType = "https://in-toto.io/attestation/release/v0.1"

const releasePurl = "pkg:golang/github.com/vishwaops/vishwa@"

type releasePredicate struct {
	Purl string `json:"purl"`
}

// StateRelease builds the statement that files, in order, are the release version.
func StateRelease(version string, files []File) ([]byte, error) {
	if version == "" || len(files) == 0 {
		return nil, errors.New("a release needs a version and files")
	}
	var all []subject
	for _, f := range files {
		all = append(all, subject{f.Path, map[string]string{"sha256": f.Digest.Hex()}})
	}
	return encode(all, ReleaseType, releasePredicate{releasePurl + version})
}

// CheckRelease holds a statement against the files that are there: it has to name
// these, in this order, with these digests, as the release version.
func CheckRelease(raw []byte, version string, files []File) error {
	s, err := decode[releasePredicate](raw, ReleaseType)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if s.Predicate.Purl != releasePurl+version {
		return fmt.Errorf("release: it is about %q, want %q", s.Predicate.Purl, releasePurl+version)
	}
	if len(s.Subject) != len(files) {
		return fmt.Errorf("release: it names %s, want %d", plural.Of(len(s.Subject), "file"), len(files))
	}
	for i, f := range files {
		named, err := digest.Parse("sha256:" + s.Subject[i].Digest["sha256"])
		if err != nil {
			return fmt.Errorf("release: the digest of file %d: %w", i+1, err)
		}
		if s.Subject[i].Name != f.Path {
			return fmt.Errorf("release: file %d is %q, want %q", i+1, s.Subject[i].Name, f.Path)
		}
		if named != f.Digest {
			return fmt.Errorf("release: %s is not the file that was signed", f.Path)
		}
	}
	return nil
}
