// The suite of a Tracker: what the ledger records is shown once, whoever is cut off or does it at the
// same time, and what others change there is told.

package porttest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TrackerBench is what a Tracker is tested with: a server that knows nothing yet of the ledger, or of
// the names of models, that a test uses.
type TrackerBench struct {
	Tracker port.Tracker
	// Others is the same server as somebody else has it.
	Others port.Tracker
	// Writes is how many requests changed something, by the server's own count.
	Writes func() int
	// Cut has the next requests but n fail that change something; it gives back how to end that.
	Cut func(n int) (mend func())
	// Show is what the server shows of a run, and Model of a model: nil where it shows none.
	Show  func(t *testing.T, key digest.Digest) []ShownRun
	Model func(t *testing.T, name string) ShownModel
	// MoveAlias and DeleteRun are what somebody does by hand; MakeModel makes a model of theirs.
	MoveAlias func(t *testing.T, model, alias, version string)
	DeleteRun func(t *testing.T, key digest.Digest)
	MakeModel func(t *testing.T, name string)
	// DeleteVersion deletes a version of a model, with the aliases on it; nil where it has none.
	DeleteVersion func(t *testing.T, model, version string)
}

// ShownRun is a run as a server shows it.
type ShownRun struct {
	Name, Status string
	Commit       string
	Params       map[string]string
	Tags         map[string]string
	Points       map[string][]float64 // by metric, in the order of their steps
	Inputs       int
}

// ShownModel is a model as a server shows it.
type ShownModel struct {
	Versions []map[string]string // tags, in the order of their versions
	Aliases  map[string]string   // alias -> version
}

// Tracker insists on what every Tracker promises.
func Tracker(t *testing.T, open func(t *testing.T) TrackerBench) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, TrackerBench){
		"WhatIsRecordedIsShown":           trackerShows,
		"TheSecondTimeNothingIsWritten":   trackerTwice,
		"WhoIsCutOffGoesOnWhereItEnded":   trackerCut,
		"TwoAtOnceComeToOneRecord":        trackerBoth,
		"WhatOthersChangeIsDrift":         trackerDrift,
		"NothingIsWrittenWhereNoneShould": trackerDry,
		"AClockThatWasPutBackIsShown":     trackerClock,
	} {
		t.Run(name, func(t *testing.T) { law(t, open(t)) })
	}
	if open(t).Model == nil {
		return // it shows no models
	}
	t.Run("AnAliasFollowsWhatIsServed", func(t *testing.T) { trackerAlias(t, open(t)) })
	t.Run("WhoApprovesLaterIsShown", func(t *testing.T) { trackerApproved(t, open(t)) })
	t.Run("ATrialThatWasEndedEarlyIsShownAsThat", func(t *testing.T) { trackerStopped(t, open(t)) })
	t.Run("AnAliasThatWasMovedMayBeAWish", func(t *testing.T) { trackerMoved(t, open(t)) })
	t.Run("AVersionThatWasDeletedIsDrift", func(t *testing.T) { trackerDeletedVersion(t, open(t)) })
	t.Run("AnothersModelIsLeftAlone", func(t *testing.T) { trackerOthers(t, open(t)) })
}

func trackerKey(t *testing.T, what string) digest.Digest {
	return digest.Of([]byte(t.Name() + what))
}

