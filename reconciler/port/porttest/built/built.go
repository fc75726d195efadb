// Package built builds the project's programs for tests that run them as users do.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program builds the command of a name (vishwa, vishwa-worker) into a folder and returns its
// file. It is built as make build and a release build it: whichever test comes first, the
// others find what it compiled in the compiler's cache.
func Program(t testing.TB, name, dir string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", "-s -w", "-o", file, "github.com/vishwaops/vishwa/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return file
}

// Tests builds the tests of a package into a file, as make bench-guard does and Program the programs: not watched for races.
func Tests(pkg, file string) error {
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-gcflags=all=-dwarf=false", "-vet=off", "-ldflags", "-s -w", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOGC=400") // as make has it compile
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, out)
	}
	return nil
}
