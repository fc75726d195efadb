// Keys, tags and manifests: there and back, in order, and nothing else is taken for one.

package registry

import (
	"bytes"
	"cmp"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
)

// TestKeysAreTags: those that Vishwa uses, as people see them in a registry.
func TestKeysAreTags(t *testing.T) {
	for key, want := range map[string]string{
		"sha256/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad":           "vishwa.sha256.ba.7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"checkpoints/00112233445566778899aabbccddeeff/0009223372036854/775-0123456789abcdef": "vishwa.checkpoints.00112233445566778899aabbccddeeff.0009223372036854.775-2d0123456789abcdef",
		"A z.é": "vishwa._41-20z7a-2ezc3za9",
	} {
		if got, err := tagOf(key); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", key, got, err, want)
		}
	}
	if _, err := tagOf(strings.Repeat("x", 122)); err == nil {
		t.Error("a tag may have 129 characters")
	}
}

// TestTagsKeepOrderAndPrefixes: a list of tags is a list of keys.
func TestTagsKeepOrderAndPrefixes(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z0-9_][a-z0-9._-]{0,127}$`)
	keys := rapid.StringN(1, 30, 35).Filter(func(k string) bool { return bucket.CheckKey(k) == nil })
	rapid.Check(t, func(t *rapid.T) {
		one, other := keys.Draw(t, "one"), keys.Draw(t, "other")
		p, errP := tagOf(one)
		q, errQ := tagOf(other)
		if errP != nil || errQ != nil {
			return
		}
		if back, ours := keyOf(p); !ours || back != one || !valid.MatchString(p) {
			t.Fatalf("%q is %q, which is %q (%v)", one, p, back, ours)
		}
		if cmp.Compare(one, other) != cmp.Compare(p, q) || strings.HasPrefix(other, one) != strings.HasPrefix(q, p) {
			t.Fatalf("%q and %q do not stand as %q and %q", p, q, one, other)
		}
	})
}

// TestManifestsComeBack: whatever an object is made of.
func TestManifestsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o object
		for range rapid.IntRange(0, 20).Draw(t, "parts") {
			l := ocispec.Descriptor{MediaType: layerType, Size: rapid.Int64Range(1, 1<<40).Draw(t, "size"), Digest: godigest.FromString(rapid.String().Draw(t, "text"))}
			o.layers, o.size = append(o.layers, l), o.size+l.Size
		}
		raw, err := o.manifest("k")
		if err != nil {
			t.Fatal(err)
		}
		got, err := readObject("k", raw)
		if err != nil || got.size != o.size || len(got.layers) != len(o.layers) {
			t.Fatalf("%+v, %v; want %+v", got, err, o)
		}
		if again, err := got.manifest("k"); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%s, then %s", raw, again)
		}
		if _, err := readObject("other", raw); err == nil {
			t.Fatal("it is another object's as well")
		}
	})
}

// TestPartsStayFew: whatever size an object has, registries take its manifest.
func TestPartsStayFew(t *testing.T) {
	for size := int64(1); size < 1<<60; size = size*3 + 1 {
		if n := (size + partSize(size, leastPart) - 1) / partSize(size, leastPart); n > mostParts {
			t.Errorf("%d bytes are %d parts", size, n)
		}
	}
	o := object{}
	for range mostParts {
		l := ocispec.Descriptor{MediaType: layerType, Digest: godigest.FromString("x"), Size: 1 << 40}
		o.layers, o.size = append(o.layers, l), o.size+l.Size
	}
	if raw, err := o.manifest(strings.Repeat("k", 100)); err != nil || len(raw) > mostManifest/2 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
}

func FuzzRegistryManifest(f *testing.F) {
	for _, o := range []object{{}, {size: 3, layers: []ocispec.Descriptor{{MediaType: layerType, Digest: godigest.FromString("abc"), Size: 3}}}} {
		raw, err := o.manifest("k")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"schemaVersion":2,"layers":[{"size":9223372036854775807},{"size":9223372036854775807}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := readObject("k", raw)
		if err != nil {
			return
		}
		sum := int64(0)
		for _, l := range o.layers {
			if l.Size <= 0 || l.Digest.Validate() != nil {
				t.Fatalf("%+v", l)
			}
			sum += l.Size
		}
		if sum != o.size || o.size < 0 {
			t.Fatalf("%d bytes in parts of %d", o.size, sum)
		}
		n := int64(0)
		for _, p := range pieces(o.layers, o.size/3, o.size/2) {
			if p.at < 0 || p.left <= 0 || p.at+p.left > p.part.Size {
				t.Fatalf("%+v", p)
			}
			n += p.left
		}
		if n != o.size/2 {
			t.Fatalf("pieces of %d bytes for %d", n, o.size/2)
		}
	})
}

func FuzzRegistryTag(f *testing.F) {
	f.Add("vishwa.sha256.ba.78")
	f.Add("vishwa._41-20z7a-2e")
	f.Fuzz(func(t *testing.T, tag string) {
		key, ours := keyOf(tag)
		if !ours {
			return
		}
		if !fs.ValidPath(key) {
			t.Fatalf("%q is the key %q", tag, key)
		}
		if again, err := tagOf(key); err != nil || again != tag {
			t.Fatalf("%q is %q, which is %q", tag, key, again)
		}
	})
}
