// How fast a large model is signed and verified, beside the hash alone.

package signer

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const large = 2 << 30 // bytes

func BenchmarkLargeModel(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "model")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	weights := filepath.Join(dir, "weights.safetensors")
	fill(b, weights)
	k, v := open(b)
	name := func() port.Artifact {
		m, err := artifact.Walk(b.Context(), dir)
		if err != nil {
			b.Fatal(err)
		}
		return port.Artifact{Name: "model", Digest: m.Digest(), Size: m.Size(), Files: m}
	}
	signature, provenance, err := SignModel(b.Context(), k, name(), born)
	if err != nil {
		b.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"sha256 alone": func() error {
			f, err := os.Open(weights)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{f}, make([]byte, 32<<10))
			return err
		},
		"sign":   func() error { _, _, err := SignModel(b.Context(), k, name(), born); return err },
		"verify": func() error { _, err := VerifyModel(b.Context(), v, dir, signature, provenance); return err },
	} {
		b.Run(what, func(b *testing.B) {
			b.SetBytes(large)
			b.ReportAllocs()
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func fill(b *testing.B, path string) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var seed [32]byte
	if _, err := io.CopyN(f, rand.NewChaCha8(seed), large); err != nil {
		b.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		b.Fatal(err)
	}
	if _, _, err := digest.Reader(f); err != nil { // into the page cache
		b.Fatal(err)
	}
}
