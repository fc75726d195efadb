// The suite of port.Provisioner.

package porttest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Stacks are what a Provisioner is tried on. Each call gives a stack of its own
// name; Secret is in the variables of all of them.
type Stacks struct {
	Secret string
	Good   func(t *testing.T) port.Infrastructure        // applies, with at least one resource and one output
	Other  func(port.Infrastructure) port.Infrastructure // the same stack, declared otherwise each time it is called on its own result
	Broken func(t *testing.T) port.Infrastructure        // does something and then fails, quoting the secret
	Slow   func(t *testing.T) port.Infrastructure        // takes minutes to apply
	Wrong  func(t *testing.T) port.Infrastructure        // cannot be planned: its declaration is wrong
}

// Provisioner insists on port.Provisioner's promises. open gives the Provisioner;
// every call opens the same world anew, as another process would.
func Provisioner(t *testing.T, s Stacks, open func(t *testing.T) port.Provisioner) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, Stacks, func(*testing.T) port.Provisioner){
		"DiffAfterApplyIsEmpty":      provisionerSettles,
		"TheSameChangeHasOneDigest":  provisionerDigest,
		"AStalePlanIsConflict":       provisionerStale,
		"AChangeIsAppliedOnce":       provisionerOnce,
		"DestroyTwiceIsOnce":         provisionerDestroy,
		"FailureTellsWhatWasDone":    provisionerPartial,
		"CancellationReturnsSoon":    provisionerCancelled,
		"AWrongDeclarationIsInvalid": provisionerWrong,
	} {
		t.Run(name, func(t *testing.T) { law(t, s, open) })
	}
}

func diff(t *testing.T, p port.Provisioner, s port.Infrastructure) port.Change {
	t.Helper()
	c, err := p.Diff(t.Context(), s)
	if err != nil {
		t.Fatalf("diff %s: %v", s.Name, err)
	}
	return c
}

func provision(t *testing.T, p port.Provisioner, s port.Infrastructure) port.Outcome {
	t.Helper()
	out, err := p.Apply(t.Context(), s, diff(t, p, s))
	if err != nil {
		t.Fatalf("apply %s: %v", s.Name, err)
	}
	return out
}

// hushed fails where an error tells the secret.
func hushed(t *testing.T, s Stacks, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), s.Secret) || strings.Contains(fault.HintOf(e), s.Secret) {
			t.Fatalf("the error tells the secret: %v", e)
		}
	}
}

func provisionerSettles(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	stack := s.Good(t)
	c := diff(t, open(t), stack)
	if c.Empty || len(c.Actions) == 0 || len(c.Raw) == 0 || c.Tool == "" || c.Digest == "" {
		t.Fatalf("the first diff of a stack is %+v", c)
	}
	out, err := open(t).Apply(t.Context(), stack, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Done) != len(c.Actions) || out.Partial || out.State == "" || len(out.Outputs) == 0 {
		t.Fatalf("outcome is %+v after a change of %d actions", out, len(c.Actions))
	}
	again := diff(t, open(t), stack)
	if !again.Empty || len(again.Actions) != 0 {
		t.Fatalf("diff after apply is %+v", again)
	}
	for name, o := range out.Outputs {
		if string(again.Outputs[name].Value) != string(o.Value) || again.Outputs[name].Sensitive != o.Sensitive {
			t.Errorf("output %s differs between apply and the diff after it", name)
		}
	}
	if out, err := open(t).Apply(t.Context(), stack, again); err != nil || len(out.Done) != 0 {
		t.Errorf("applying an empty change: %+v, %v", out, err)
	}
}

func provisionerDigest(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	stack := s.Good(t)
	a, b := diff(t, open(t), stack), diff(t, open(t), stack)
	if a.Digest != b.Digest {
		t.Errorf("two diffs of one change are named %s and %s", a.Digest, b.Digest)
	}
	if c := diff(t, open(t), s.Other(stack)); c.Digest == a.Digest {
		t.Error("another declaration has the same digest")
	}
}

func provisionerStale(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	stack := s.Good(t)
	p := open(t)
	next := stack
	for _, when := range []string{"before there is a state", "after"} {
		stale := diff(t, p, stack)
		next = s.Other(next)
		provision(t, p, next)
		out, err := p.Apply(t.Context(), stack, stale)
		if fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
			t.Fatalf("%s: applying a stale plan: %v (%v), want a conflict with a way out", when, err, fault.Of(err))
		}
		if len(out.Done) != 0 || out.Partial {
			t.Fatalf("%s: a stale plan did %+v", when, out.Done)
		}
		hushed(t, s, err)
	}
	if c := diff(t, p, next); !c.Empty {
		t.Errorf("the refused plan changed something: %+v", c.Actions)
	}
}

func provisionerOnce(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	stack := s.Good(t)
	c := diff(t, open(t), stack)
	if _, err := open(t).Apply(t.Context(), stack, c); err != nil {
		t.Fatal(err)
	}
	if out, err := open(t).Apply(t.Context(), stack, c); fault.Of(err) != fault.Conflict || len(out.Done) != 0 {
		t.Errorf("applying a change again: %+v, %v, want a conflict", out, err)
	}
}

func provisionerDestroy(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	stack := s.Good(t)
	p := open(t)
	provision(t, p, stack)
	gone := stack
	gone.Remove = true
	if out := provision(t, p, gone); len(out.Done) == 0 || out.Done[0].Action != "delete" {
		t.Fatalf("destroying did %+v", out.Done)
	}
	if c := diff(t, p, gone); !c.Empty {
		t.Errorf("destroying twice: %+v", c.Actions)
	}
	if c := diff(t, p, stack); c.Empty {
		t.Error("after destroying, the stack seems to stand")
	}
}

func provisionerPartial(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	stack := s.Broken(t)
	p := open(t)
	c := diff(t, p, stack)
	out, err := p.Apply(t.Context(), stack, c)
	if err == nil {
		t.Fatal("a broken stack applies")
	}
	if !out.Partial || len(out.Done) == 0 || len(out.Done) >= len(c.Actions) || out.State == "" {
		t.Errorf("of %d actions, the outcome is %+v", len(c.Actions), out)
	}
	hushed(t, s, err)
	if again := diff(t, p, stack); again.Empty || len(again.Actions) >= len(c.Actions) {
		t.Errorf("after a partial apply, %d of %d actions are left", len(again.Actions), len(c.Actions))
	}
}

func provisionerCancelled(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	stack := s.Slow(t)
	p := open(t)
	c := diff(t, p, stack)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	begun := time.Now()
	_, err := p.Apply(ctx, stack, c)
	if fault.Of(err) != fault.Cancelled {
		t.Errorf("cancelled apply: %v (%v)", err, fault.Of(err))
	}
	if took := time.Since(begun); took > 12*time.Second {
		t.Errorf("returned %s after it was begun, cancelled after 2s", took)
	}
	hushed(t, s, err)

	dead, stop := context.WithCancel(t.Context())
	stop()
	if _, err := p.Diff(dead, stack); fault.Of(err) != fault.Cancelled {
		t.Errorf("diff with a cancelled context: %v", err)
	}
	if _, err := p.Diff(t.Context(), stack); err != nil {
		t.Errorf("diff after a cancelled apply: %v", err)
	}
}

func provisionerWrong(t *testing.T, s Stacks, open func(*testing.T) port.Provisioner) {
	_, err := open(t).Diff(t.Context(), s.Wrong(t))
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("a wrong declaration: %v (%v), want invalid with a way out", err, fault.Of(err))
	}
	hushed(t, s, err)
}
