// Plan files between Diff and Apply.

package provisioner

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestNothingSecretIsLeftBehind(t *testing.T) {
	real(t)
	dir := t.TempDir()
	p := Terraform(at(dir, world(nil)))
	state := filepath.Join(t.TempDir(), "deep", "state.json")
	s := stack("a", good)
	s.State = schemas.State{Path: state}
	mustApply(t, p, s)
	mustDiff(t, p, s)
	if _, err := os.Stat(state); err != nil {
		t.Errorf("the state is not where it was declared: %v", err)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != dir && !strings.Contains(path, ".terraform") && info.Mode().Perm() != 0o700 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), secret) || strings.HasSuffix(path, ".tfplan") {
			t.Errorf("%s is left behind", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWaitingPlansAreReadableByTheirOwnerAlone(t *testing.T) {
	real(t)
	dir := t.TempDir()
	now := time.Now()
	cfg := at(dir, world(nil))
	cfg.Env.Now = func() time.Time { return now }
	p := Terraform(cfg)
	c := mustDiff(t, p, stack("a", good))
	info, err := os.Stat(c.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the plan file has mode %v, %v", info.Mode(), err)
	}
	now = now.Add(planLife + time.Hour)
	next := stack("a", good)
	next.Vars["size"] = 2
	mustDiff(t, p, next)
	if _, err := os.Stat(c.File); err == nil {
		t.Error("a plan that nobody came back for is kept for ever")
	}
}

func TestAPlanIsAppliedOnlyAsItWasMade(t *testing.T) {
	real(t)
	p := Terraform(at(t.TempDir(), world(nil)))
	s := stack("a", good)
	for name, spoil := range map[string]func(*port.Change, *port.Infrastructure){
		"lost":           func(c *port.Change, _ *port.Infrastructure) { os.Remove(c.File) },
		"altered":        func(c *port.Change, _ *port.Infrastructure) { appendTo(t, c.File, "x") },
		"elsewhere":      func(c *port.Change, _ *port.Infrastructure) { c.File = filepath.Join(t.TempDir(), "p.tfplan") },
		"no file":        func(c *port.Change, _ *port.Infrastructure) { c.File = "" },
		"another change": func(c *port.Change, _ *port.Infrastructure) { c.Digest = "sha256:00" },
		"another module": func(_ *port.Change, s *port.Infrastructure) { s.Source = module(good + "\n") },
		"another state":  func(_ *port.Change, s *port.Infrastructure) { s.State.Path = filepath.Join(t.TempDir(), "s") },
	} {
		t.Run(name, func(t *testing.T) {
			c, s := mustDiff(t, p, s), s
			spoil(&c, &s)
			out, err := p.Apply(t.Context(), s, c)
			if fault.Of(err) != fault.Conflict || len(out.Done) != 0 || !strings.Contains(err.Error(), "Saved plan is stale") {
				t.Errorf("got %v, %+v", err, out)
			}
		})
	}
	if c := mustDiff(t, p, s); len(c.Actions) != 2 {
		t.Errorf("something was done: %+v", c.Actions)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
