// Facts that a chain comes to, and the files that keep them.

package ledger

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAFactFileSteersNothing: and is YAML, whatever the entry holds.
func TestAFactFileSteersNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		evil := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\x1b[2J", "\u009b31m", "a\u202eb\u200b", "\n::error::x", "##[x]", "\x7f\r\u2028", "\xff", "\t\n", "|\n\t"}))
		e := Entry{Action: Train, Seq: 1, Ref: schemas.Ref{Kind: "training", Name: "a"}, Actor: evil.Draw(t, "actor"), Author: evil.Draw(t, "author"), Reason: evil.Draw(t, "reason"),
			Metrics: map[string]float64{evil.Draw(t, "metric"): 1}, Outputs: OutputsOf(map[string]port.Artifact{evil.Draw(t, "output"): {Name: evil.Draw(t, "name")}})}
		_, text, err := FactFile(e)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(string(text), "\x1b\u009b\u202e\u200b\x7f\r\u2028\x00") {
			t.Fatalf("%q", text)
		}
		if got := harmless.Text(string(text)); got != string(text) {
			t.Fatalf("%q gives an order to a job's log", text)
		}
		var read map[string]any
		if err := yaml.Unmarshal(text, &read); err != nil || read["action"] != "train" {
			t.Fatalf("%v, %v in\n%s", err, read, text)
		}
	})
}

// TestFoldInParts: folding a ledger in two parts, with the facts written and read
// in between, is folding it at once.
func TestFoldInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := drawChain(t)
		cut := rapid.IntRange(0, len(rs)).Draw(t, "cut")
		whole, err := Verify(each(rs), signers, nil)
		if err != nil {
			t.Fatal(err)
		}
		first, err := Verify(each(rs[:cut]), signers, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := first.Facts.Encode()
		if err != nil {
			t.Fatal(err)
		}
		f, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		parent := first.Commit
		for _, r := range rs[cut:] {
			if _, err := (&Replay{Trust: signers, Facts: f, Parent: parent}).Next(r); err != nil {
				t.Fatal(err)
			}
			parent = r.ID
		}
		whole.Facts.ready()
		x, _ := f.Encode()
		y, _ := whole.Facts.Encode()
		for _, e := range f.entries() {
			e.MadeBy, e.kept = e.Recipe(), keptRecipe{}
		}
		if !reflect.DeepEqual(f, whole.Facts) {
			t.Fatalf("in parts %+v\nat once %+v", f, whole.Facts)
		}
		if string(x) != string(y) {
			t.Fatal("equal facts have other bytes")
		}
	})
}

