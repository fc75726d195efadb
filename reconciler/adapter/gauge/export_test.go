// What a monitor exports for users of Evidently is read back by the gauge that reads theirs.

package gauge

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func TestWhatIsExportedIsReadBack(t *testing.T) {
	number := func(x float64) *drift.Number { n := drift.Number(x); return &n }
	e := watch.Evidence{Columns: []drift.Column{
		{Name: "area", Type: "number", Method: "wasserstein", Score: number(0.75), Threshold: 0.1, Alarm: true, Significance: number(1e-12), Effect: 0.3},
		{Name: "rooms", Type: "number", Method: "ks", Score: number(0.4), Threshold: 0.05, Significance: number(0.4), Effect: 0.01},
		{Name: "kind <b>", Type: "category", Method: "jensenshannon", Score: number(0.01), Threshold: 0.1, Significance: number(0.1)},
		{Name: "gone", Verdict: drift.Fault},
	}}
	raw, err := templates.EvidentlyJSON(e)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Evidently(fstest.MapFS{"r.json": {Data: raw}}, schemas.EvidentlyGauge{Report: "r.json"}).Measure(t.Context())
	if err != nil || len(all) != 4 {
		t.Fatalf("%+v, %v", all, err)
	}
	for i, want := range []struct {
		value float64
		alarm bool
	}{{1.0 / 3, false}, {0.75, true}, {0.4, false}, {0.01, false}} {
		if *all[i].Value != want.value || all[i].Alarm != want.alarm {
			t.Errorf("%s: %v, alarm %v", all[i].What, *all[i].Value, all[i].Alarm)
		}
	}
	if raw, err = templates.WhylogsJSON(e); err != nil {
		t.Fatal(err)
	}
	var scores map[string]struct {
		Algorithm string
		Statistic *float64
		Category  string `json:"drift_category"`
	}
	if err := json.Unmarshal(raw, &scores); err != nil || len(scores) != 3 {
		t.Fatalf("%s, %v", raw, err)
	}
	if s := scores["area"]; s.Category != "DRIFT" || s.Algorithm != "ks" || *s.Statistic != 0.3 {
		t.Errorf("%+v", s)
	}
	if s := scores["kind <b>"]; s.Category != "POSSIBLE_DRIFT" || s.Algorithm != "chi-square" || s.Statistic != nil {
		t.Errorf("%+v", s)
	}
	if scores["rooms"].Category != "NO_DRIFT" {
		t.Errorf("%+v", scores["rooms"])
	}
	if raw, err := templates.EvidentlyJSON(watch.Evidence{}); err != nil || !json.Valid(raw) {
		t.Errorf("of nothing: %s, %v", raw, err)
	}
}
