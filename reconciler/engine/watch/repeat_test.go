// A deterministic run with the same data answers nothing.

package watch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestARoundThatGivesTheSameBytesIsNone(t *testing.T) {
	training := schemas.Ref{Kind: "training", Name: "price"}
	run := func(seq int64, candidate, spec, data, model string) ledger.Entry {
		r := port.Recipe{Kind: "Training", Spec: json.RawMessage(spec), Inputs: map[string]digest.Digest{"d": digest.Of([]byte(data))}}
		key, err := r.Key()
		if err != nil {
			t.Fatal(err)
		}
		return ledger.Entry{Seq: seq, Action: ledger.Train, Ref: schemas.Ref{Kind: "training", Name: "price", Output: candidate}, Key: key, MadeBy: &r,
			Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": {Digest: digest.Of([]byte(model))}})}
	}
	for name, c := range map[string]struct {
		runs []ledger.Entry
		want string
	}{
		"nothing was made":        {nil, ""},
		"one run":                 {[]ledger.Entry{run(1, "a", `{}`, "d", "m")}, ""},
		"a round, the same bytes": {[]ledger.Entry{run(1, "a", `{}`, "d", "m"), run(2, "a", `{"round":{"number":1}}`, "d", "m")}, "entries 1 and 2"},
		"a round, other bytes":    {[]ledger.Entry{run(1, "a", `{}`, "d", "m"), run(2, "a", `{"round":{"number":1}}`, "d", "n")}, ""},
		"other data":              {[]ledger.Entry{run(1, "a", `{}`, "d", "m"), run(2, "a", `{"round":{"number":1}}`, "e", "m")}, ""},
		"something else changed":  {[]ledger.Entry{run(1, "a", `{"x":1}`, "d", "m"), run(2, "a", `{"round":{"number":1}}`, "d", "m")}, ""},
		"other data since":        {[]ledger.Entry{run(1, "a", `{}`, "d", "m"), run(2, "a", `{"round":{"number":1}}`, "d", "m"), run(3, "a", `{"round":{"number":1}}`, "e", "n")}, ""},
		"one candidate of two":    {[]ledger.Entry{run(1, "a", `{}`, "d", "m"), run(2, "a", `{"round":{"number":1}}`, "d", "m"), run(3, "b", `{"b":1}`, "d", "m")}, ""},
	} {
		facts := &ledger.Facts{}
		if err := facts.Fold(ledger.Entry{Action: ledger.Genesis}, digest.Of(nil)); err != nil {
			t.Fatal(err)
		}
		for _, e := range c.runs {
			e.Prev = facts.Head
			if err := facts.Fold(e, digest.Of([]byte{byte(e.Seq)})); err != nil {
				t.Fatal(err)
			}
		}
		if got := Repeats(facts, training); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
