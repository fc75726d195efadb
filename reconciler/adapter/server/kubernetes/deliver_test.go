// What people rely on where Argo CD or Flux applies what Vishwa writes to a branch: the same as elsewhere, and that
// Vishwa writes nothing to the cluster but what pods read their model by.

package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// branch is one that is kept as a map.
type branch struct {
	mu    sync.Mutex
	files map[string][]byte
	log   []string
	away  func(context.Context) error
	// before and after are called about a write, once each.
	before func()
	each   func(content []byte) // about every write
	after  func(subject string)

	refuses error // what a push is answered with
}

func (b *branch) Read(ctx context.Context, path string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil {
		return nil, b.away(ctx)
	}
	return b.files[path], nil
}

func (b *branch) Write(_ context.Context, path string, was, content []byte, message string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.before; f != nil {
		b.before = nil
		f()
	}
	has := b.files[path]
	if b.refuses != nil {
		return b.refuses
	}
	if bytes.Equal(has, content) && (has == nil) == (content == nil) {
		return nil
	}
	if !bytes.Equal(has, was) || (has == nil) != (was == nil) {
		return fault.New(fault.Conflict, "it has changed")
	}
	if b.each != nil {
		b.each(content)
	}
	subject, _, _ := strings.Cut(message, "\n")
	b.files[path], b.log = content, append(b.log, subject)
	if content == nil {
		delete(b.files, path)
	}
	if f := b.after; f != nil {
		b.after = nil
		f(subject)
	}
	return nil
}

// is has the remote answer questions by f; nil: as usual.
func (b *branch) is(f func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = f
}

// set is what somebody commits by hand.
func (b *branch) set(path, content string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files[path] = []byte(content)
	if content == "" {
		delete(b.files, path)
	}
}

func (b *branch) at(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.files[path])
}

func (b *branch) commits() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.log)
}

const deliveredTo = "models/prod/one.yaml"

// onBranch is a stage whose cluster follows a branch, and whose account may write nothing but Secrets.
func onBranch(t *testing.T, options ...func(*kubetest.Options)) (*stage, *branch) {
	t.Helper()
	watches := func(o *kubetest.Options) { o.Rules = rightsOf(t, Watching) }
	s := onDouble(t, append([]func(*kubetest.Options){watches}, options...)...)
	b := &branch{files: map[string][]byte{}}
	s.o.Branch = func(name string) (port.Branch, error) {
		if name != "environments/prod" {
			return nil, fault.New(fault.Denied, "deliver on branch %s", name)
		}
		return b, nil
	}
	s.server = New(s.o)
	s.double.Follow(func() []byte {
		b.mu.Lock()
		defer b.mu.Unlock()
		var all []byte
		for _, path := range slices.Sorted(maps.Keys(b.files)) {
			all = append(append(all, b.files[path]...), "\n---\n"...)
		}
		return all
	})
	return s, b
}

// delivered has releases be delivered.
func delivered(by func(name, version string, how ...string) port.Release) func(name, version string, how ...string) port.Release {
	return func(name, version string, how ...string) port.Release {
		r := by(name, version, how...)
		r.Git = &schemas.GitDelivery{Branch: "environments/prod", Path: "models/prod"}
		return r
	}
}

// byTarget runs a test for each target whose way of a change differs.
func byTarget(t *testing.T, f func(t *testing.T, target string, by func(*stage) func(name, version string, how ...string) port.Release)) {
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			f(t, target, by)
		})
	}
}

// loses has the server be one whose disk was lost, or another replica.
func (s *stage) loses() {
	s.t.Helper()
	s.o.Dir = s.t.TempDir()
	s.server = New(s.o)
}

// TestAReleaseThatFailsOfWhoLostWhatWasRecordedLeavesWhatServes: a new replica has no record at all.
func TestAReleaseThatFailsOfWhoLostWhatWasRecordedLeavesWhatServes(t *testing.T) {
	t.Parallel()
	byTarget(t, func(t *testing.T, _ string, by func(*stage) func(name, version string, how ...string) port.Release) {
		s, b := onBranch(t)
		release := delivered(by(s))
		l := s.apply(release("one", "v1"))
		was := b.at(deliveredTo)
		s.loses()
		s.refused(release("one", "v2", "exit"), fault.Invalid, "no such column", "")
		if b.at(deliveredTo) != was || s.ask(l, "/") != "v1" {
			t.Errorf("the branch has\n%s\nby %q", b.at(deliveredTo), b.log)
		}
		s.until("one Secret is left", func() bool { return len(s.double.Objects("secrets")) == 1 })
	})
}

