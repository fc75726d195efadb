package ledger

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Maps that are alike are one when facts are read again: a team's runs have the same code, and a model has what its training measured.
func TestAlikeMapsAreReadOnce(t *testing.T) {
	f := &Facts{}
	if err := f.Fold(genesis, key(-1)); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 4; i++ {
		e := Entry{Seq: int64(i), Prev: f.Head, Action: Train, Actor: "controller:vishwa", Ref: schemas.Ref{Kind: "training", Name: fmt.Sprint("t", i), Output: "c"}, Key: key(i),
			Recipe: &port.Recipe{Schema: "1", Kind: "training", Code: map[string]digest.Digest{"a.py": key(7), "b.py": key(8 + i/4)}, Inputs: map[string]digest.Digest{"a.py": key(7), "b.py": key(8)}},
			Asked:  map[string]map[string]any{"0": {"x": 1.0}, "1": {"x": 1.0}}}
		if err := f.Fold(e, key(i)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 4; i++ {
		if !reflect.DeepEqual(again.ByKey[key(i)], f.ByKey[key(i)]) {
			t.Errorf("entry %d became %+v", i, again.ByKey[key(i)])
		}
	}
	at := func(m any) uintptr { return reflect.ValueOf(m).Pointer() }
	one, two, other := again.ByKey[key(1)].Recipe, again.ByKey[key(2)].Recipe, again.ByKey[key(4)].Recipe
	if at(one.Code) != at(two.Code) || at(one.Inputs) != at(other.Inputs) || at(one.Code) == at(other.Code) {
		t.Error("maps that are alike are not one, or others are")
	}
	if asked := again.ByKey[key(3)].Asked; at(asked["0"]) != at(asked["1"]) {
		t.Error("maps in a map that are alike are not one")
	}
	if same, err := again.Encode(); err != nil || !bytes.Equal(same, raw) {
		t.Errorf("written again they are other bytes: %v", err)
	}
}
