// vishwa demo: the main job, end to end, on the running example. Every line that
// begins with a dollar is a command that the reader could have typed.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/examples/register"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

const example = "student-intelligence"

func (a *cli) demoVerb() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Show the main job on the running example, in a new folder",
		Long: `Show the main job on the running example, in a new folder (vishwa-demo unless DIR
names another): train, sign, provision, deploy, ask, change, revert, refuse, approve,
tamper, explain, verify; then ask about students of another kind, find the drift and
retrain. Needs git, python3, terraform or tofu and, the first time, a Python package
index. You can look at the folder afterwards; env.sh in it sets the variables that you
need to go on by hand.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "vishwa-demo"
			if len(args) == 1 {
				dir = args[0]
			}
			return a.demo(cmd.Context(), a.path(dir), keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-serving", false, "leave the models served at the end")
	return cmd
}

// person is somebody of the story.
type person struct{ name, email, key, public string }

// demonstration is the story under way.
type demonstration struct {
	a          *cli
	ctx        context.Context // of one command line, from beginning to end
	self       string
	dir        string // of everything
	repo       string // the clone that the team works in
	env        []string
	alice, bob person
	chapter    int
	began      time.Time
	register   register.Register // where the students come from, at the end
}

func (a *cli) demo(ctx context.Context, dir string, keep bool) (err error) {
	d, err := a.stage(ctx, dir)
	if err != nil {
		return err
	}
	defer d.register.Close()
	if !keep {
		defer func() {
			_, downErr := d.run(context.WithoutCancel(ctx), 0, true, d.self, "down")
			err = errors.Join(err, downErr)
		}()
	}
	for _, chapter := range []func() error{
		d.firstApply, d.ask, d.secondApply, d.changedParam, d.revert, d.pickle, d.production, d.tamper, d.explain,
		d.registered, d.usual, d.evening, d.proposed, d.retrained,
	} {
		if err := chapter(); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.out, "\nDone in %s. All of it is in %s; to go on by hand:\n\n  . %s\n  cd %s\n  vishwa apply --yes    # serves the models again\n  vishwa status\n",
		a.now().Sub(d.began).Round(time.Second), dir, filepath.Join(dir, "env.sh"), d.repo)
	return nil
}

func (d *demonstration) firstApply() error {
	d.narrate("First apply: pin the data, make features, train two candidates side by side, select and sign the better one, provision, deploy, record.")
	if _, err := d.run(d.ctx, 0, false, d.self, "apply", "--yes"); err != nil {
		return err
	}
	_, err := d.run(d.ctx, 0, false, d.self, "metrics")
	return err
}

func (d *demonstration) ask() error {
	d.narrate("Ask the deployed model about two students (Open Inference Protocol). The headers name the exact model and release that answered.")
	return d.question("deployment/enrollment-staging")
}

func (d *demonstration) secondApply() error {
	d.narrate("Second apply: nothing changed, so nothing is done.")
	return d.expect("Nothing to do", "apply", "--yes")
}

func (d *demonstration) changedParam() error {
	d.narrate("A parameter changes. The plan says what runs again and why; what does not need it is kept.")
	if err := d.step("better-params", "Tune a candidate"); err != nil {
		return err
	}
	if err := d.expect("param", "plan"); err != nil {
		return err
	}
	_, err := d.run(d.ctx, 0, false, d.self, "apply", "--yes")
	return err
}

func (d *demonstration) revert() error {
	d.narrate("A revert: the old model is found by its key and served again. Nothing is trained.")
	if err := d.undo(); err != nil {
		return err
	}
	before, err := d.run(d.ctx, 0, true, d.self, "log", "--action", "train")
	if err != nil {
		return err
	}
	if _, err := d.run(d.ctx, 0, false, d.self, "apply", "--yes"); err != nil {
		return err
	}
	after, err := d.run(d.ctx, 0, true, d.self, "log", "--action", "train")
	if err != nil {
		return err
	}
	if before != after {
		return fault.New(fault.Internal, "the revert trained something")
	}
	return nil
}

func (d *demonstration) pickle() error {
	d.narrate("Somebody saves the model as a pickle under an innocent name. Loading a pickle runs code, so policy refuses it by its content (exit code 3).")
	if err := d.step("pickle", "Save the model with joblib"); err != nil {
		return err
	}
	if _, err := d.run(d.ctx, exitRefused, false, d.self, "apply", "--yes"); err != nil {
		return err
	}
	return d.undo()
}

func (d *demonstration) production() error {
	d.narrate("Alice declares a production deployment. Production needs an approval, so it is held, and the refusal is recorded (exit code 5).")
	if err := d.step("production", "Deploy to production"); err != nil {
		return err
	}
	if _, err := d.run(d.ctx, exitHeld, false, d.self, "apply", "--yes"); err != nil {
		return err
	}
	file := filepath.Join(d.dir, "plan.json")
	if _, err := d.run(d.ctx, 0, true, d.self, "plan", "--out", file); err != nil {
		return err
	}
	d.narrate("Alice wrote the change, so her approval does not count. Bob's does: he signs the digests of plan, model and rules with his own SSH key.")
	if _, err := d.run(d.ctx, exitError, false, d.self, "approve", file, "--key", d.alice.key); err != nil {
		return err
	}
	if _, err := d.run(d.ctx, 0, false, d.self, "approve", file, "--key", d.bob.key); err != nil {
		return err
	}
	if _, err := d.run(d.ctx, 0, false, d.self, "apply", file); err != nil {
		return err
	}
	return d.question("deployment/enrollment-production")
}

func (d *demonstration) tamper() error {
	d.narrate("Verify the released model; then change one byte of it and verify again.")
	out := filepath.Join(d.dir, "release")
	if _, err := d.run(d.ctx, 0, false, d.self, "verify", "model/enrollment", "--out", out); err != nil {
		return err
	}
	model := filepath.Join(out, "model")
	if err := flip(model); err != nil {
		return err
	}
	_, err := d.run(d.ctx, exitError, false, d.self, "verify", model)
	return err
}

// flip changes one byte of the first file of a released model.
func flip(model string) error {
	entries, err := os.ReadDir(model)
	if err != nil {
		return fault.New(fault.Internal, "open the release: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() || e.Name() == "model.sig" {
			continue
		}
		at := filepath.Join(model, e.Name())
		raw, err := os.ReadFile(at)
		if err != nil || len(raw) == 0 {
			return fault.New(fault.Internal, "read the release: %w", err)
		}
		raw[len(raw)/2] ^= 1
		return errors.Join(os.Chmod(at, 0o644), os.WriteFile(at, raw, 0o644))
	}
	return fault.New(fault.Internal, "the release holds no file")
}

func (d *demonstration) explain() error {
	d.narrate("Explain what production serves, down to data and author; and replay the whole ledger.")
	if _, err := d.run(d.ctx, 0, false, d.self, "explain", "deployment/enrollment-production"); err != nil {
		return err
	}
	_, err := d.run(d.ctx, 0, false, d.self, "ledger", "verify")
	return err
}