func TestWhatServesAndHasAPodInTroubleStaysForWhoLostWhatWasRecorded(t *testing.T) {
	t.Parallel()
	byTarget(t, func(t *testing.T, _ string, by func(*stage) func(name, version string, how ...string) port.Release) {
		s, b := onBranch(t)
		r := delivered(by(s))("one", "v1")
		if r.KServe != nil {
			r.KServe.Replicas = 2
		} else {
			r.Kubernetes.Replicas = 2
		}
		l := s.apply(r)
		was, commits := b.at(deliveredTo), b.commits()
		pods := s.double.Pods(owned.LabelName, "one")
		s.double.Cordon() // the node that the controller was lost with had one of its pods, too
		s.double.Delete("pods", pods[0])
		s.until("it is seen that one is missing", func() bool {
			for _, raw := range s.double.Objects("deployments") {
				if strings.Contains(raw, `"readyReplicas":1`) {
					return true
				}
			}
			return false
		})
		s.loses()
		r.Timeout = 3 * time.Second
		for range 2 {
			s.refused(r, fault.Invalid, "ready", "")
		}
		if b.at(deliveredTo) != was || b.commits() != commits || s.ask(l, "/") != "v1" || len(s.double.Objects("secrets")) != 1 {
			t.Errorf("the branch has\n%s\nby %q", b.at(deliveredTo), b.log)
		}
	})
}

// TestASecondAttemptThatFailsLeavesWhatServes: the first wrote it, and waited in vain for who applies it.
func TestASecondAttemptThatFailsLeavesWhatServes(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		byTarget(t, func(t *testing.T, target string, by func(*stage) func(name, version string, how ...string) port.Release) {
			s, b := onBranch(t)
			release := delivered(by(s))
			l := s.apply(release("one", "v1"))
			was := b.at(deliveredTo)
			if lost {
				s.loses()
			}
			resume := s.double.Halt("gitops")
			r := release("one", "v2", "exit")
			r.Timeout = time.Second
			s.refused(r, fault.Transient, "is written to", "")
			resume()
			r.Timeout = time.Minute
			s.refused(r, fault.Invalid, "no such column", "")
			if s.ask(l, "/") != "v1" {
				t.Error("what served does not answer")
			}
			if kept := lost && target == "kserve"; !kept && b.at(deliveredTo) != was || kept && b.at(deliveredTo) == "" {
				t.Errorf("lost %v: the branch has\n%s\nby %q", lost, b.at(deliveredTo), b.log)
			}
		})
	}
}

// TestWhatSomebodyWroteMeanwhileIsNotWrittenOver: neither by a step, nor by what takes one back.
func TestWhatSomebodyWroteMeanwhileIsNotWrittenOver(t *testing.T) {
	t.Parallel()
	s, b := onBranch(t)
	release := delivered(s.release)
	l := s.apply(release("one", "v1"))
	theirs := b.at(deliveredTo) + "# another replica's step\n"
	b.before = func() { b.files[deliveredTo] = []byte(theirs) }
	s.refused(release("one", "v2"), fault.Conflict, "has changed", "")
	if b.at(deliveredTo) != theirs {
		t.Errorf("after a step that lost the branch has\n%s\nby %q", b.at(deliveredTo), b.log)
	}
	// And while what it began starts in vain.
	b.after = func(subject string) {
		if strings.HasPrefix(subject, "Begin") {
			b.files[deliveredTo] = append(b.files[deliveredTo], "# another replica's step\n"...)
		}
	}
	s.refused(release("one", "v3", "exit"), fault.Invalid, "no such column", "")
	if now := b.at(deliveredTo); !strings.HasSuffix(now, "step\n") || s.ask(l, "/") != "v1" {
		t.Errorf("after what was taken back the branch has\n%s\nby %q", now, b.log)
	}
}

