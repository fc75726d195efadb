// What every packager keeps to, wherever it keeps packages.

package porttest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Packaging is a packager, and what stands behind it.
type Packaging struct {
	Packager port.Packager
	Reader   port.PackageReader
	Store    port.Store
	At       port.Registry
	// Lose takes the content of this digest away.
	Lose func(t *testing.T, d digest.Digest)
	// Secrets are those of the credentials.
	Secrets []string
}

// Packager insists on port.Packager's and port.PackageReader's promises. open gives a place of
// its own.
func Packager(t *testing.T, open func(t *testing.T) Packaging) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, Packaging){
		"TheSameModelIsTheSamePackage":           packagerSame,
		"WhatIsPackedIsUnpacked":                 packagerRoundTrip,
		"NothingIsNamedBeforeItIsPublished":      packagerUnnamed,
		"ATagMovesFromPackageToPackage":          packagerTags,
		"ATagOfOthersStays":                      packagerForeignTag,
		"WhatIsLostIsFoundAndSentAgain":          packagerLost,
		"WhatTheStoreLacksIsNotPacked":           packagerLacking,
		"EvidenceIsFoundByEachOfItsDigests":      packagerEvidence,
		"AnAbsentPackageIsMissing":               packagerAbsent,
		"CancelledPackingIsCancelled":            packagerCancelled,
		"AModelThatIsAnotherThanItSaysIsRefused": packagerMisnamed,
	} {
		t.Run(name, func(t *testing.T) { law(t, open(t)) })
	}
}

func (p Packaging) model(t *testing.T, files map[string]string) port.Artifact {
	t.Helper()
	var m digest.Manifest
	for name, text := range files {
		d, n, err := p.Store.Put(t.Context(), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		m = append(m, digest.File{Path: name, Digest: d, Size: n})
	}
	slices.SortFunc(m, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	return port.Artifact{Name: "price", Digest: m.Digest(), Size: m.Size(), Files: m}
}

// some is a model of two large files and a few small ones; other differs in one of them.
func (p Packaging) some(t *testing.T, other string) port.Artifact {
	return p.model(t, map[string]string{
		"model.json": `{"layers": 2}`, "README.md": "what it is", "weights/0.bin": strings.Repeat("0", 1<<20), "weights/1.bin": strings.Repeat("1", 1<<20+7), "own.bin": other,
	})
}

func (p Packaging) push(t *testing.T, m port.Artifact) port.Packed {
	t.Helper()
	got, err := p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: m})
	if err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	return got
}

// publish publishes with evidence that nobody signed: a packager does not look into it.
func (p Packaging) publish(t *testing.T, packed port.Packed, tags port.PackageTags) (port.Packed, error) {
	t.Helper()
	return p.Packager.Publish(t.Context(), p.At, packed, [][]byte{unsigned("https://example.com/a/v1"), unsigned("https://example.com/b/v1")}, tags)
}

