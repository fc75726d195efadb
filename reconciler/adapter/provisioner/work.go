// The work directory of a stack: one writer at a time, the module laid out as the
// repository has it, initialised once for a module, a tool and a backend.

package provisioner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// work is one call's hold on a stack.
//
//	<Dir>/<stack>/lock              held while a call goes on
//	<Dir>/<stack>/ready.json        what module/ was initialised for
//	<Dir>/<stack>/module/           the module and its .terraform; nothing behind a wall may write it
//	<Dir>/<stack>/tests/            a copy of these, while the module's tests are run
//	<Dir>/<stack>/vars.tfvars.json  during a call only
//	<Dir>/<stack>/plans/            plan files that wait to be applied
//	<Dir>/<stack>/terraform.tfstate where nothing else is declared
type work struct {
	stack    port.Infrastructure
	tool     tool
	recalled bool // the tool is what was noted of it before
	root     string
	backend  backend
	module   digest.Manifest
	cli      *tfexec.Terraform
	secrets  *redactor
	mark     string
	lock     *os.File
	now      time.Time
	log      *slog.Logger
	grace    time.Duration
	wait     string                      // lock time-out as Terraform spells it
	warned   []string                    // what the last plan warned of
	veil     func(diagnostic) diagnostic // takes from a message what is not to be repeated; nil leaves it
}

var stackName = lazyregexp.New(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// planLife is how long a plan file waits to be applied before it is swept.
const planLife = 24 * time.Hour

// open takes the stack and makes its work directory ready.
func (t *Stacks) open(ctx context.Context, s port.Infrastructure) (*work, error) {
	if !stackName.MatchString(s.Name) {
		return nil, fault.New(fault.Invalid, "open stack: %q is not a stack's name: want lower-case letters, digits and hyphens", s.Name)
	}
	if s.Source == nil {
		return nil, fault.New(fault.Invalid, "open stack %s: it has no module", s.Name)
	}
	env, passed, err := environ(t.cfg.Env.Lookup, s.Pass)
	if err != nil {
		return nil, err
	}
	found, recalled, err := t.known(ctx, env)
	if err != nil {
		return nil, err
	}
	now := t.cfg.Env.Now()
	w := &work{
		stack: s, tool: found, recalled: recalled, root: filepath.Join(t.cfg.Dir, s.Name), secrets: new(redactor), mark: newMark(now),
		now: now, log: t.cfg.Env.Log, grace: t.cfg.Grace, wait: t.cfg.LockTimeout.String(),
	}
	env[mark] = w.mark
	w.secrets.addStrings(passed)
	w.secrets.addValue(s.Vars)
	for _, v := range s.State.Backend {
		w.secrets.addStrings([]string{v})
	}
	if w.module, err = survey(s.Source); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read module of stack %s: %w", s.Name, err), "keep only plain files in the module's folder")
	}
	if w.backend, err = chooseBackend(s, filepath.Join(cmp.Or(t.cfg.States, t.cfg.Dir), s.Name)); err != nil {
		return nil, err
	}
	if err := w.lockStack(ctx, t.cfg.LockTimeout); err != nil {
		return nil, err
	}
	if err := w.prepare(ctx, env); err != nil {
		w.close()
		if errors.Is(err, errOtherTool) {
			t.forgetTool()
			return t.open(ctx, s)
		}
		return nil, err
	}
	return w, nil
}

// lockStack waits for the stack's lock. It ends with the process that holds it.
func (w *work) lockStack(ctx context.Context, patience time.Duration) error {
	for _, dir := range []string{w.root, filepath.Join(w.root, "plans")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fault.WithHint(fault.New(fault.Internal, "make work directory: %w", err), "free space, or allow writing there")
		}
	}
	f, err := os.OpenFile(filepath.Join(w.root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fault.New(fault.Internal, "open lock of stack %s: %w", w.stack.Name, err)
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			w.lock = f
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return fault.New(fault.Internal, "lock stack %s: %w", w.stack.Name, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return w.cancelled(ctx)
		case <-end.C:
			f.Close()
			return fault.WithHint(fault.New(fault.Transient, "stack %s is being planned or applied by another vishwa on this machine", w.stack.Name),
				"wait until it is done and try again")
		case <-again.C:
		}
	}
}

// close gives the stack back and removes what holds values.
func (w *work) close() {
	_ = os.Remove(w.varsFile()) // not there after a failure before it was written
	w.lock.Close()
}

func (w *work) moduleDir() string { return filepath.Join(w.root, "module") }
func (w *work) varsFile() string  { return filepath.Join(w.root, "vars.tfvars.json") }

// ready says what a module directory was initialised for.
type ready struct {
	Module  digest.Digest `json:"module"`
	Backend digest.Digest `json:"backend"`
	Tool    string        `json:"tool"`
	Form    int           `json:"form"`
}

