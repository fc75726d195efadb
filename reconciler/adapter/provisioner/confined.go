// The program behind its wall, as a pull request's plan needs it: which commands are
// run, what each of them may see, and what becomes of its output.

package provisioner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// trust is how much of what the base branch gives a command sees.
type trust int

const (
	nothing trust = iota // neither variables nor state
	tokens               // variables that log in to registries: what init needs to fetch
	whole                // all of it
)

// check initialises the module and validates it while no secret is in reach: what is
// wrong with it can be told in full.
func (w *proposal) check(ctx context.Context) error {
	grant := nothing
	for name := range w.passed {
		if strings.HasPrefix(name, "TF_TOKEN_") {
			grant = tokens
		}
	}
	w.veiled = grant == tokens
	args := []string{"init", "-input=false", "-no-color", "-reconfigure"}
	if w.backend.Path == "" {
		args = []string{"init", "-input=false", "-no-color", "-backend=false"}
	}
	out := upTo(mostSaid, nil)
	if err := w.do(ctx, grant, "initialise", out, func(err error) []diagnostic { return fromText(err.Error() + "\n" + string(out.bytes())) }, args...); err != nil {
		return err
	}
	w.veiled = false
	if err := w.atCommits(); err != nil {
		return err
	}
	if err := w.locked(); err != nil {
		return err
	}
	out = upTo(mostSaid, nil)
	return w.do(ctx, nothing, "validate", out, func(err error) []diagnostic {
		var doc struct {
			Diagnostics []diagnostic `json:"diagnostics"`
		}
		if json.Unmarshal(out.bytes(), &doc) != nil {
			return fromText(err.Error())
		}
		return doc.Diagnostics
	}, "validate", "-json", "-no-color")
}

// connect initialises the backend that the module declares.
func (w *proposal) connect(ctx context.Context) error {
	args := []string{"init", "-input=false", "-no-color", "-reconfigure"}
	for name, value := range w.backend.Settings {
		args = append(args, "-backend-config="+name+"="+value)
	}
	_, err := w.output(ctx, whole, "reach the state of", args...)
	return err
}

// plan makes a plan and reads it as JSON. The state is not locked: it is a copy, or
// credentials that can read alone could not.
func (w *proposal) plan(ctx context.Context) (json.RawMessage, error) {
	file := w.file("state/plan.tfplan")
	args := []string{"plan", "-json", "-input=false", "-no-color", "-lock=false", "-out=" + file, "-var-file=" + w.varsFile()}
	if w.stack.Remove {
		args = append(args, "-destroy")
	}
	var seen progress
	if err := w.do(ctx, whole, "plan", upTo(mostSaid, &seen), seen.found, args...); err != nil {
		return nil, err
	}
	if err := w.undeclared(seen.diagnostics); err != nil {
		return nil, err
	}
	w.warned = w.warnings(seen.diagnostics)
	raw, err := w.output(ctx, whole, "show the plan of", "show", "-json", "-no-color", file)
	return bytes.TrimSpace(raw), err
}

// output runs one command and is what it printed.
func (w *proposal) output(ctx context.Context, grant trust, what string, args ...string) ([]byte, error) {
	out := upTo(mostSaid, nil)
	err := w.do(ctx, grant, what, out, func(err error) []diagnostic { return fromText(err.Error()) }, args...)
	return out.bytes(), err
}

