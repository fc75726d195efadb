// Pages that take a reader through a task are run from top to bottom, as they stand.

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPagesAreToldAsTheyStand: testdata/docs/PAGE.txtar sets the scene and has the page's
// shell blocks as $WORK/PAGE-1.sh and so on; then it looks at what came of them.
func TestPagesAreToldAsTheyStand(t *testing.T) {
	for _, page := range told {
		name := strings.TrimSuffix(page, ".md")
		blocks := blocksOf(t, filepath.Join("../../docs", page))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story, err := os.ReadFile("testdata/docs/" + name + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			keys := quickKeys(t)
			testscript.Run(t, testscript.Params{
				Files: []string{"testdata/docs/" + name + ".txtar"},
				Setup: func(env *testscript.Env) error {
					if err := settle(t, env, keys); err != nil {
						return err
					}
					return scripts(t, env.WorkDir, name, blocks, string(story))
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
			})
		})
	}
}

// scripts writes the shell blocks of a page, and insists that the story runs each.
func scripts(t *testing.T, dir, name string, blocks []block, story string) error {
	count := 0
	for _, b := range blocks {
		if b.language != "sh" {
			continue
		}
		count++
		file := name + "-" + strconv.Itoa(count) + ".sh"
		if !strings.Contains(story, file) {
			t.Errorf("%s:%d is not run by testdata/docs/%s.txtar: source %s there", b.file, b.line, name, file)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(b.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// TestTheUnitIsOneThatSystemdTakes, as far as this machine's systemd is there to ask.
func TestTheUnitIsOneThatSystemdTakes(t *testing.T) {
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "KillMode=process", "RestrictNamespaces=no", "ProtectKernelTunables=no"} {
		if !strings.Contains(string(raw), "\n"+want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is missing: the unit is read by this test alone")
		return
	}
	text := strings.NewReplacer("/usr/local/bin/vishwa ", "/bin/true ", "Documentation=man:vishwa-controller(1)\n", "", "DelegateSubgroup=controller\n", "").Replace(string(raw)) // the last is of systemd 254
	file := filepath.Join(t.TempDir(), "vishwa-controller.service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
