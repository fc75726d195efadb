// The program is asked once for what it is, and asked again where it is another one.

package provisioner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestTheVersionIsAskedOnce(t *testing.T) {
	program := real(t)
	if product(t) != "terraform" {
		t.Skip("OpenTofu is asked each time, for what is wrong with its configuration")
	}
	dir := t.TempDir()
	asked, shim := filepath.Join(dir, "asked"), filepath.Join(dir, "terraform")
	write := func(answer string) {
		put(t, shim, fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = version ]; then echo \"$@\" >> %s; fi\n%sexec %s \"$@\"\n", asked, answer, program))
		if err := os.Chmod(shim, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := at(filepath.Join(dir, "state"), world(nil))
	c.Tool = shim
	diff := func() (port.Change, string) {
		t.Helper()
		_ = os.Remove(asked)
		change, err := Terraform(c).Diff(t.Context(), stack("db", good))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := os.ReadFile(asked)
		return change, string(raw)
	}
	write("")
	first, _ := diff()
	again, times := diff()
	if times != "version -json\n" || again.Tool != first.Tool {
		t.Errorf("it was asked %q, and is %s, %s", times, first.Tool, again.Tool)
	}

	// A manager of versions: the same file is another program.
	note := filepath.Join(c.Dir, "tool.json")
	raw, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimPrefix(first.Tool, "terraform ")
	put(t, note, strings.ReplaceAll(string(raw), version, "1.5.7"))
	if other, _ := diff(); other.Tool != first.Tool {
		t.Errorf("it is %s, and was taken for %s", first.Tool, other.Tool)
	}
	if _, times = diff(); times != "version -json\n" {
		t.Errorf("then it was asked %q", times)
	}
}
