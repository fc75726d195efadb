// The laws of the record: what was renamed, retired, replaced or refused is still explained,
// and its tree says what became of it.

package lineage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
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
