// The laws of the roll, on a real repository with real Git.

package mirror

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func rollOf(t *testing.T, url, name string) *Roll {
	t.Helper()
	r, err := NewRoll(name, "host/"+name, func(context.Context) (*Mirror, error) { return mirrorOf(t, url), nil })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func signed(t *testing.T, r *Roll) map[string]string {
	t.Helper()
	marks, err := r.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return marks
}

// TestReplicasSeeEachOthersSignsOfLife: each sign is another mark, of its own alone, and who is struck off is seen no more.
func TestReplicasSeeEachOthersSignsOfLife(t *testing.T) {
	remote, _ := newClones(t, 1)
	a, b := rollOf(t, remote, "aaa"), rollOf(t, remote, "bbb")
	before := signed(t, a)
	both := signed(t, b)
	if got := slices.Sorted(maps.Keys(both)); !slices.Equal(got, []string{"aaa", "bbb"}) {
		t.Fatalf("on the roll are %v", got)
	}
	for range 2 * beats {
		after := signed(t, a)
		if after["aaa"] == before["aaa"] {
			t.Fatal("a sign of life left the mark as it was")
		}
		if after["bbb"] != both["bbb"] {
			t.Fatal("a sign of life moved another's mark")
		}
		before = after
	}
	if err := a.Strike(t.Context(), "bbb", strings.Repeat("1", 40)); fault.Of(err) != fault.Conflict {
		t.Errorf("who has signed since is struck off: %v", err)
	}
	if err := a.Strike(t.Context(), "bbb", both["bbb"]); err != nil {
		t.Fatal(err)
	}
	if _, there := signed(t, a)["bbb"]; there {
		t.Error("who was struck off is on the roll")
	}
	if err := a.Strike(t.Context(), "aaa", ""); err != nil {
		t.Fatal(err)
	}
	if got := signed(t, b); len(got) != 1 || got["bbb"] == "" {
		t.Errorf("who lives is not there again, or who left is: %v", got)
	}
}

// TestARollOpensItsMirrorUntilThatWentWell: a remote that does not answer at first is no lasting fault.
func TestARollOpensItsMirrorUntilThatWentWell(t *testing.T) {
	remote, _ := newClones(t, 1)
	tries := 0
	r, err := NewRoll("aaa", "", func(context.Context) (*Mirror, error) {
		if tries++; tries == 1 {
			return nil, fault.New(fault.Transient, "not yet")
		}
		return mirrorOf(t, remote), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Sign(t.Context()); fault.Of(err) != fault.Transient {
		t.Errorf("%v", err)
	}
	if got := signed(t, r); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// TestARefThatIsNoReplicasIsNotOne: names that no replica has are left out, and none can be taken.
func TestARefThatIsNoReplicasIsNotOne(t *testing.T) {
	remote, _ := newClones(t, 1)
	r := rollOf(t, remote, "aaa")
	signed(t, r)
	for _, name := range []string{"UPPER", "a.b", strings.Repeat("x", 41), "deep/er"} {
		s, err := r.mirror.takes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.mirror.point(t.Context(), s, RollRefs+name, "", r.marks[0]); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if err := r.Strike(t.Context(), name, ""); fault.Of(err) != fault.Invalid {
			t.Errorf("%s can be struck off: %v", name, err)
		}
		if _, err := NewRoll(name, "", nil); err == nil {
			t.Errorf("%s is a name", name)
		}
	}
	if got := signed(t, r); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
