// The worker begins in whatever image a run has: it needs nothing of it, and is small enough to be brought each time.

package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTheWorkerIsStaticAndSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it is built whole; run without -short")
	}
	t.Parallel()
	const most = 20 << 20
	for _, arch := range []string{"amd64", "arm64"} {
		file := filepath.Join(t.TempDir(), "vishwa-worker")
		cmd := exec.Command("go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", "-s -w", "-o", file, ".") // as make build does
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOGC=400")                          // which is a fifth of what compiling takes
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, out)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > most {
			t.Errorf("%s: %d bytes, more than %d", arch, info.Size(), most)
		}
		f, err := elf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		needs, err := f.ImportedLibraries()
		if err != nil || len(needs) > 0 {
			t.Errorf("%s: needs %v, %v", arch, needs, err)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP {
				t.Errorf("%s: is begun by another program", arch)
			}
		}
		f.Close()
		t.Logf("%s: %d bytes", arch, info.Size())
	}
}
