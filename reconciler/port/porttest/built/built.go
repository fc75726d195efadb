// Package built builds the project's programs for tests that run them as users do.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// once are the programs that were built for all tests of a package.
var once struct {
	sync.Mutex
	dir   string
	files map[string]string
}

// Once is Program for all tests of a package together, in a folder that Forget takes away.
func Once(t testing.TB, name string) string {
	t.Helper()
	once.Lock()
	defer once.Unlock()
	if file := once.files[name]; file != "" {
		return file
	}
	if once.dir == "" {
		dir, err := os.MkdirTemp("", "built-")
		if err != nil {
			t.Fatal(err)
		}
		once.dir, once.files = dir, map[string]string{}
	}
	once.files[name] = Program(t, name, once.dir)
	return once.files[name]
}

// Forget takes away what Once built.
func Forget() {
	once.Lock()
	defer once.Unlock()
	if once.dir != "" {
		_ = os.RemoveAll(once.dir)
	}
	once.dir, once.files = "", nil
}

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