// trackerProjection is a ledger of this test's own.
func trackerProjection(t *testing.T) port.Projection {
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	values := make([]float64, 1500)
	course := port.TrackerSeries{Name: "val/loss", Values: values, Steps: make([]int64, len(values)), Times: make([]int64, len(values))}
	for i := range values {
		values[i], course.Steps[i], course.Times[i] = 1/float64(i+1), int64(i), at.UnixMilli()+int64(i)
	}
	odd := port.TrackerSeries{Name: "odd", Values: []float64{math.NaN(), math.Inf(1), 1}, Steps: []int64{0, 1, 2}, Times: []int64{0, 0, 0}}
	params := map[string]string{"depth": "3", "naïve=name": "x", "host:port": "z", "../../etc": strings.Repeat("y", 9000)}
	for i := range 150 {
		params[fmt.Sprintf("p%03d", i)] = fmt.Sprint(i)
	}
	run := port.TrackerRun{
		Key: trackerKey(t, "run"), Entry: 7, Name: "training/enrollment:xgboost", Started: at, Finished: at.Add(time.Minute), Params: params,
		Metrics: map[string]float64{"test.auc": 0.9, "val/loss": 1 / 1500.0, "f1@10%": 0.5, "val:f1": 0.75, "f1_10_": 0.25},
		Inputs:  map[string]digest.Digest{"train": digest.Of([]byte("rows"))},
		Tags:    map[string]string{port.TagRevision: strings.Repeat("a", 40), port.TagReason: "data changed", port.TagSource: "src/train.py", port.TagApproved: "asha"},
		Logged: func(context.Context) (port.TrackerLog, error) {
			return port.TrackerLog{Params: map[string]string{"depth": "another", "logged": "yes"}, Series: []port.TrackerSeries{course, odd}}, nil
		},
	}
	bare := port.TrackerRun{Key: trackerKey(t, "bare"), Entry: 9, Name: "training/bare:default", Started: at, Finished: at, Metrics: map[string]float64{"loss": 1}}
	return port.Projection{Ledger: trackerKey(t, "ledger").Hex(), Heal: true, Runs: []port.TrackerRun{run, bare}, Models: []port.TrackerModel{{
		Name:     trackerName(t),
		Versions: []port.TrackerVersion{{Key: trackerKey(t, "v1"), Entry: 8, Run: run.Key, Digest: digest.Of([]byte("m1")), Tags: map[string]string{port.TagReason: "first", port.TagApproved: "asha"}}, {Key: trackerKey(t, "v2"), Entry: 12, Digest: digest.Of([]byte("m2"))}},
		Serves:   map[string]digest.Digest{"staging": trackerKey(t, "v2"), "production": trackerKey(t, "v1")},
		Deployed: map[string]port.TrackerDeployed{"production": {Entry: 13, Tags: map[string]string{port.TagReason: "released", port.TagApproved: "ben"}}},
	}}}
}

func trackerName(t *testing.T) string { return "m-" + trackerKey(t, "model").Hex()[:12] }

func (b TrackerBench) record(t *testing.T, p port.Projection) port.Recorded {
	t.Helper()
	r, err := b.Tracker.Record(t.Context(), p, false)
	if err != nil {
		t.Fatalf("record: %v (%s)", err, fault.HintOf(err))
	}
	return r
}

func trackerShows(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	if r := b.record(t, p); r.Runs != 2 || len(r.Drift) != 0 {
		t.Errorf("recorded %+v", r)
	}
	if bare := b.Show(t, p.Runs[1].Key); len(bare) != 1 || bare[0].Status != "FINISHED" || !slices.Equal(bare[0].Points["loss"], []float64{1}) {
		t.Errorf("a run of one number is shown as %+v", bare)
	}
	b.whole(t, p)
	if b.Model == nil {
		return
	}
	m := b.Model(t, p.Models[0].Name)
	if len(m.Versions) != 2 || m.Aliases["production"] != "1" || m.Aliases["staging"] != "2" {
		t.Errorf("model %+v", m)
	}
	if v := m.Versions[0]; v["vishwa.key"] != string(trackerKey(t, "v1")) || v["vishwa.approved_by"] != "asha" || v["vishwa.reason"] != "first" || v["vishwa.entry"] != "8" {
		t.Errorf("version 1 has %v", v)
	} else if v["vishwa.production.reason"] != "released" || v["vishwa.production.approved_by"] != "ben" || v["vishwa.production.entry"] != "13" || v["vishwa.staging.entry"] != "" {
		t.Errorf("of what serves it, version 1 has %v", v)
	}
}

