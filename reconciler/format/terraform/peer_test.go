// The reading, held against the program: what Check refuses it refuses, and what is in
// order for it is in order here.

package terraform

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTheProgramSaysTheSame(t *testing.T) {
	program, err := exec.LookPath("terraform")
	if err != nil {
		program, err = exec.LookPath("tofu")
	}
	if err != nil {
		const way = "neither terraform nor tofu is on PATH: make tools installs tofu"
		if os.Getenv("CI") != "" {
			t.Fatal(way)
		}
		t.Skip(way)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, files(c.files)); err != nil {
				t.Fatal(err)
			}
			vars, err := json.Marshal(maps.Clone(c.vars))
			if err != nil {
				t.Fatal(err)
			}
			if c.vars == nil {
				vars = []byte("{}")
			}
			if err := os.WriteFile(filepath.Join(dir, "given.tfvars.json"), vars, 0o600); err != nil {
				t.Fatal(err)
			}
			run := func(args ...string) error {
				cmd := exec.CommandContext(t.Context(), program, args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_DATA_DIR="+filepath.Join(dir, ".data"))
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Logf("%v: %s", args, out)
				}
				return err
			}
			err = run("init", "-input=false", "-no-color")
			if err == nil {
				err = run("plan", "-input=false", "-no-color", "-var-file=given.tfvars.json")
			}
			for v := range c.vars { // a warning there; here it is an error
				if m, _ := readModule(files(c.files), ".", &budget{maxAll, maxModules}); err == nil && m.variables[v] == nil {
					return
				}
			}
			if (err != nil) != (len(c.wrong) > 0) {
				t.Errorf("the program says %v, and Check is to say %v", err, c.wrong)
			}
		})
	}
}