// readyForm tells a folder that nothing but this package and init has written. Before 1, the stack's tests could write it; before 2,
// a module named by a commit could be a branch of that name.
const readyForm = 2

// prepare lays the module out and initialises it, unless that was done before for
// the very same module, backend and tool.
func (w *work) prepare(ctx context.Context, env map[string]string) error {
	w.sweep()
	if err := os.MkdirAll(w.moduleDir(), 0o700); err != nil {
		return fault.New(fault.Internal, "make work directory: %w", err)
	}
	cli, err := tfexec.NewTerraform(w.moduleDir(), w.tool.path)
	if err == nil {
		err = cli.SetEnv(env)
	}
	if err == nil {
		err = cli.SetWaitDelay(w.grace)
	}
	if err != nil {
		return fault.New(fault.Internal, "set up %s: %w", w.tool, err)
	}
	w.cli = cli
	if w.recalled {
		if err := w.sameTool(ctx); err != nil {
			return err
		}
	}
	want := ready{Module: w.module.Digest(), Backend: w.backend.digest(), Tool: w.tool.String(), Form: readyForm}
	var have ready
	stamp := filepath.Join(w.root, "ready.json")
	if raw, err := os.ReadFile(stamp); err == nil && json.Unmarshal(raw, &have) == nil && have == want && w.initialised() {
		return w.writeVars()
	}
	if err := os.Remove(stamp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Internal, "prepare stack %s: %w", w.stack.Name, err)
	}
	if err := w.layOut(); err != nil {
		return fault.New(fault.Internal, "lay out module of stack %s: %w", w.stack.Name, err)
	}
	if err := w.initialise(ctx); err != nil {
		return err
	}
	if err := w.writeVars(); err != nil {
		return err
	}
	raw, err := json.Marshal(want)
	if err != nil {
		return fault.New(fault.Internal, "encode %s: %w", stamp, err)
	}
	if err := os.WriteFile(stamp, raw, 0o600); err != nil {
		return fault.New(fault.Internal, "prepare stack %s: %w", w.stack.Name, err)
	}
	return nil
}

// writeVars writes the declared variables as JSON, readable by this user alone.
func (w *work) writeVars() error {
	vars := w.stack.Vars
	if vars == nil {
		vars = map[string]any{}
	}
	raw, err := json.Marshal(vars)
	if err != nil {
		// The encoder's own message may quote a value.
		return fault.New(fault.Invalid, "stack %s: spec.vars cannot be written as JSON", w.stack.Name)
	}
	if err := os.WriteFile(w.varsFile(), raw, 0o600); err != nil {
		return fault.New(fault.Internal, "write variables of stack %s: %w", w.stack.Name, err)
	}
	return nil
}

// survey lists the module's files. A .terraform folder that somebody left in the
// work tree is no part of the module; anything but plain files is refused.
func survey(module fs.FS) (digest.Manifest, error) {
	all, err := digest.Walk(without{module})
	if err != nil {
		return nil, err
	}
	config := false
	for _, f := range all {
		if f.Path == overrideFile {
			return nil, fmt.Errorf("%s is a name that Vishwa writes itself", f.Path)
		}
		if !strings.Contains(f.Path, "/") {
			config = config || strings.HasSuffix(f.Path, ".tf") || strings.HasSuffix(f.Path, ".tf.json") || strings.HasSuffix(f.Path, ".tofu")
		}
	}
	if !config {
		return nil, errors.New("no .tf file is there")
	}
	return all, nil
}

// without hides .terraform folders of a file system.
type without struct{ fs.FS }

func (w without) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(w.FS, name)
	kept := all[:0:0]
	for _, e := range all {
		if e.Name() != ".terraform" {
			kept = append(kept, e)
		}
	}
	return kept, err
}

// layOut writes the module anew: nothing of another module stays behind.
func (w *work) layOut() error {
	if err := sandbox.Remove(w.moduleDir()); err != nil {
		return err
	}
	for _, f := range w.module {
		info, err := fs.Stat(w.stack.Source, f.Path)
		if err != nil {
			return err
		}
		raw, err := fs.ReadFile(w.stack.Source, f.Path)
		if err != nil {
			return err
		}
		to := filepath.Join(w.moduleDir(), filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		// A script that the module runs stays executable.
		if err := os.WriteFile(to, raw, 0o600|info.Mode().Perm()&0o100); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what an ended process left: variables, half-made plans, and plans
// that nobody came back for.
func (w *work) sweep() {
	_ = os.Remove(w.varsFile())
	plans := filepath.Join(w.root, "plans")
	entries, _ := os.ReadDir(plans) // made by take
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && (strings.HasPrefix(e.Name(), newPlan) || w.now.Sub(info.ModTime()) > planLife) {
			_ = os.Remove(filepath.Join(plans, e.Name()))
		}
	}
}