// whole insists that the run is shown once, with all of it.
func (b TrackerBench) whole(t *testing.T, p port.Projection) {
	t.Helper()
	all := b.Show(t, p.Runs[0].Key)
	if len(all) != 1 {
		t.Fatalf("%d runs are shown", len(all))
	}
	r := all[0]
	if r.Name != "training/enrollment:xgboost" || r.Status != "FINISHED" || r.Inputs != 1 {
		t.Errorf("it is shown as %s, %s, with %d inputs", r.Name, r.Status, r.Inputs)
	}
	if len(r.Params) != 155 || r.Params["logged"] != "yes" || r.Params["depth"] != "3" || r.Params["p149"] != "149" {
		t.Errorf("%d parameters: %.300v", len(r.Params), r.Params)
	}
	if r.Commit != strings.Repeat("a", 40) || r.Tags["vishwa.key"] != string(p.Runs[0].Key) || r.Tags["vishwa.approved_by"] != "asha" {
		t.Errorf("tags %v", r.Tags)
	}
	loss := r.Points["val/loss"]
	if len(loss) != 1500 || loss[0] != 1 || loss[1499] != 1/1500.0 {
		t.Errorf("%d points of val/loss", len(loss))
	}
	odd := r.Points["odd"]
	if len(odd) != 3 || !math.IsNaN(odd[0]) || odd[1] < math.MaxFloat64 || odd[2] != 1 {
		t.Errorf("odd is %v", odd)
	}
	if !slices.Equal(r.Points["test.auc"], []float64{0.9}) || len(r.Points) != 6 {
		t.Errorf("metrics are %v", r.Points["test.auc"])
	}
}

func trackerTwice(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	b.record(t, p)
	before := b.Writes()
	if r := b.record(t, p); r.Writes != 0 || r.Runs != 0 || b.Writes() != before {
		t.Errorf("it wrote %d requests, of which the server has %d", r.Writes, b.Writes()-before)
	}
	if r, err := b.Others.Record(t.Context(), p, false); err != nil || r.Writes != 0 {
		t.Errorf("somebody else wrote %d (%v)", r.Writes, err)
	}
}

// trackerCut cuts after each request that changes something, and goes on.
func trackerCut(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	cuts := 0
	for ; cuts < 100; cuts++ {
		mend := b.Cut(1)
		_, err := b.Tracker.Record(t.Context(), p, false)
		mend()
		if err == nil {
			break
		}
		if fault.Of(err) != fault.Transient {
			t.Fatalf("cut off: %v", err)
		}
	}
	if cuts < 3 || cuts == 100 {
		t.Errorf("it was cut off %d times", cuts)
	}
	b.whole(t, p)
	if b.Model == nil {
		return
	}
	if m := b.Model(t, p.Models[0].Name); len(m.Versions) != 2 || len(m.Aliases) != 2 {
		t.Errorf("model %+v", m)
	}
}

// trackerBoth: two that record the same at once come to one record of each run, each version and each alias, and leave nothing else behind.
func trackerBoth(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	runs, first := p, p
	runs.Models = nil
	first.Models = slices.Clone(p.Models)
	first.Models[0].Versions, first.Models[0].Serves = p.Models[0].Versions[:1], nil
	for _, what := range []port.Projection{runs, first, p} { // at all at once, whoever is first with a run is alone with the rest
		var both sync.WaitGroup
		for _, by := range []port.Tracker{b.Tracker, b.Others} {
			both.Go(func() { _, _ = by.Record(t.Context(), what, false) })
		}
		both.Wait()
		for range 3 { // whoever was first, all come to one
			for _, by := range []port.Tracker{b.Tracker, b.Others} {
				if _, err := by.Record(t.Context(), what, false); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	b.whole(t, p)
	if b.Model != nil {
		if m := b.Model(t, p.Models[0].Name); len(m.Versions) != 2 || len(m.Aliases) != 2 {
			t.Errorf("model %+v", m)
		}
	}
	before := b.Writes()
	for _, by := range []port.Tracker{b.Tracker, b.Others} {
		if r, err := by.Record(t.Context(), p, false); err != nil || r.Writes != 0 || len(r.Drift) != 0 || b.Writes() != before {
			t.Errorf("it does not settle: %+v, %v", r, err)
		}
	}
}
