// The laws of the record: what was renamed, retired, replaced or refused is still explained,
// and its tree says what became of it.

package lineage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// renamed is the life of a model that was released as m and then as n, out of one run, made
// again in between, served, and taken down.
func renamed(t *testing.T) Record {
	model := func(candidate, signature string) *ledger.Model {
		return &ledger.Model{Candidate: ref(candidate), Signature: d(signature), Provenance: d(signature + " slsa"),
			Artifact: port.Artifact{Digest: d("model"), Files: []digest.File{{Path: "w.json", Digest: d("w")}}}}
	}
	outputs := ledger.OutputsOf(map[string]port.Artifact{"model": model("training/e:x", "").Artifact})
	entries := []ledger.Entry{
		{Action: ledger.Train, Ref: ref("training/e:x"), Key: d("ke"), Outputs: outputs},
		{Action: ledger.Select, Ref: ref("model/m"), Key: d("km"), Model: model("training/e:x", "first"), Outputs: outputs},
		{Action: ledger.Deploy, Ref: ref("deployment/s"), Key: d("ks"), Plan: d("plan"), Model: model("training/e:x", "first"), Release: &ledger.Release{Environment: "staging"}},
		{Action: ledger.Select, Ref: ref("model/m"), Key: d("km"), Model: model("training/e:x", "again"), Outputs: outputs, Again: true},
		{Action: ledger.Select, Ref: ref("model/n"), Key: d("kn"), Model: model("training/f:x", "second"), Outputs: outputs},
		{Action: ledger.Retire, Ref: ref("deployment/s"), Key: d("ks"), Plan: d("plan 2"), Model: model("training/e:x", "first"), Release: &ledger.Release{Environment: "staging"}},
		{Action: ledger.Deny, Ref: ref("deployment/p"), Key: d("kp"), Findings: []ledger.Finding{{Rule: "deployment/approval", Level: ledger.Denied, Message: "nobody approved"}}},
	}
	r := Record{Facts: fold(t, entries...), Declared: map[schemas.Ref]digest.Digest{ref("model/n"): d("kn"), ref("training/f:x"): d("ke"), ref("dataset/new"): ""}}
	for i := range entries {
		entries[i].Seq = int64(i + 1)
		r.Entries = append(r.Entries, &entries[i])
	}
	return r
}