// do runs one command to its end; found is what it said went wrong.
func (w *proposal) do(ctx context.Context, grant trust, what string, out *limited, found func(error) []diagnostic, args ...string) error {
	said := upTo(1<<20, nil)
	cmd := &exec.Cmd{Path: w.tool.path, Args: append([]string{w.tool.product}, args...), Dir: w.moduleDir(), Env: w.environment(grant), Stdout: out, Stderr: said, WaitDelay: time.Second}
	spec, err := w.behind(grant)
	if err != nil {
		return err
	}
	g, err := sandbox.Start(cmd, w.group(), spec)
	if err != nil {
		if fault.Of(err) == fault.Cancelled {
			return err
		}
		if w.tests && fault.Of(err) == fault.Denied {
			return fmt.Errorf("%w: %w", errUnwalled, err)
		}
		return fault.WithHint(fault.New(fault.Of(err), "%s stack %s for a pull request: %w", what, w.stack.Name, err), "%s", fault.HintOf(err))
	}
	select {
	case <-ctx.Done():
		return errors.Join(w.cancelled(ctx), g.Stop(w.grace))
	case <-out.full:
		return errors.Join(fault.WithHint(fault.New(fault.Invalid, "%s stack %s: %s said more than %d MB", what, w.stack.Name, w.tool, out.most>>20), "run terraform in the module's folder to see what it says; provisioners and TF_LOG print much"), g.Stop(0))
	case <-g.Done():
	}
	if err := g.Stop(time.Second); err != nil {
		return err
	}
	end, err := g.End()
	switch {
	case err != nil:
		return fault.New(fault.Internal, "%s stack %s: %w", what, w.stack.Name, err)
	case end.Success():
		return nil
	case end.Over != "" || end.NoExec != "":
		return fault.New(fault.Invalid, "%s stack %s: %s was ended: %s", what, w.stack.Name, w.tool, end)
	}
	all := found(errors.New(end.String() + "\n" + string(said.bytes())))
	return w.astray(w.failure(what, all, errors.New(end.String())), all, g.Refused())
}

// errUnwalled says that tests were not run, as nothing would have kept them from what this machine's user may do.
var errUnwalled = errors.New("they cannot be kept apart from this machine")

// group names the processes of this plan.
func (w *proposal) group() string { return digest.Of([]byte(w.root)).Hex()[:32] }

func (w *proposal) environment(grant trust) (env []string) {
	for name, v := range w.plain {
		env = append(env, name+"="+v)
	}
	for name, v := range w.passed {
		if grant == whole || grant == tokens && strings.HasPrefix(name, "TF_TOKEN_") {
			env = append(env, name+"="+v)
		}
	}
	slices.Sort(env)
	return env
}

// behind is the wall of one command; nil is none.
func (w *proposal) behind(grant trust) (*wall.Spec, error) {
	spec := w.policy.Spec()
	if spec == nil {
		return nil, nil
	}
	spec.Write = append(spec.Write, w.moduleDir(), w.file("home"))
	if grant == whole {
		spec.Write = append(spec.Write, w.file("state"))
	}
	spec.Give = []string{w.varsFile(), w.file("cli.tfrc")}
	var err error
	if spec.Tmp, err = os.MkdirTemp(w.root, "tmp-"); err != nil { // an empty one each time
		return nil, fault.New(fault.Internal, "make temporary folder: %w", err)
	}
	spec.User = w.root
	spec.Read = append(spec.Read, w.reads...)
	spec.Read = append(spec.Read, wall.Programs(w.plain["PATH"], w.tool.path, append(slices.Clone(spec.Hidden), w.root))...)
	spec.Network = wall.Network{Hosts: w.stack.Network, Proxy: func() wall.Proxy { return egress.New(w.stack.Network, w.dial) }}
	return spec, nil
}

// limited keeps what is written to it, or passes it on, up to a bound; the rest is
// lost, and full is closed.
type limited struct {
	most int
	next io.Writer
	full chan struct{}

	mu   sync.Mutex
	kept bytes.Buffer
	n    int
}

// mostSaid bounds what one command may print: a plan of tens of thousands of resources.
const mostSaid = 64 << 20

func upTo(most int, next io.Writer) *limited {
	return &limited{most: most, next: next, full: make(chan struct{})}
}

func (l *limited) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.n
	if l.n += len(b); l.n > l.most {
		if before <= l.most {
			close(l.full)
		}
		return len(b), nil
	}
	if l.next != nil {
		return l.next.Write(b)
	}
	return l.kept.Write(b)
}

func (l *limited) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.Bytes()
}
