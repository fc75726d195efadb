package ledger

import (
	"bytes"
	"encoding/json"
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
			MadeBy:  &port.Recipe{Schema: "1", Kind: "training", Code: map[string]digest.Digest{"a.py": key(7), "b.py": key(8 + i/4)}, Inputs: map[string]digest.Digest{"a.py": key(7), "b.py": key(8)}},
			Metrics: map[string]float64{"auc": float64(i / 4)},
			Asked:   map[string]map[string]any{"0": {"x": 1.0}, "1": {"x": 1.0}}}
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
		got, want := again.ByKey[key(i)], f.ByKey[key(i)]
		if !got.HasRecipe() || !reflect.DeepEqual(got.Recipe(), want.Recipe()) {
			t.Errorf("the recipe of entry %d became %+v", i, got.Recipe())
		}
		if text, err := Statement(*got); err != nil {
			t.Error(err)
		} else if was, _ := Statement(*want); !bytes.Equal(text, was) {
			t.Errorf("entry %d became %s", i, text)
		}
		if text, err := json.Marshal(*got); err != nil {
			t.Error(err)
		} else if was, _ := json.Marshal(entryJSON(*want)); !bytes.Equal(text, was) || !bytes.Contains(text, []byte(`"recipe":{"schema":"1"`)) {
			t.Errorf("entry %d became %s", i, text)
		}
	}
	at := func(m any) uintptr { return reflect.ValueOf(m).Pointer() }
	one, two, other := again.ByKey[key(1)].Metrics, again.ByKey[key(2)].Metrics, again.ByKey[key(4)].Metrics
	if at(one) != at(two) || at(one) == at(other) {
		t.Error("maps that are alike are not one, or others are")
	}
	if asked := again.ByKey[key(3)].Asked; at(asked["0"]) != at(asked["1"]) {
		t.Error("maps in a map that are alike are not one")
	}
	if same, err := again.Encode(); err != nil || !bytes.Equal(same, raw) {
		t.Errorf("written again they are other bytes: %v", err)
	}
}

// A controller answers several who ask of the same facts.
func TestRecipesAreReadBySeveralAtOnce(t *testing.T) {
	f := &Facts{}
	made := &port.Recipe{Schema: "1", Kind: "training", Command: []string{"python"}, Inputs: map[string]digest.Digest{"train": key(5)}, Params: map[string]any{"C": 1.0, "l": []any{"x"}}}
	for i, e := range []Entry{genesis, {Action: Train, Key: key(1), MadeBy: made}, {Action: Train, Key: key(2), MadeBy: made}} {
		e.Seq, e.Prev, e.Actor = int64(i), f.Head, "controller:vishwa"
		if err := f.Fold(e, key(10+i)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan *port.Recipe)
	for i := range 8 {
		go func() { read <- again.ByKey[key(1+i%2)].Recipe() }()
	}
	for range 8 {
		if got := <-read; !reflect.DeepEqual(got, made) {
			t.Errorf("read %+v", got)
		}
	}
}
