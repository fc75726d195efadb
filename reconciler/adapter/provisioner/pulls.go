// Planning for a pull request: nobody has reviewed the module yet, and to plan it is to
// run it. Each plan has a folder of its own that is gone afterwards, a copy of the
// state, and a wall around every program. What was planned here is never applied.

package provisioner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/alone"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Pulls plans the stacks of pull requests. A stack's Pass and Network are what its base
// branch grants; its State is the base branch's.
type Pulls struct{ *Stacks }

var _ port.Provisioner = Pulls{}

// ForPulls is Terraform for pull requests, behind the wall that cfg.Wall asks for.
func ForPulls(cfg Config) Pulls {
	return Pulls{Terraform(cfg)}
}

// Apply refuses.
func (Pulls) Apply(context.Context, port.Infrastructure, port.Change) (port.Outcome, error) {
	return port.Outcome{}, fault.WithHint(fault.New(fault.Denied, "nothing is provisioned for a pull request"), "merge it: what it declares is provisioned after the merge")
}

// errSlow is why a plan was ended that took too long.
var errSlow = errors.New("it took too long")

// Diff plans s. The change has no file: there is nothing that Apply could carry out.
func (p Pulls) Diff(ctx context.Context, s port.Infrastructure) (port.Change, error) {
	inner, cancel := context.WithTimeoutCause(ctx, p.cfg.Patience, errSlow)
	defer cancel()
	change, err := p.diff(inner, s)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(inner), errSlow) {
		return port.Change{}, fault.WithHint(fault.New(fault.Invalid, "plan stack %s: it was ended after %s", s.Name, p.cfg.Patience), "see what the module and its providers wait for")
	}
	return change, err
}

func (p Pulls) diff(ctx context.Context, s port.Infrastructure) (port.Change, error) {
	w, err := p.open(ctx, s)
	if err != nil {
		return port.Change{}, err
	}
	defer w.close()
	if err := w.check(ctx); err != nil {
		return port.Change{}, err
	}
	tests, err := w.test(ctx)
	if err != nil {
		return port.Change{}, err
	}
	state, err := w.entrust(ctx)
	if err != nil {
		return port.Change{}, err
	}
	raw, err := w.plan(ctx)
	if err != nil {
		return port.Change{}, err
	}
	doc, err := readPlan(raw)
	if err != nil {
		return port.Change{}, fault.New(fault.Invalid, "plan stack %s: %w", s.Name, err)
	}
	change := port.Change{Empty: doc.empty(), Actions: doc.actions(), Drift: doc.drift(), Raw: raw, Tool: w.tool.String(), Warnings: w.warned, Tests: tests}
	for _, a := range change.Actions { // a provider can write what it likes in the program's name
		if !slices.Contains([]string{"create", "update", "replace", "delete", "read", "forget", "open", "close"}, a.Action) {
			return port.Change{}, fault.New(fault.Invalid, "plan stack %s: the plan has an action that is none of %s", s.Name, w.tool)
		}
	}
	if !change.Empty {
		if change.Digest, err = w.name(doc, position(state)); err != nil {
			return port.Change{}, err
		}
	}
	w.hideKeys(&change)
	return change, nil
}

// proposal is one plan of a pull request's stack.
//
//	<Dir>/<stack>/<any>/            a alone.Folder, held while the plan is made
//	<Dir>/<stack>/<any>/module/     the module and its .terraform; written behind the wall
//	<Dir>/<stack>/<any>/home/, tmp-*/ written behind the wall
//	<Dir>/<stack>/<any>/state/      there once the module is found to be in order: the copy of
//	                                the state, and the plan file; written behind the wall
//	<Dir>/<stack>/<any>/vars.tfvars.json, cli.tfrc
//
// The tests of a stack of the tracked branch have such a folder, too: tests/ in the stack's own.
type proposal struct {
	*work
	own    *alone.Folder
	policy wall.Policy
	dial   egress.Dial
	plain  map[string]string // environment without what the base passes
	passed map[string]string // what it passes
	reads  []string          // providers that lie on this machine
	known  string            // what everybody can read: the module and its variables
	veiled bool              // secrets are in reach of what runs
	tests  bool              // of the tracked branch's module, whose tests are all that is run
}

// open makes a folder ready for one plan.
func (p Pulls) open(ctx context.Context, s port.Infrastructure) (*proposal, error) {
	if !stackName.MatchString(s.Name) || s.Source == nil {
		return nil, fault.New(fault.Invalid, "open stack: %q is not a stack's name, or has no module", s.Name)
	}
	full, passed, err := environ(p.cfg.Env.Lookup, s.Pass)
	if err != nil {
		return nil, err
	}
	found, err := p.tool(ctx, full)
	if err != nil {
		return nil, err
	}
	now := p.cfg.Env.Now()
	w := &proposal{
		work:   &work{stack: s, tool: found, secrets: new(redactor), mark: newMark(now), now: now, log: p.cfg.Env.Log, grace: p.cfg.Grace},
		policy: p.cfg.Wall, dial: p.cfg.Dial, passed: map[string]string{},
	}
	for _, name := range s.Pass {
		if v, ok := full[name]; ok {
			w.passed[name] = v
		}
	}
	w.veil = w.public
	w.secrets.addStrings(passed)
	for _, v := range s.State.Backend {
		w.secrets.addStrings([]string{v})
	}
	if w.module, err = survey(s.Source); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read module of stack %s: %w", s.Name, err), "keep only plain files in the module's folder")
	}
	if w.backend, err = chooseBackend(s, filepath.Join(cmp.Or(p.cfg.States, p.cfg.Dir), s.Name)); err != nil {
		return nil, err
	}
	if err := w.makeFolder(ctx, filepath.Join(p.cfg.Dir, s.Name)); err != nil {
		return nil, err
	}
	if err := w.furnish(p.cfg.Env.Lookup); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// makeFolder makes the plan's own folder, and sweeps what ended processes left.
