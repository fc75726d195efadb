// The law of work done twice: whatever is looked up by its key has one unmarked entry
// under it, however many wrote at once.

package ledger

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestWhatIsMadeTwiceIsMarked(t *testing.T) {
	key := digest.Of([]byte("key"))
	for action, kind := range map[Action]string{Pin: "dataset", Transform: "transform", Train: "training", Select: "model"} {
		ref := schemas.Ref{Kind: schemas.Kind(kind), Name: "x"}
		f := &Facts{}
		bundle := 0
		fold := func(e Entry) *Entry {
			t.Helper()
			e = Recheck(f, e)
			e.Seq, e.Prev = f.Count, f.Head
			bundle++
			if err := f.Fold(e, digest.Of([]byte{byte(bundle)})); err != nil {
				t.Fatal(err)
			}
			return f.Latest[ref]
		}
		fold(Entry{Action: Genesis, Actor: "controller:a"})
		first := fold(Entry{Action: action, Ref: ref, Key: key, Actor: "controller:a"})
		if first.Duplicate {
			t.Errorf("%s: the first is called a duplicate", action)
		}
		for range 3 {
			if newest := fold(Entry{Action: action, Ref: ref, Key: key, Actor: "controller:b"}); newest != first || f.ByKey[key] != first {
				t.Errorf("%s: one that came later took the place of the first", action)
			}
		}
		again := fold(Entry{Action: action, Ref: ref, Key: key, Again: true, Actor: "controller:b"})
		if again.Duplicate || f.ByKey[key] != again {
			t.Errorf("%s: what was made again, as its output was gone, is called a duplicate", action)
		}
	}
}
