// What a round of a search is given: the trials before it, by their parameters and one metric, and nothing else of them.

package made

import (
	"fmt"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func searched(n int) (*graph.Ask, func(schemas.Ref) *ledger.Entry, map[schemas.Ref]*ledger.Entry) {
	low, high := 0.0, 1.0
	ask := &graph.Ask{Training: schemas.Ref{Kind: schemas.KindTraining, Name: "t"}, Search: &schemas.AskedSearch{Metric: "auc", Space: map[string]schemas.Range{"rate": {Min: &low, Max: &high}}}}
	all := map[schemas.Ref]*ledger.Entry{}
	for i := 1; i <= n; i++ {
		ref := ask.Training
		ref.Output = schemas.TrialName(i)
		ask.Told = append(ask.Told, ref)
		all[ref] = &ledger.Entry{Ref: ref, MadeBy: &port.Recipe{Params: map[string]any{"rate": float64(i) / float64(n), "epochs": 3.0}}, Metrics: map[string]float64{"auc": 0.5, "seconds": float64(i)}}
	}
	return ask, func(ref schemas.Ref) *ledger.Entry { return all[ref] }, all
}

func TestARoundIsGivenWhatItAsksForAndNoMore(t *testing.T) {
	ask, of, all := searched(2)
	raw, waits, err := Told(ask, of)
	if want := `[{"name":"trial-0001","params":{"rate":0.5},"value":0.5},{"name":"trial-0002","params":{"rate":1},"value":0.5}]`; err != nil || len(waits) > 0 || string(raw) != want {
		t.Errorf("got %s, %v, %v", raw, waits, err)
	}
	all[ask.Told[0]].Metrics["seconds"], all[ask.Told[0]].Outputs = 99, ledger.OutputsOf(map[string]port.Artifact{"model": {Digest: digest.Of([]byte("another"))}})
	if again, _, _ := Told(ask, of); string(again) != string(raw) {
		t.Errorf("what it did not ask for counts: %s", again)
	}
	delete(all[ask.Told[1]].Metrics, "auc")
	if raw, _, err := Told(ask, of); err != nil || string(raw) != `[{"name":"trial-0001","params":{"rate":0.5},"value":0.5},{"name":"trial-0002","params":{"rate":1},"value":null}]` {
		t.Errorf("without the metric: %s, %v", raw, err)
	}
	delete(all, ask.Told[1])
	if raw, waits, _ := Told(ask, of); raw != nil || fmt.Sprint(waits) != "[training/t:trial-0002]" {
		t.Errorf("before it has run: %s, %v", raw, waits)
	}
	if raw, _, err := Told(&graph.Ask{Training: ask.Training, Search: ask.Search}, of); err != nil || string(raw) != "[]" {
		t.Errorf("the first round: %s, %v", raw, err)
	}
}

// BenchmarkRoundsOfAThousandTrials is the keys of a search that asks for one trial at a time.
func BenchmarkRoundsOfAThousandTrials(b *testing.B) {
	ask, _, all := searched(1000)
	for b.Loop() {
		known := Known{}
		for n, ref := range ask.Told {
			round := graph.Node{Ask: &graph.Ask{Search: ask.Search, Told: ask.Told[:n]}}
			if _, waits := known.Recipe(&round); len(waits) > 0 {
				b.Fatal(waits)
			}
			known.Add(&graph.Node{Ref: ref}, all[ref])
		}
	}
}