// TestWhatWasBegunAndIsWantedNoMoreIsTakenOut: its pods would run until the next release.
func TestWhatWasBegunAndIsWantedNoMoreIsTakenOut(t *testing.T) {
	t.Parallel()
	s, b := onBranch(t)
	release := delivered(s.release)
	one := release("one", "v1")
	s.apply(one)
	was := b.at(deliveredTo)
	if l := s.observe("one"); l.Left != "" {
		t.Errorf("as applied it is %+v", l)
	}
	resume := s.double.Halt("gitops")
	begun := release("one", "v2")
	begun.Timeout = time.Second
	s.refused(begun, fault.Transient, "is written to", "")
	if l := s.observe("one"); l.Health != port.Ready || !strings.HasPrefix(l.Left, "models/prod/one.yaml of branch environments/prod is at a step of a release that has not ended") {
		t.Errorf("while the next is begun it is %+v", l)
	}
	resume()
	if l := s.apply(one); l.Left != "" || b.at(deliveredTo) != was || len(s.double.Objects("secrets")) != 1 {
		t.Errorf("applied again it is %+v with Secrets %v, and the branch has\n%s", l, s.double.Objects("secrets"), b.at(deliveredTo))
	}
}

// TestWhatWasBegunAndReplacedLeavesNoSecret: it reads the store, and what was passed to it.
func TestWhatWasBegunAndReplacedLeavesNoSecret(t *testing.T) {
	t.Parallel()
	s, b := onBranch(t)
	release := delivered(s.release)
	s.apply(release("one", "v1"))
	was := b.at(deliveredTo)
	resume := s.double.Halt("gitops")
	begun := release("one", "v2")
	begun.Timeout = time.Second
	s.refused(begun, fault.Transient, "is written to", "")
	resume()
	s.refused(release("one", "v3", "exit"), fault.Invalid, "no such column", "")
	if n := len(s.double.Objects("secrets")); n != 1 || b.at(deliveredTo) != was {
		t.Errorf("of Secrets there are %d, and the branch has\n%s", n, b.at(deliveredTo))
	}
}

func TestDeliveryByABranchKeepsTheServersPromises(t *testing.T) {
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
		"seldon":     func(s *stage) func(string, string, ...string) port.Release { return s.another },
	} {
		t.Run(target, func(t *testing.T) {
			porttest.Server(t, func(t *testing.T) porttest.Serving {
				t.Parallel()
				s, _ := onBranch(t, withServers)
				if target == "seldon" {
					s.client = &http.Client{Transport: mesh{s}}
				}
				return s.serving(delivered(by(s)))
			})
		})
	}
}

func TestWhatIsDeliveredBeginsNextToWhatServesAndIsWrittenOnce(t *testing.T) {
	t.Parallel()
	s, b := onBranch(t)
	release := delivered(s.release)
	one := release("one", "v1")
	one.Kubernetes.Autoscale, one.Kubernetes.Resources.CPU = &schemas.Autoscale{Max: 3}, "0.5"
	l := s.apply(one)
	if s.ask(l, "/") != "v1" {
		t.Error("it does not answer")
	}
	if b.commits() != 2 { // it begins, and has the requests
		t.Errorf("the branch has %q", b.log)
	}
	s.apply(one)
	if b.commits() != 2 {
		t.Errorf("applied twice, the branch has %q", b.log)
	}
	file := b.at(deliveredTo)
	for _, word := range []string{"kind: Secret\n", "X-Amz", s.dir, "DECLARED"} {
		if strings.Contains(file, word) {
			t.Errorf("the file has %q:\n%s", word, file)
		}
	}
	s.apply(release("one", "v2"))
	if want := []string{"Begin one-", "Send the requests for one to one-", "End what one was before one-"}; b.commits() != 5 ||
		!strings.HasPrefix(b.log[2], want[0]) || !strings.HasPrefix(b.log[3], want[1]) || !strings.HasPrefix(b.log[4], want[2]) {
		t.Errorf("the branch has %q", b.log)
	}
	if n := len(s.double.Objects("secrets")); n != 1 {
		t.Errorf("%d Secrets are left", n)
	}
	s.apply(port.Release{Name: "one"})
	if b.at(deliveredTo) != "" || len(s.double.Objects("deployments"))+len(s.double.Objects("services"))+len(s.double.Objects("secrets")) > 0 {
		t.Errorf("of what was retired the branch has %q, and the cluster %v", b.at(deliveredTo), s.double.Objects("secrets"))
	}
}