func (w *proposal) makeFolder(ctx context.Context, stack string) error {
	if err := os.MkdirAll(stack, 0o700); err != nil {
		return fault.WithHint(fault.New(fault.Internal, "make work directory: %w", err), "free space, or allow writing there")
	}
	own, err := alone.Make(ctx, stack, "plan-")
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Internal, "make work directory: %w", err), "free space, or allow writing there")
	}
	w.own, w.root = own, own.Path
	return nil
}

// close removes all of it.
func (w *proposal) close() {
	if err := w.own.Close(); err != nil { // swept by the next
		w.log.Warn("the folder of a plan could not be removed", "stack", w.stack.Name, "error", err)
	}
}

func (w *proposal) file(name string) string { return filepath.Join(w.root, name) }

// furnish lays the module out, and says where providers and state are.
func (w *proposal) furnish(lookup func(string) (string, bool)) error {
	if err := os.Mkdir(w.file("home"), 0o700); err != nil {
		return fault.New(fault.Internal, "make work directory: %w", err)
	}
	if err := w.layOut(); err != nil {
		return fault.New(fault.Internal, "lay out module of stack %s: %w", w.stack.Name, err)
	}
	if w.backend.Path != "" {
		if err := w.overrideBackend(w.copied()); err != nil {
			return err
		}
	}
	if err := w.writeVars(); err != nil {
		return err
	}
	if err := w.outfit(lookup); err != nil {
		return err
	}
	return w.learn()
}

// outfit says where providers are, and what of the environment is seen.
func (w *proposal) outfit(lookup func(string) (string, bool)) error {
	p, err := findProviders(lookup, w.tool.product, w.stack.Network)
	if err != nil {
		return fault.New(fault.Invalid, "plan stack %s: %w", w.stack.Name, err)
	}
	if err := os.WriteFile(w.file("cli.tfrc"), []byte(p.text), 0o600); err != nil {
		return fault.New(fault.Internal, "write configuration of %s: %w", w.tool.product, err)
	}
	w.reads = p.reads
	w.plain = map[string]string{
		"HOME": w.file("home"), "TF_CLI_CONFIG_FILE": w.file("cli.tfrc"), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1",
		"GIT_TERMINAL_PROMPT": "0", mark: w.mark,
	}
	for _, name := range []string{"PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v, ok := lookup(name); ok && v != "" {
			w.plain[name] = v
		}
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if at := w.plain[name]; filepath.IsAbs(at) && !wall.System(at) {
			if _, err := os.Stat(at); err == nil {
				w.reads = append(w.reads, filepath.Clean(at))
			}
		}
	}
	return nil
}

// copied is the state that the plan is made against, and may be spoilt.
func (w *proposal) copied() string { return w.file("state/terraform.tfstate") }

// learn notes what everybody can read of the stack: of that, messages may quote.
func (w *proposal) learn() error {
	var all strings.Builder
	for _, f := range w.module {
		raw, err := os.ReadFile(filepath.Join(w.moduleDir(), filepath.FromSlash(f.Path)))
		if err != nil {
			return fault.New(fault.Internal, "read module of stack %s: %w", w.stack.Name, err)
		}
		fmt.Fprintf(&all, "%s\n%s\n", f.Path, raw)
	}
	if vars, err := json.Marshal(w.stack.Vars); err == nil {
		all.Write(vars)
	}
	w.known = all.String()
	return nil
}

// entrust gives the plan what is the base branch's to give, from here on: the state,
// and the variables. Nothing that is said from here on is repeated but what everybody
// can read anyway.
func (w *proposal) entrust(ctx context.Context) (state []byte, err error) {
	if err := os.Mkdir(w.file("state"), 0o700); err != nil {
		return nil, fault.New(fault.Internal, "make work directory: %w", err)
	}
	w.veiled = w.veiled || len(w.passed) > 0
	if w.backend.Path == "" {
		w.veiled = true
		if err := w.connect(ctx); err != nil {
			return nil, err
		}
		raw, err := w.output(ctx, whole, "read state of", "state", "pull")
		return raw, err
	}
	if state, err = w.work.state(ctx); err != nil || len(state) == 0 {
		return nil, err
	}
	if !json.Valid(state) {
		return nil, fault.WithHint(fault.New(fault.Transient, "plan stack %s: its state is being written", w.stack.Name), "wait until the other run is done")
	}
	w.veiled = true
	if err := os.WriteFile(w.copied(), state, 0o600); err != nil {
		return nil, fault.WithHint(fault.New(fault.Internal, "copy state of stack %s: %w", w.stack.Name, err), "free space")
	}
	return state, nil
}
