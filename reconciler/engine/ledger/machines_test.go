// What several machines made under one key, and what each deployed, is kept apart, in
// bounds, and read back from a file as it was.

package ledger

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestOtherBytesUnderAKeyAreKept(t *testing.T) {
	x := schemas.Ref{Kind: "training", Name: "a", Output: "x"}
	s := schemas.Ref{Kind: "deployment", Name: "s"}
	f := &Facts{}
	fold := func(e Entry) *Entry {
		t.Helper()
		e = Recheck(f, e)
		e.Seq, e.Prev = f.Count, f.Head
		if err := f.Fold(e, digest.Of(fmt.Append(nil, e.Seq))); err != nil {
			t.Fatal(err)
		}
		return &e
	}
	train := func(text string) Entry {
		return Entry{Action: Train, Ref: x, Key: key(1), Outputs: OutputsOf(map[string]port.Artifact{"model": {Digest: digest.Of([]byte(text))}})}
	}
	fold(genesis)
	fold(train("first"))
	fold(train("first"))
	if got := f.Under(key(1)); len(got) != 1 {
		t.Fatalf("the very same again is kept: %v", got)
	}
	for i := range 3 * mostOthers {
		fold(train(fmt.Sprint(i)))
	}
	got := f.Under(key(1))
	if len(got) != 1+mostOthers || got[0].Seq != 1 || got[mostOthers].Seq != f.Count-1 || f.Latest[x].Seq != 1 {
		t.Fatalf("kept %d, the first entry %d, the last entry %d", len(got), got[0].Seq, got[len(got)-1].Seq)
	}
	chosen := f.Clone()
	chosen.Choose(got[3])
	if f.ByKey[key(1)] != got[0] || chosen.ByKey[key(1)] != got[3] || len(chosen.Under(key(1))) != len(got) {
		t.Error("a choice of one changes what is known to all")
	}

	deploy := func(machine string, k int) Entry {
		return Entry{Action: Deploy, Ref: s, Key: key(k), Machine: machine}
	}
	fold(deploy("m-old", 2))
	for i := range mostMachines {
		fold(deploy(fmt.Sprint("m", i), 3))
	}
	if f.On("m0", s).Key != key(3) || f.On("m-old", s) != f.Latest[s] || f.On("nobody", s) != f.Latest[s] || len(f.Machines) != mostMachines {
		t.Error("on which machine what was deployed is wrong")
	}
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := read.Encode(); err != nil || !bytes.Equal(same, b) || len(read.Under(key(1))) != len(got) || read.On("m0", s).Seq != f.On("m0", s).Seq {
		t.Error("from a file it is not the same", err)
	}
	fold(train("other"))
	again := train("again")
	again.Again = true
	if fold(again); len(f.Under(key(1))) != 1 {
		t.Error("what will not do is kept beside what took its place")
	}
}