func TestARenamedModelKeepsItsRun(t *testing.T) {
	n, err := renamed(t).Ref(ref("model/n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := outline(n, 0); !strings.Contains(got, " run training/e:x\n") {
		t.Errorf("the run is lost:\n%s", got)
	}
}

func TestWhatIsDeclaredNoLongerIsExplained(t *testing.T) {
	r := renamed(t)
	for name, want := range map[string][]string{
		"model/m":      {"{declared no longer}", "released as model/n (entry 5)", "{served by deployment/s in staging from entry 3 until it was retired (entry 6)}", "2 entries, from 2", "vishwa log model/m"},
		"training/e":   {"{declared no longer}", "declared as training/f:x, with the same key"},
		"training/f":   {"recorded as training/e:x, which has the same key: it was renamed to training/f:x"},
		"training/f:x": {"recorded as training/e:x"},
		"deployment/s": {"{state retired}", "{until then entry 3", "vishwa log deployment/s", string(d("model"))},
		"deployment/p": {"{state never made}", "7, deny", "deployment/approval: nobody approved", "{declared no longer}"},
	} {
		n, err := r.Ref(ref(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := fmt.Sprint(n)
		for _, word := range want {
			if !strings.Contains(text, word) {
				t.Errorf("%s does not say %q:\n%s", name, word, text)
			}
		}
	}
	if n, err := r.Ref(ref("model/n")); err != nil || strings.Contains(fmt.Sprint(n.Facts), "no longer") {
		t.Errorf("%v, %v", n.Facts, err)
	}
	if got := r.RecordedAs(ref("training/f")); len(got) != 1 || got[0] != ref("training/e") {
		t.Errorf("recorded as %v", got)
	}
}

// TestAnOldDigestIsExplained: a digest of a release, a signature, a plan, a file or an entry
// that something newer took the place of.
func TestAnOldDigestIsExplained(t *testing.T) {
	r := renamed(t)
	bundle, _ := r.Facts.At(3)
	for digest, want := range map[digest.Digest]string{
		d("first"): "model/m 2", d("first slsa"): "model/m 2", d("again"): "model/m 4", d("second"): "model/n 5",
		d("km"): "model/m 4", d("ks"): "deployment/s 3", d("kp"): "deployment/p 7", d("model"): "model/n 5", d("w"): "model/n 5",
		bundle: "deployment/s 3",
	} {
		n, err := r.Digest(string(digest))
		if err != nil || n.Entry == nil || fmt.Sprint(n.Name, " ", *n.Entry) != want {
			t.Errorf("%+v, %v; want %s", n, err, want)
		}
	}
	if n, err := r.Digest(string(d("plan"))); err != nil || n.What != "plan" || outline(n, 0) == "" || n.From[0].Name != "deployment/s" {
		t.Errorf("%+v, %v", n, err)
	}
}

// TestAnInputIsWhatWasThereBeforeTheRun: the same bytes recorded later, by another machine or
// under another name, are not what a run read.
func TestAnInputIsWhatWasThereBeforeTheRun(t *testing.T) {
	data := ledger.OutputsOf(map[string]port.Artifact{"data": {Name: "rents.csv", Digest: d("data")}})
	model := ledger.OutputsOf(map[string]port.Artifact{"model": {Digest: d("model")}})
	train := ledger.Entry{Action: ledger.Train, Ref: ref("training/rent:x"), Key: d("kt"), Outputs: model,
		MadeBy: &port.Recipe{Inputs: map[string]digest.Digest{"rents": d("data")}}}
	pin := ledger.Entry{Action: ledger.Pin, Ref: ref("dataset/rents"), Key: d("kd"), Outputs: data}
	named := pin
	named.Ref, named.Key = ref("dataset/flats"), d("other key")
	twice := func(e ledger.Entry) ledger.Entry { e.Duplicate = true; return e }
	release := ledger.Entry{Action: ledger.Select, Ref: ref("model/rent"), Key: d("km"), Outputs: model,
		Model: &ledger.Model{Candidate: ref("training/rent:x"), Artifact: port.Artifact{Digest: d("model")}, Signature: d("sig"), Provenance: d("slsa")}}
	of := func(entries ...ledger.Entry) Record {
		r := Record{Facts: fold(t, entries...)}
		for i := range entries {
			entries[i].Seq = int64(i + 1)
			r.Entries = append(r.Entries, &entries[i])
		}
		return r
	}
	for name, c := range map[string]struct {
		of   Record
		want int64
	}{
		"made twice, elsewhere":        {of(pin, train, twice(pin)), 1},
		"made twice, before the run":   {of(pin, twice(pin), train), 1},
		"under another name, later":    {of(pin, train, named), 1},
		"under another name, as early": {of(named, pin, named, train), 2},
		"only under another name":      {of(named, train), 1},
	} {
		run, err := c.of.Ref(ref("training/rent:x"))
		if err != nil || len(run.From) != 1 || run.From[0].Entry == nil || *run.From[0].Entry != c.want {
			t.Errorf("%s: %v, %+v; want entry %d", name, err, run.From, c.want)
		}
	}
	r := of(pin, train, twice(pin), twice(train), release)
	for digest, want := range map[digest.Digest]int64{d("data"): 1, d("kd"): 1} {
		if n, err := r.Digest(string(digest)); err != nil || *n.Entry != want {
			t.Errorf("%s is of %+v, %v; want entry %d", digest, n, err, want)
		}
	}
	n, err := r.Ref(ref("model/rent"))
	if err != nil {
		t.Fatal(err)
	}
	if run := n.From[len(n.From)-1]; *run.Entry != 2 || *run.From[0].Entry != 1 {
		t.Errorf("the model is of the run of entry %d and the data of entry %d; want 2 and 1", *run.Entry, *run.From[0].Entry)
	}
}

// TestANameThatWasNeverUsedIsUnknown: only a training has candidates, and only a transform has outputs.
func TestANameThatWasNeverUsedIsUnknown(t *testing.T) {
	r := Record{Facts: chain(t), Declared: map[schemas.Ref]digest.Digest{ref("transform/t"): d("kt"), ref("model/m"): d("km"), ref("dataset/d"): d("kd")}}
	for name, want := range map[string]string{
		"model/m:x": "did you mean model/m?", "dataset/d:data": "did you mean dataset/d?", "deployment/s:abc": "did you mean deployment/s?",
		"transform/t:zz": "did you mean transform/t?", "training/e:y": "did you mean training/e:x?",
	} {
		if n, err := r.Ref(ref(name)); fault.Of(err) != fault.Missing || fault.HintOf(err) != want {
			t.Errorf("%s: %+v, %v (%s); want %s", name, n, err, fault.HintOf(err), want)
		}
	}
	n, err := r.Ref(ref("transform/t:o"))
	if text := fmt.Sprint(n); err != nil || n.Name != "transform/t" || strings.Contains(text, "renamed") || strings.Contains(text, "no longer") {
		t.Errorf("an output of a transform: %+v, %v", n, err)
	}
}
