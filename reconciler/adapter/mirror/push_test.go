// A push that fails is classed by why: what happens next differs.

package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
)

// TestWhyALeaseWasNotMovedIsTold: one that has moved is looked at again, a rule against it is told to a person, and what may pass is tried
// later. All of them were once a Conflict, so that a remote that refuses was asked again without an end.
func TestWhyALeaseWasNotMovedIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		kind   fault.Kind
		says   string
		breaks func(t *testing.T, remote, at string)
	}{
		"moved by another": {fault.Conflict, "has moved meanwhile", func(t *testing.T, remote, at string) {
			other := git(t, remote, "commit-tree", git(t, remote, "rev-parse", at+"^{tree}"), "-m", "another")
			git(t, remote, "update-ref", LeaseRef, other)
		}},
		"refused by a rule": {fault.Denied, "nobody writes here", func(t *testing.T, remote, _ string) {
			hook := filepath.Join(git(t, remote, "rev-parse", "--absolute-git-dir"), "hooks", "pre-receive")
			if err := errors.Join(os.MkdirAll(filepath.Dir(hook), 0o755), os.WriteFile(hook, []byte("#!/bin/sh\necho nobody writes here >&2\nexit 1\n"), 0o755)); err != nil {
				t.Fatal(err)
			}
		}},
		"locked": {fault.Transient, "lock", func(t *testing.T, remote, _ string) {
			lock := filepath.Join(git(t, remote, "rev-parse", "--absolute-git-dir"), LeaseRef+".lock")
			if err := os.WriteFile(lock, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		"gone": {fault.Missing, "", func(t *testing.T, remote, _ string) {
			if err := os.Rename(remote, remote+".away"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote, _ := newClones(t, 1)
			l := leaseOf(t, remote, "a", time.Hour)
			if err := l.acquire(t.Context(), func(string) {}); err != nil {
				t.Fatal(err)
			}
			c.breaks(t, remote, l.at)
			next := l.known.term
			next.Beat++
			err := l.move(t.Context(), l.at, next)
			if err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.says) || fault.HintOf(err) == "" {
				t.Fatalf("%v (%s; %s), want %s", err, fault.Of(err), fault.HintOf(err), c.kind)
			}
			if errors.Is(err, gitremote.ErrRefused) != (c.kind == fault.Denied) {
				t.Errorf("refused by the remote's word: %v", err)
			}
		})
	}
}

// TestALeaseThatMovesWhileItIsMovedIsAConflict: also where the remote had said that it is where it was.
func TestALeaseThatMovesWhileItIsMovedIsAConflict(t *testing.T) {
	t.Parallel()
	for _, was := range []string{"there", "not there"} {
		t.Run(was, func(t *testing.T) {
			t.Parallel()
			remote, _ := newClones(t, 1)
			a, b := leaseOf(t, remote, "a", time.Hour), leaseOf(t, remote, "b", time.Hour)
			if was == "there" {
				if err := a.acquire(t.Context(), func(string) {}); err != nil {
					t.Fatal(err)
				}
			}
			s, err := a.Mirror.takes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := b.move(t.Context(), a.at, term{Holder: "b"}); err != nil {
				t.Fatal(err)
			}
			if err := a.write(t.Context(), s, a.at, term{Holder: "a", Beat: 7}); fault.Of(err) != fault.Conflict || err == nil {
				t.Errorf("%v", err)
			}
			if is := git(t, remote, "rev-parse", LeaseRef); is != b.at {
				t.Errorf("the lease is at %s, and b's is %s", is, b.at)
			}
		})
	}
}

// TestALostAnswerIsNoLostLease: the remote moved the ref, and the answer that it did so never came; the same sign of life, shown again, is held to be there.
func TestALostAnswerIsNoLostLease(t *testing.T) {
	t.Parallel()
	remote, _ := newClones(t, 1)
	l := leaseOf(t, remote, "a", time.Hour)
	if err := l.acquire(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	from, next := l.at, l.known.term
	next.Beat++
	for range 2 {
		if err := l.move(t.Context(), from, next); err != nil {
			t.Fatal(err)
		}
	}
	if is := git(t, remote, "rev-parse", LeaseRef); is != l.at {
		t.Errorf("the lease is at %s, and ours is %s", is, l.at)
	}
}

// TestABranchThatMovedIsNoRefusal: what is proposed is looked at again, where a rule of the branch asks for a person.
func TestABranchThatMovedIsNoRefusal(t *testing.T) {
	remote, _ := newClones(t, 1)
	l := leaseOf(t, remote, "a", time.Hour)
	if err := l.acquire(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	other, err := l.Mirror.git(t.Context(), "commit-tree", emptyTree, "-m", "another")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Mirror.Push(t.Context(), strings.TrimSpace(other), LeaseRef, strings.Repeat("1", 40)); fault.Of(err) != fault.Conflict {
		t.Errorf("%v", err)
	}
}