func TestADeliveryThatNobodyAppliesIsNoFailureAndGoesOn(t *testing.T) {
	t.Parallel()
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s, b := onBranch(t)
			release := delivered(by(s))
			old := release("one", "v1")
			l := s.apply(old)
			resume := s.double.Halt("gitops")
			next := release("one", "v2")
			next.Timeout = time.Second
			s.refused(next, fault.Transient, "is written to models/prod/one.yaml of branch environments/prod", "see that Argo CD or Flux applies that branch to namespace "+kubetest.Namespace)
			written := b.commits()
			if now := s.observe("one"); now.Key != old.Key || now.Health != port.Ready || s.ask(l, "/") != "v1" {
				t.Errorf("what served is %+v", now)
			}
			s.refused(next, fault.Transient, "is written to", "")
			if b.commits() != written {
				t.Errorf("waiting writes %q", b.log[written:])
			}
			resume()
			next.Timeout = time.Minute
			if s.apply(next); s.ask(l, "/") != "v2" {
				t.Error("the new one does not answer")
			}
		})
	}
}

func TestADeliveredReleaseThatDoesNotBecomeReadyIsTakenBack(t *testing.T) {
	t.Parallel()
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s, b := onBranch(t)
			release := delivered(by(s))
			s.refused(release("one", "v0", "exit"), fault.Invalid, "no such column", "")
			if b.at(deliveredTo) != "" || len(s.double.Objects("secrets")) > 0 {
				t.Errorf("of the first the branch has\n%s\nand the cluster %v", b.at(deliveredTo), s.double.Objects("secrets"))
			}
			l := s.apply(release("one", "v1"))
			was := b.at(deliveredTo)
			s.refused(release("one", "v2", "exit"), fault.Invalid, "no such column", "")
			if b.at(deliveredTo) != was || !strings.HasPrefix(b.log[len(b.log)-1], "Take back one-") {
				t.Errorf("the branch has\n%s\nby %q", b.at(deliveredTo), b.log)
			}
			s.until("the old one is told as it was", func() bool { now := s.observe("one"); return now.Health == port.Ready && now.Message == "" })
			if s.ask(l, "/") != "v1" || len(s.double.Objects("secrets")) != 1 {
				t.Errorf("the old one does not answer, or of Secrets there are %v", s.double.Objects("secrets"))
			}
		})
	}
}

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

func TestHowItIsDeliveredDoesNotChangeUnderWhatServes(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} { // a new replica has no record
		t.Run(fmt.Sprintf("lost %v", lost), func(t *testing.T) {
			t.Parallel()
			howItIsDelivered(t, lost)
		})
	}
}

func howItIsDelivered(t *testing.T, lost bool) {
	s, b := onBranch(t)
	release := delivered(s.release)
	s.apply(release("one", "v1"))
	if lost {
		s.loses()
		copied := s.double.Objects("deployments")
		for _, raw := range copied { // and somebody made another with its labels
			var o map[string]any
			if err := json.Unmarshal([]byte(raw), &o); err != nil {
				t.Fatal(err)
			}
			meta := o["metadata"].(map[string]any)
			o["metadata"] = map[string]any{"name": "a-copy", "labels": meta["labels"]}
			s.double.Put("deployments", o)
		}
	}
	for what, change := range map[string]func(r *port.Release){
		"applied":        func(r *port.Release) { r.Git = nil },
		"another folder": func(r *port.Release) { r.Git.Path = "models/other" },
	} {
		r := release("one", "v2")
		change(&r)
		if _, err := s.server.Apply(t.Context(), r); fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "under another name") {
			t.Errorf("%s: %v (%s)", what, err, fault.HintOf(err))
		}
	}
	if len(b.files) != 1 {
		t.Errorf("the branch has %v", b.files)
	}
}

// TestARetiredDeliveryIsFoundByWhoLostWhatWasRecorded: its objects say where they are written.
func TestARetiredDeliveryIsFoundByWhoLostWhatWasRecorded(t *testing.T) {
	t.Parallel()
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s, b := onBranch(t)
			release := delivered(by(s))
			s.apply(release("one", "v1"))
			lost := s.o
			lost.Dir = t.TempDir()
			s.server = New(lost)
			s.apply(release("one", "v2")) // and what stood there goes on until then
			lost.Dir = t.TempDir()
			s.server = New(lost)
			s.apply(port.Release{Name: "one"})
			if b.at(deliveredTo) != "" || len(s.double.Objects("secrets"))+len(s.double.Objects("deployments")) > 0 {
				t.Errorf("the branch has %q, and the cluster %v", b.at(deliveredTo), s.double.Objects("secrets"))
			}
		})
	}
}
