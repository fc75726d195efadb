package ledger

import (
	"fmt"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// many is the facts of n trainings, each with the recipe and files of a real one.
func many(b *testing.B, n int) *Facts {
	f := &Facts{}
	if err := f.Fold(genesis, key(-1)); err != nil {
		b.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		e := Entry{Seq: int64(i), Prev: f.Head, Action: Train, Actor: "controller:vishwa", Ref: schemas.Ref{Kind: "training", Name: fmt.Sprint("t", i%500), Output: "xgboost"}, Key: key(i), Reason: "param C 1 -> 2",
			MadeBy:  &port.Recipe{Schema: "1", Kind: "training", Command: []string{"python", "train.py"}, Code: map[string]digest.Digest{"a.py": key(i / 9), "b.py": key(7)}, Params: map[string]any{"C": float64(i), "e": "x"}, Inputs: map[string]digest.Digest{"train": key(i / 5)}},
			Outputs: OutputsOf(map[string]port.Artifact{"model": {Name: "m", Digest: key(i + n), Size: 5, Files: digest.Manifest{{Path: "model.json", Digest: key(i + 2*n), Size: 5}}}}),
			Metrics: map[string]float64{"auc": 0.8, "f1": 0.7}, Run: &Run{Host: "linux/amd64", Log: key(i + 3*n)}}
		if err := f.Fold(e, key(i)); err != nil {
			b.Fatal(err)
		}
	}
	return f
}

func BenchmarkDecode10000(b *testing.B) {
	raw, err := many(b, 10_000).Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode10000(b *testing.B) {
	f := many(b, 10_000)
	for b.Loop() {
		if _, err := f.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	f := many(b, 1)
	s, err := Statement(*f.ByKey[key(1)])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse(s); err != nil {
			b.Fatal(err)
		}
	}
}