func unsigned(kind string) []byte {
	return Bundle([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"00"}}],"predicateType":"` + kind + `","predicate":{}}`))
}

func packagerSame(t *testing.T, p Packaging) {
	m := p.some(t, "x")
	first, again := p.push(t, m), p.push(t, m)
	if first.Digest == "" || first.Digest != again.Digest || first.ModelPack != again.ModelPack || !slices.Equal(first.Images, again.Images) {
		t.Errorf("%+v, then %+v", first, again)
	}
	if other := p.push(t, p.some(t, "y")); other.Digest == first.Digest {
		t.Error("another model is the same package")
	}
}

func packagerRoundTrip(t *testing.T, p Packaging) {
	m := p.some(t, "x")
	packed := p.push(t, m)
	found, err := p.Reader.Read(t.Context(), p.At, string(packed.Digest))
	if err != nil || found.Name != "price" || found.Model != m.Digest || !slices.Equal(found.Manifests, packed.Manifests()) {
		t.Fatalf("%+v, %v", found, err)
	}
	var mu sync.Mutex
	var back digest.Manifest
	if err := p.Reader.Unpack(t.Context(), p.At, found, func(path string, size int64, in io.Reader) error {
		raw, err := io.ReadAll(in)
		mu.Lock()
		defer mu.Unlock()
		back = append(back, digest.File{Path: path, Digest: digest.Of(raw), Size: size})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(back, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	if back.Digest() != m.Digest {
		t.Errorf("%v came back as %v", m.Files, back)
	}
}

func packagerUnnamed(t *testing.T, p Packaging) {
	packed := p.push(t, p.some(t, "x"))
	s, err := p.Packager.Inspect(t.Context(), p.At, packed, []string{"stable"})
	if is, named := s.Elsewhere["stable"]; err != nil || s.Lacks != "" || is != "" || !named {
		t.Errorf("%+v, %v", s, err)
	}
	published, err := p.publish(t, packed, port.PackageTags{Names: []string{"stable"}})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := p.Packager.Inspect(t.Context(), p.At, published, []string{"stable"}); err != nil || s.Lacks != "" || len(s.Elsewhere) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if again, err := p.publish(t, packed, port.PackageTags{Names: []string{"stable"}}); err != nil || len(again.Evidence) != 2 || !slices.Equal(again.Evidence[0].Attached, published.Evidence[0].Attached) {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func packagerTags(t *testing.T, p Packaging) {
	one, two := p.push(t, p.some(t, "x")), p.push(t, p.some(t, "y"))
	tags := port.PackageTags{Names: []string{"stable", "v1.0"}}
	if _, err := p.publish(t, one, tags); err != nil {
		t.Fatal(err)
	}
	tags.From = []digest.Digest{one.Digest}
	if _, err := p.publish(t, two, tags); err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags.Names {
		if found, err := p.Reader.Read(t.Context(), p.At, tag); err != nil || found.Digest != two.Digest {
			t.Errorf("%s: %+v, %v", tag, found, err)
		}
	}
	s, err := p.Packager.Inspect(t.Context(), p.At, one, tags.Names)
	if err != nil || s.Lacks != "" || s.Elsewhere["stable"] != two.Digest {
		t.Errorf("%+v, %v", s, err)
	}
}

func packagerForeignTag(t *testing.T, p Packaging) {
	one, two := p.push(t, p.some(t, "x")), p.push(t, p.some(t, "y"))
	if _, err := p.publish(t, one, port.PackageTags{Names: []string{"stable"}}); err != nil {
		t.Fatal(err)
	}
	_, err := p.publish(t, two, port.PackageTags{Names: []string{"stable"}})
	p.refuses(t, err, fault.Conflict)
	if found, err := p.Reader.Read(t.Context(), p.At, "stable"); err != nil || found.Digest != one.Digest {
		t.Errorf("it moved to %+v, %v", found, err)
	}
}

func (p Packaging) refuses(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.Of(err) != want {
		t.Errorf("%v (%v), want %v", err, fault.Of(err), want)
		return
	}
	for _, s := range p.Secrets {
		if strings.Contains(err.Error()+fault.HintOf(err), s) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func packagerLost(t *testing.T, p Packaging) {
	m := p.some(t, "x")
	packed, err := p.publish(t, p.push(t, m), port.PackageTags{})
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]digest.Digest{"a layer": packed.Layers[0].Digest, "an image": packed.Manifests()[2], "the index": packed.Digest} {
		p.Lose(t, d)
		if s, err := p.Packager.Inspect(t.Context(), p.At, packed, nil); err != nil || s.Lacks == "" {
			t.Errorf("%s is gone, and %+v, %v", name, s, err)
		}
		again, err := p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: m, Known: packed.Layers})
		if err != nil || again.Digest != packed.Digest {
			t.Fatalf("%s: %+v, %v", name, again, err)
		}
		if _, err := p.publish(t, again, port.PackageTags{}); err != nil {
			t.Fatal(err)
		}
		if s, err := p.Packager.Inspect(t.Context(), p.At, packed, nil); err != nil || s.Lacks != "" {
			t.Errorf("%s: then %+v, %v", name, s, err)
		}
	}
}

func packagerLacking(t *testing.T, p Packaging) {
	m := p.some(t, "x")
	for i := range m.Files {
		if m.Files[i].Path == "own.bin" {
			m.Files[i].Digest = digest.Of([]byte("nobody put this"))
		}
	}
	m.Digest = m.Files.Digest()
	packed, err := p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: m})
	p.refuses(t, err, fault.Missing)
	if packed.Digest != "" {
		t.Errorf("%+v", packed)
	}
}

func packagerEvidence(t *testing.T, p Packaging) {
	packed, err := p.publish(t, p.push(t, p.some(t, "x")), port.PackageTags{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Reader.Read(t.Context(), p.At, string(packed.Digest))
	if err != nil || len(found.Evidence) != 2 {
		t.Fatalf("%d bundles, %v", len(found.Evidence), err)
	}
	for _, e := range packed.Evidence {
		if len(e.Attached) != len(packed.Manifests()) || e.Type == "" || !slices.ContainsFunc(found.Evidence, func(b []byte) bool { return digest.Of(b) == e.Bundle }) {
			t.Errorf("%+v", e)
		}
	}
}

func packagerAbsent(t *testing.T, p Packaging) {
	_, err := p.Reader.Read(t.Context(), p.At, string(digest.Of([]byte("nothing"))))
	p.refuses(t, err, fault.Missing)
	_, err = p.Reader.Read(t.Context(), p.At, "nosuch")
	p.refuses(t, err, fault.Missing)
}

func packagerCancelled(t *testing.T, p Packaging) {
	m := p.some(t, "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Packager.Push(ctx, port.Package{At: p.At, Name: "price", Model: m})
	p.refuses(t, err, fault.Cancelled)
}

func packagerMisnamed(t *testing.T, p Packaging) {
	m := p.some(t, "x")
	m.Digest = digest.Of(bytes.Repeat([]byte("x"), 3))
	_, err := p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: m})
	p.refuses(t, err, fault.Invalid)
	_, err = p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: p.model(t, map[string]string{".wh.a": "x"})})
	p.refuses(t, err, fault.Invalid)
}

// Bundle is a Sigstore bundle of a statement whose signature is none.
func Bundle(statement []byte) []byte {
	raw, err := digest.Canonical(map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": "none"}},
		"dsseEnvelope": map[string]any{"payload": statement, "payloadType": "application/vnd.in-toto+json",
			"signatures": []any{map[string]any{"sig": []byte("none")}}},
	})
	if err != nil {
		panic(err) // strings
	}
	return raw
}
