// What is suspended, folded.

package ledger

import (
	"reflect"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

// TestASuspensionHoldsUntilItIsResumed: for the ref and its candidates, through a file
// of facts, and for no clone that was made before.
func TestASuspensionHoldsUntilItIsResumed(t *testing.T) {
	whole, one, other := schemas.Ref{Kind: "training", Name: "a"}, schemas.Ref{Kind: "training", Name: "a", Output: "x"}, schemas.Ref{Kind: "training", Name: "a", Output: "y"}
	f := &Facts{}
	fold := func(action Action, ref schemas.Ref) {
		t.Helper()
		e := Entry{Seq: f.Count, Prev: f.Head, Action: action, Ref: ref, Actor: "controller:x", Reason: "why"}
		if err := f.Fold(e, key(int(f.Count))); err != nil {
			t.Fatal(err)
		}
	}
	fold(Genesis, schemas.Ref{})
	before := f.Clone()
	fold(Suspend, one)
	if f.Suspension(one) == nil || f.Suspension(whole) != nil || f.Suspension(other) != nil || before.Suspension(one) != nil {
		t.Error("a candidate's suspension is not its own")
	}
	raw, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(raw)
	if err != nil || !reflect.DeepEqual(again.Suspended, f.Suspended) {
		t.Errorf("from a file: %v, %v", again, err)
	}
	fold(Suspend, whole)
	fold(Resume, one)
	if f.Suspension(one) == nil || f.Suspension(other) == nil {
		t.Error("one candidate goes on while all of them are suspended")
	}
	fold(Suspend, other)
	fold(Resume, whole)
	if len(f.Suspended) != 0 {
		t.Errorf("resumed, and left: %v", f.Suspended)
	}
}