// TestFacts: what counts as the newest, the first, failed, let go and refused.
func TestFacts(t *testing.T) {
	x := schemas.Ref{Kind: "training", Name: "a", Output: "x"}
	add := func(as ...Entry) *Facts {
		all := []Entry{genesis}
		for _, e := range as {
			e.Actor = "controller:x"
			all = append(all, e)
		}
		rep, err := Verify(each(chain(t, all)), signers, nil)
		if err != nil {
			t.Fatal(err)
		}
		return rep.Facts
	}
	train := Entry{Action: Train, Ref: x, Key: key(1)}
	twice := train
	twice.Duplicate = true
	fail := Entry{Action: Fail, Ref: x, Key: key(1)}
	deny := Entry{Action: Deny, Ref: x, Key: key(1)}
	if f := add(train, twice); f.ByKey[key(1)].Seq != 1 || f.Latest[x].Seq != 1 {
		t.Error("a duplicate took the place of the first")
	}
	if f := add(train, train); f.ByKey[key(1)].Seq != 1 || f.Latest[x].Seq != 2 {
		t.Error("made again: the first stays under the key, the newest under the ref")
	}
	if f := add(train, Entry{Action: Retire, Ref: x, Key: key(1)}); f.Latest[x].Action != Retire || f.ByKey[key(1)].Action != Train {
		t.Error("what is retired was still made")
	}
	if f := add(fail, fail); f.Failed[key(1)].N != 2 || f.Failed[key(1)].Last.Seq != 2 {
		t.Errorf("two failures are %+v", f.Failed)
	}
	for name, f := range map[string]*Facts{
		"success":       add(fail, train),
		"retry by key":  add(fail, Entry{Action: Retry, Ref: x, Key: key(1)}),
		"retry by ref":  add(fail, Entry{Action: Retry, Ref: x}),
		"retry of all":  add(fail, Entry{Action: Retry, Ref: x.Whole()}),
		"success alone": add(train),
	} {
		if len(f.Failed) > 0 {
			t.Errorf("%s: %+v is still held", name, f.Failed)
		}
	}
	if f := add(fail, Entry{Action: Retry, Ref: schemas.Ref{Kind: "training", Name: "b"}}); f.Failed[key(1)].N != 1 {
		t.Error("another ref was let go")
	}
	if f := add(deny); f.Denied[x] == nil || f.Latest[x] != nil {
		t.Error("a refusal is not a success")
	}
	if f := add(deny, train); f.Denied[x] != nil {
		t.Error("a refusal stands after the success")
	}
	broken := Entry{Action: Fail, Ref: x}
	if f := add(broken, broken); len(f.Stuck) != 2 || len(f.Failed) != 0 {
		t.Errorf("failures that count against no key: %+v", f.Stuck)
	}
	if f := add(slices.Repeat([]Entry{broken}, 20)...); len(f.Stuck) != mostStuck || f.Stuck[mostStuck-1].Seq != 20 {
		t.Errorf("%d failures of a ref are kept", len(f.Stuck))
	}
	if f := add(broken, train); f.Stuck != nil {
		t.Error("it is stuck after the success")
	}
	if f := add(broken, Entry{Action: Retry, Ref: x}); f.Stuck != nil {
		t.Error("it is stuck after a person let it go")
	}
	down := Entry{Action: Observe, Ref: x, Observed: &Observed{Health: port.Down}}
	if f := add(train, down); f.Observed[x].Seq != 2 || f.Latest[x].Seq != 1 {
		t.Error("what was seen is not a success")
	}
	if f := add(down, train); f.Observed[x] == nil {
		t.Error("what was seen last is forgotten")
	}
	if f := add(down, Entry{Action: Retire, Ref: x}); f.Observed[x] != nil {
		t.Error("what is retired is still seen")
	}
	if f := add(); f.Started != genesis.Revision {
		t.Errorf("started at %q", f.Started)
	}
}

// TestFactFiles: a fact file is the same for the same entry, stays below facts/, and refusals have none.
func TestFactFiles(t *testing.T) {
	e := Entry{Seq: 1234, Action: Train, Ref: schemas.Ref{Kind: "training", Name: "a", Output: "x"}, Key: key(1), Actor: "controller:x",
		Metrics: map[string]float64{"b": 1, "a": 2}, Outputs: OutputsOf(map[string]port.Artifact{"model": {Digest: key(2)}})}
	path, text, err := FactFile(e)
	if err != nil || path != "facts/training/a/x.yaml" || !strings.Contains(string(text), "entries/001/001234.sigstore.json") {
		t.Errorf("%s %v\n%s", path, err, text)
	}
	if _, again, _ := FactFile(e); string(again) != string(text) {
		t.Error("another text for the same entry")
	}
	for _, a := range []Action{Genesis, Approve, Deny, Fail, Cancel, Retry, Observe} {
		e.Action = a
		if path, _, _ := FactFile(e); path != "" {
			t.Errorf("%s has %s", a, path)
		}
	}
}

// TestDamagedFactsAreNotRead: any flipped bit or cut of the cache is Corrupt.
func TestDamagedFactsAreNotRead(t *testing.T) {
	rep, err := Verify(each(chain(t, []Entry{genesis})), signers, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := rep.Facts.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		c := append([]byte(nil), b...)
		c[i] ^= 1
		if _, err := Decode(c); fault.Of(err) != fault.Corrupt {
			t.Fatalf("bit of byte %d: %v", i, err)
		}
		if _, err := Decode(b[:i]); fault.Of(err) != fault.Corrupt {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}
