// Explaining: a deployment's tree leads to the data and the author, and a ledger
// that goes in circles does not.

package lineage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func ref(text string) schemas.Ref {
	r, err := schemas.ParseRef(text)
	if err != nil {
		panic(err)
	}
	return r
}

func d(text string) digest.Digest { return digest.Of([]byte(text)) }

func fold(t *testing.T, entries ...ledger.Entry) *ledger.Facts {
	t.Helper()
	f := &ledger.Facts{}
	for i, e := range append([]ledger.Entry{{Action: ledger.Genesis}}, entries...) {
		e.Seq, e.Prev, e.Actor = f.Count, f.Head, "controller:main"
		e.Time = time.Unix(int64(i), 0)
		if err := f.Fold(e, d(fmt.Sprint("bundle ", i))); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func art(text string) ledger.Outputs {
	return ledger.OutputsOf(map[string]port.Artifact{"o": {Digest: d(text), Size: 1}})
}

// chain is a model's life, from the data on.
func chain(t *testing.T) *ledger.Facts {
	model := &ledger.Model{Candidate: ref("training/e:x"), Artifact: port.Artifact{Digest: d("model")}, Signature: d("oms"), Provenance: d("slsa")}
	return fold(t,
		ledger.Entry{Action: ledger.Pin, Ref: ref("dataset/d"), Key: d("kd"), Revision: "r1", Author: "Ada <ada@example.org>", Outputs: ledger.OutputsOf(map[string]port.Artifact{"data": {Name: "d.csv", Digest: d("data"), Size: 7}})},
		ledger.Entry{Action: ledger.Transform, Ref: ref("transform/t"), Key: d("kt"), Outputs: art("features"), MadeBy: &port.Recipe{Inputs: map[string]digest.Digest{"d": d("data")}, Code: map[string]digest.Digest{"t.py": d("t.py")}}},
		ledger.Entry{Action: ledger.Train, Ref: ref("training/e:x"), Key: d("ke"), Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": {Digest: d("model")}}), Metrics: map[string]float64{"auc": 0.9},
			Run:    &ledger.Run{Runner: "gpu", Nodes: 2, Image: "base@sha256:00", Resources: schemas.Resources{GPU: 1}, Isolation: &port.Isolation{Level: "namespaces", Landlock: 6, Network: "none", Limits: "cgroup v1"}},
			MadeBy: &port.Recipe{Inputs: map[string]digest.Digest{"o": d("features")}, Params: map[string]any{"C": 1.0}, Env: d("lock")}},
		ledger.Entry{Action: ledger.Select, Ref: ref("model/m"), Key: d("km"), Model: model, Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": model.Artifact})},
		ledger.Entry{Action: ledger.Provision, Ref: ref("infrastructure/i"), Key: d("ki"), Stack: &ledger.Stack{Tool: "terraform 1"}},
		ledger.Entry{Action: ledger.Deploy, Ref: ref("deployment/s"), Key: d("ks"), Model: model, Approved: []string{"principal:bo"}, Release: &ledger.Release{Environment: "staging", Isolation: &port.Isolation{Level: "landlock", Landlock: 6, Network: "none"}},
			MadeBy: &port.Recipe{Inputs: map[string]digest.Digest{"model": d("model"), "infrastructure/i": d("i")}, Code: map[string]digest.Digest{"s.py": d("s.py")}}},
	)
}

// outline is the tree, a node a line.
func outline(n Node, depth int) string {
	out := strings.Repeat(" ", depth) + strings.TrimSpace(n.What+" "+n.Name) + "\n"
	for _, f := range n.From {
		out += outline(f, depth+1)
	}
	return out
}

func TestADeploymentLeadsToDataAndAuthor(t *testing.T) {
	n, err := Ref(chain(t), ref("deployment/s"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `deployment deployment/s
 model model/m
  signature OMS v1.0, model.sig
  provenance SLSA v1
  run training/e:x
   params
   environment lock file
   run transform/t
    code t.py
    data dataset/d
     revision r1
 infrastructure infrastructure/i
 code s.py
`
	if got := outline(n, 0); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	text := fmt.Sprint(n)
	for _, word := range []string{"principal:bo", "Ada <ada@example.org>", "d.csv, 7 bytes", "terraform 1", "0.9", "{ran on gpu, 2 nodes, 1 GPU}", "{image base@sha256:00}", "{isolated landlock, Landlock 6, network none}", "{isolated namespaces, Landlock 6, network none, limits by cgroup v1}"} {
		if !strings.Contains(text, word) {
			t.Errorf("the tree does not say %q", word)
		}
	}
}

func TestATrainingIsAllItsCandidates(t *testing.T) {
	n, err := Ref(chain(t), ref("training/e"))
	if err != nil || n.What != "training" || len(n.From) != 1 || n.From[0].Name != "training/e:x" {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestAnythingNamedByADigestIsExplained(t *testing.T) {
	f := chain(t)
	for text, want := range map[string]string{"data": "dataset/d", "features": "transform/t", "model": "model/m", "oms": "model/m", "ke": "training/e:x", "ks": "deployment/s"} {
		for _, name := range []string{string(d(text)), d(text).Hex(), d(text).Short()} {
			if n, err := Digest(f, name); err != nil || n.Name != want {
				t.Errorf("%s: %s, %v; want %s", text, n.Name, err, want)
			}
		}
	}
}

func TestADigestThatNamesNothingOrMuch(t *testing.T) {
	f := fold(t,
		ledger.Entry{Action: ledger.Pin, Ref: ref("dataset/a"), Key: digest.Digest("sha256:" + strings.Repeat("a", 64))},
		ledger.Entry{Action: ledger.Pin, Ref: ref("dataset/b"), Key: digest.Digest("sha256:" + strings.Repeat("a", 12) + strings.Repeat("b", 52))})
	for name, c := range map[string]struct {
		kind fault.Kind
		says string
	}{
		strings.Repeat("a", 12): {fault.Invalid, "2 digests begin so"},
		strings.Repeat("c", 12): {fault.Missing, "the ledger names nothing so"},
		"aaa":                   {fault.Invalid, "neither a ref nor a digest"},
		"Not a digest":          {fault.Invalid, "neither a ref nor a digest"},
	} {
		if _, err := Digest(f, name); fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.says) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnUnknownRefOffersTheNearest(t *testing.T) {
	if _, err := Ref(chain(t), ref("model/n")); fault.Of(err) != fault.Missing || fault.HintOf(err) != "did you mean model/m?" {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
	if _, err := Ref(&ledger.Facts{}, ref("model/n")); fault.HintOf(err) != "vishwa log lists what it has" {
		t.Errorf("%v", err)
	}
}

// TestACircleIsCut: a ledger may claim that two runs were made from each other.
func TestACircleIsCut(t *testing.T) {
	f := fold(t,
		ledger.Entry{Action: ledger.Transform, Ref: ref("transform/a"), Key: d("ka"), Outputs: art("a"), MadeBy: &port.Recipe{Inputs: map[string]digest.Digest{"x": d("b")}}},
		ledger.Entry{Action: ledger.Transform, Ref: ref("transform/b"), Key: d("kb"), Outputs: art("b"), MadeBy: &port.Recipe{Inputs: map[string]digest.Digest{"x": d("a"), "y": d("b")}}})
	n, err := Ref(f, ref("transform/a"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "run transform/a\n run transform/b\n  run transform/a\n  run transform/b\n"
	if got := outline(n, 0); got != want {
		t.Errorf("got\n%s", got)
	}
}
