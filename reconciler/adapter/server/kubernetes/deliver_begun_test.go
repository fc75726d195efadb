// Deliveries of which somebody lost what was recorded, and those that were begun and are wanted no more.

package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
)

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
