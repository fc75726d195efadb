// Planning, and the plan files between Diff and Apply. They hold every value of
// the stack, so they are readable by this user alone, named by their digest, and
// removed as soon as they are of no more use.

package provisioner

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-exec/tfexec"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// newPlan begins the name of a plan file that is being made.
const newPlan = "new-"

// plan makes a plan file and reads it as JSON.
func (w *work) plan(ctx context.Context, mode tfexec.PlanOption) (file string, raw json.RawMessage, err error) {
	f, err := os.CreateTemp(filepath.Join(w.root, "plans"), newPlan+"*.tfplan")
	if err != nil {
		return "", nil, fault.WithHint(fault.New(fault.Internal, "make plan file: %w", err), "free space, or allow writing there")
	}
	f.Close()
	defer func() {
		if err != nil {
			w.discard(f.Name())
		}
	}()
	var seen progress
	err = w.run(ctx, func(ctx context.Context) error {
		_, err := w.cli.PlanJSON(ctx, &seen, mode, tfexec.Out(f.Name()), tfexec.VarFile(w.varsFile()), tfexec.LockTimeout(w.wait))
		return err
	})
	if err != nil {
		return "", nil, w.failure("plan", seen.found(err), err)
	}
	if err := w.undeclared(seen.diagnostics); err != nil {
		return "", nil, err
	}
	w.warned = w.warnings(seen.diagnostics)
	var out text
	w.cli.SetStdout(&out)
	err = w.run(ctx, func(ctx context.Context) error {
		_, err := w.cli.ShowPlanFile(ctx, f.Name())
		return err
	})
	if err != nil {
		return "", nil, w.failure("show the plan of", fromText(err.Error()), err)
	}
	return f.Name(), json.RawMessage(strings.TrimSpace(out.String())), nil
}

// undeclared refuses variables that the module does not know: Terraform only warns
// of them, and a misspelt one would silently keep its default.
func (w *work) undeclared(all []diagnostic) error {
	for _, d := range all {
		if d.Summary != "Value for undeclared variable" {
			continue
		}
		for name := range w.stack.Vars {
			if strings.Contains(d.Detail, "named \""+name+"\"") {
				return fault.WithHint(fault.New(fault.Invalid, "stack %s: spec.vars.%s is not a variable of the module", w.stack.Name, name),
					"correct the name, or declare it in the module: variable %q {}", name)
			}
		}
		return fault.New(fault.Invalid, "stack %s: spec.vars has names that are not variables of the module: declare or remove them", w.stack.Name)
	}
	return nil
}

// saved stands beside a plan file and says what it was made from.
type saved struct {
	Change   digest.Digest `json:"change"`
	Module   digest.Digest `json:"module"`
	Backend  digest.Digest `json:"backend"`
	Tool     string        `json:"tool"`
	Position string        `json:"position"` // of the state
}

// save names a new plan file by its content and notes what it was made from.
func (w *work) save(file string, change digest.Digest, position string) (string, error) {
	sum, err := sumFile(file)
	if err != nil {
		return "", fault.New(fault.Internal, "read plan file: %w", err)
	}
	note, err := json.Marshal(saved{change, w.module.Digest(), w.backend.digest(), w.tool.String(), position})
	if err != nil {
		return "", fault.New(fault.Internal, "note plan: %w", err)
	}
	to := filepath.Join(w.root, "plans", sum.Hex()+".tfplan")
	if err = os.WriteFile(noteOf(to), note, 0o600); err == nil {
		err = os.Rename(file, to)
	}
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Internal, "keep plan file: %w", err), "free space, or allow writing there")
	}
	return to, nil
}

func noteOf(file string) string { return strings.TrimSuffix(file, ".tfplan") + ".json" }

// checkSaved makes sure that c's plan file is the one that Diff made, of this
// module and of the state as it still is.
func (w *work) checkSaved(ctx context.Context, c port.Change) error {
	stale := func(why string) error {
		return fault.WithHint(fault.New(fault.Conflict, "Saved plan is stale: stack %s: %s", w.stack.Name, why), "plan again")
	}
	if c.File == "" || filepath.Dir(c.File) != filepath.Join(w.root, "plans") {
		return stale("its plan file is not one of this stack")
	}
	sum, err := sumFile(c.File)
	if errors.Is(err, fs.ErrNotExist) {
		return stale("its plan file is missing")
	}
	if err != nil {
		return fault.New(fault.Internal, "read plan file: %w", err)
	}
	if filepath.Base(c.File) != sum.Hex()+".tfplan" {
		return stale("its plan file was altered")
	}
	var note saved
	raw, err := os.ReadFile(noteOf(c.File))
	if err != nil || json.Unmarshal(raw, &note) != nil || note.Change != c.Digest {
		return stale("its plan file is of another change")
	}
	if note.Module != w.module.Digest() || note.Backend != w.backend.digest() {
		return stale("the module is not the one that was planned")
	}
	if note.Tool != w.tool.String() {
		return stale("it was made by " + note.Tool + ", and now " + w.tool.String() + " is here")
	}
	state, err := w.state(ctx)
	if err != nil {
		return err
	}
	if position(state) != note.Position {
		return stale("the state has moved on since")
	}
	return nil
}

// apply carries out a plan file.
func (w *work) apply(ctx context.Context, file string) (*progress, error) {
	seen := new(progress)
	err := w.run(ctx, func(ctx context.Context) error {
		return w.cli.ApplyJSON(ctx, seen, tfexec.DirOrPlan(file), tfexec.LockTimeout(w.wait))
	})
	if err != nil {
		return seen, w.failure("apply", seen.found(err), err)
	}
	return seen, nil
}

// outputs reads the outputs from the state.
func (w *work) outputs(ctx context.Context) (map[string]port.Output, error) {
	got := map[string]port.Output{}
	w.cli.SetStdout(&text{})
	err := w.run(ctx, func(ctx context.Context) error {
		all, err := w.cli.Output(ctx)
		for name, o := range all {
			got[name] = port.Output{Value: o.Value, Sensitive: o.Sensitive}
		}
		return err
	})
	return got, err
}

// addresses lists the resources that the state has; none where it cannot be read.
func (w *work) addresses(ctx context.Context) map[string]bool {
	all := map[string]bool{}
	w.cli.SetStdout(&text{})
	err := w.run(ctx, func(ctx context.Context) error {
		state, err := w.cli.Show(ctx)
		if err == nil && state != nil && state.Values != nil {
			collect(state.Values.RootModule, all)
		}
		return err
	})
	if err != nil {
		w.log.Warn("state could not be read after a failed apply", "stack", w.stack.Name)
	}
	return all
}

// discard removes a plan file that was not saved; a saved one has moved away.
func (w *work) discard(file string) { _ = os.Remove(file) }

// forget removes a saved plan file of this stack.
func (w *work) forget(file string) {
	if filepath.Dir(file) == filepath.Join(w.root, "plans") {
		_ = os.Remove(file)
		_ = os.Remove(noteOf(file))
	}
}

func sumFile(path string) (digest.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, _, err := digest.Copy(io.Discard, f)
	return sum, err
}
