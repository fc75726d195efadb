// What people and other replicas write to a branch that is delivered to.

package kubernetes

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestWhatIsDoneByHandToADeliveryIsFound(t *testing.T) {
	t.Parallel()
	s, b := onBranch(t)
	one := delivered(s.release)("one", "v1")
	s.apply(one)
	was := b.at(deliveredTo)
	for what, c := range map[string]struct{ text, says string }{
		"a change":  {strings.Replace(was, "replicas: 1", "replicas: 2", 1), "somebody changed models/prod/one.yaml of branch environments/prod; run vishwa apply"},
		"a removal": {"", "somebody removed models/prod/one.yaml of branch environments/prod; run vishwa apply"},
	} {
		b.set(deliveredTo, c.text)
		if l := s.observe("one"); l.Health != port.Failing || !strings.HasPrefix(l.Message, c.says) {
			t.Errorf("%s: observed %+v", what, l)
		}
		if s.apply(one); b.at(deliveredTo) != was {
			t.Errorf("%s: after apply the branch has\n%s", what, b.at(deliveredTo))
		}
	}
	// Of the cluster it is told too, and left to who applies it: an account that may write nothing could not.
	resume := s.double.Halt("gitops")
	s.double.Edit("services", "one", "kubectl-edit", "", func(o map[string]any) { o["spec"].(map[string]any)["selector"] = map[string]any{"app": "other"} })
	if l := s.observe("one"); l.Health != port.Failing || !strings.Contains(l.Message, "Service one is another by spec.selector") || !strings.Contains(l.Message, "see why Argo CD or Flux") {
		t.Errorf("observed %+v", l)
	}
	resume()
	s.until("it is healed by who applies it", func() bool { return s.observe("one").Health == port.Ready })
	// A remote that does not say it hides nothing of the cluster.
	for what, away := range map[string]func(context.Context) error{
		"away":    func(context.Context) error { return fault.New(fault.Transient, "the remote is away") },
		"refuses": func(context.Context) error { return fault.New(fault.Denied, "the token has expired") },
		"hangs": func(ctx context.Context) error {
			<-ctx.Done()
			return fault.New(fault.Cancelled, "ask the remote: %w", ctx.Err())
		},
	} {
		b.is(away)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // as the controller's watch
		if l, err := s.server.Observe(ctx, "one"); err != nil || l.Health != port.Ready {
			t.Errorf("with a remote that %s it is %+v, %v", what, l, err)
		}
		cancel()
	}
	b.is(nil)
	b.set(deliveredTo, "kind: ConfigMap\n")
	s.refused(delivered(s.release)("one", "v2"), fault.Conflict, "models/prod/one.yaml of branch environments/prod is already there, and is not written by this Vishwa", "git log environments/prod -- models/prod/one.yaml")
	if b.at(deliveredTo) != "kind: ConfigMap\n" {
		t.Error("it was written over")
	}
}

// TestABranchThatWasNeverWrittenToIsCorrected: no release came to be there, so that nothing is changed.
func TestABranchThatWasNeverWrittenToIsCorrected(t *testing.T) {
	t.Parallel()
	s, b := onBranch(t)
	wrong := delivered(s.release)("one", "v1")
	wrong.Git.Branch = "main"
	s.refused(wrong, fault.Denied, "deliver on branch main", "")
	b.refuses = fault.New(fault.Denied, "the branch is protected")
	other := delivered(s.release)("one", "v1")
	other.Git.Path = "models/other"
	s.refused(other, fault.Denied, "the branch is protected", "")
	b.refuses = nil
	s.apply(delivered(s.release)("one", "v1"))
	if len(b.files) != 1 || b.at(deliveredTo) == "" {
		t.Errorf("the branch has %v", b.files)
	}
}

// TestAStepOfAnotherReplicaIsNotTakenForTampering: a file that somebody changed is written by a pass alone, which has
// the lease.
func TestAStepOfAnotherReplicaIsNotTakenForTampering(t *testing.T) {
	t.Parallel()
	byTarget(t, func(t *testing.T, _ string, by func(*stage) func(name, version string, how ...string) port.Release) {
		s, b := onBranch(t)
		release := delivered(by(s))
		one := release("one", "v1")
		s.apply(one)
		was, first := b.at(deliveredTo), s.server
		resume := s.double.Halt("gitops")
		s.loses()
		next := release("one", "v2")
		next.Timeout = time.Second
		s.refused(next, fault.Transient, "is written to", "")
		begun, second := b.at(deliveredTo), s.server
		s.server = first
		if l := s.observe("one"); l.Health != port.Ready {
			t.Errorf("while another replica begins a release it is %+v", l)
		}
		if _, err := first.(port.Reviver).Revive(t.Context(), "one", one.Key); fault.Of(err) != fault.Missing || b.at(deliveredTo) != begun {
			t.Errorf("revived: %v, and the branch has\n%s", err, b.at(deliveredTo))
		}
		s.server = second
		resume()
		next.Timeout = time.Minute
		s.apply(next)
		// What somebody changed is one, and the watch leaves it to a pass.
		changed := strings.Replace(b.at(deliveredTo), "eplicas: 1", "eplicas: 2", 1)
		b.set(deliveredTo, changed)
		if l := s.observe("one"); l.Health != port.Failing || !strings.HasPrefix(l.Message, "somebody changed") {
			t.Errorf("changed by hand it is %+v", l)
		}
		if _, err := second.(port.Reviver).Revive(t.Context(), "one", next.Key); fault.Of(err) != fault.Missing || b.at(deliveredTo) != changed {
			t.Errorf("revived: %v, and the branch has\n%s", err, b.at(deliveredTo))
		}
		if s.apply(next); b.at(deliveredTo) == was || b.at(deliveredTo) == changed {
			t.Errorf("after apply the branch has\n%s", b.at(deliveredTo))
		}
	})
}

// TestWhatSomebodyPutIntoTheFileIsNeverWrittenAgain: Vishwa would sign it.
func TestWhatSomebodyPutIntoTheFileIsNeverWrittenAgain(t *testing.T) {
	t.Parallel()
	byTarget(t, func(t *testing.T, _ string, by func(*stage) func(name, version string, how ...string) port.Release) {
		s, b := onBranch(t)
		release := delivered(by(s))
		s.apply(release("one", "v1"))
		const theirs = "---\napiVersion: v1\nkind: Service\nmetadata: {name: theirs}\nspec: {selector: {app: theirs}, ports: [{port: 80}]}\n"
		foreign := b.at(deliveredTo) + theirs
		b.set(deliveredTo, foreign)
		var all []string
		b.each = func(content []byte) { all = append(all, string(content)) }
		s.apply(release("one", "v2"))
		if len(all) == 0 || strings.Contains(strings.Join(all, "\n"), "theirs") {
			t.Errorf("written was\n%s", strings.Join(all, "\n"))
		}
		b.each = nil
		// Nobody knows here what it was: who could not tell writes nothing.
		changed := b.at(deliveredTo) + theirs
		b.set(deliveredTo, changed)
		s.loses()
		s.refused(release("one", "v3"), fault.Conflict, "somebody changed models/prod/one.yaml of branch environments/prod, and what it was is not recorded here", "git revert")
		if b.at(deliveredTo) != changed {
			t.Errorf("the branch has\n%s", b.at(deliveredTo))
		}
		if s.apply(release("one", "v2")); strings.Contains(b.at(deliveredTo), "theirs") { // what it goes on from
			t.Errorf("the branch has\n%s", b.at(deliveredTo))
		}
	})
}
