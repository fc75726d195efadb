// How long it takes until a model is in a registry, next to oras and crane, and how much memory.

package packager

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// BenchmarkPackAndPush packs a model of VISHWA_BENCH_MIB MiB (256), in two files, and sends it to
// a registry that has nothing of it. crane packs a tar; oras sends the files as they are.
func BenchmarkPackAndPush(b *testing.B) {
	size := int64(256)
	if text := os.Getenv("VISHWA_BENCH_MIB"); text != "" {
		var err error
		if size, err = strconv.ParseInt(text, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	model := filepath.Join(b.TempDir(), "model")
	if err := os.Mkdir(model, 0o755); err != nil {
		b.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{1})
	for _, name := range []string{"one.bin", "two.bin"} {
		f, err := os.Create(filepath.Join(model, name))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyN(f, noise, size<<19); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	program := func(b *testing.B, name string) string {
		at, err := exec.LookPath(filepath.Join(os.Getenv("VISHWA_TOOLS"), name))
		if err != nil {
			b.Skipf("%s is missing", name)
		}
		return at
	}
	run := func(b *testing.B, dir, name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	b.Run("vishwa", func(b *testing.B) {
		b.SetBytes(size << 20)
		for b.Loop() {
			b.StopTimer()
			p := packaging(b, registrytest.New(b, "", "").Address, nil, nil)
			art, err := artifact.PutTree(b.Context(), p.Store, model)
			if err != nil {
				b.Fatal(err)
			}
			before := peak(b)
			b.StartTimer()
			if _, err := p.Packager.Push(b.Context(), port.Package{At: p.At, Name: "bench", Model: art}); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(peak(b))/1024, "MiB-peak")
			b.ReportMetric(float64(before)/1024, "MiB-before")
		}
	})
	b.Run("oras", func(b *testing.B) {
		oras := program(b, "oras")
		b.SetBytes(size << 20)
		for b.Loop() {
			b.StopTimer()
			at := registrytest.New(b, "", "").Address
			b.StartTimer()
			run(b, model, oras, "push", "--plain-http", at+"/team/model:v1", "one.bin", "two.bin")
		}
	})
	b.Run("crane", func(b *testing.B) {
		crane := program(b, "crane")
		b.SetBytes(size << 20)
		for b.Loop() {
			b.StopTimer()
			at := registrytest.New(b, "", "").Address
			dir := b.TempDir()
			b.StartTimer()
			for _, name := range []string{"one", "two"} {
				run(b, filepath.Dir(model), "tar", "-cf", filepath.Join(dir, name+".tar"), "model/"+name+".bin")
			}
			run(b, dir, crane, "append", "--oci-empty-base", "-f", "one.tar", "-f", "two.tar", "-t", at+"/team/model:v1")
			b.StopTimer()
			os.RemoveAll(dir)
			b.StartTimer()
		}
	})
}

var highest = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB`)

// peak is the most memory, in KiB, that this process had since it was asked last.
func peak(b *testing.B) int {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	m := highest.FindSubmatch(raw)
	if m == nil {
		b.Skip("the kernel does not tell")
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		fmt.Println(err)
	}
	return n
}
