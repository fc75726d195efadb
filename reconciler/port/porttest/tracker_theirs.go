// What others do to what a Tracker shows: they move an alias, delete a run or a version, have a model of the same name, or another clock.

package porttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func trackerAlias(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	for env, key := range p.Models[0].Serves {
		p.Models[0].Moves = append(p.Models[0].Moves, port.TrackerMove{Entry: 13, Environment: env, Key: key})
	}
	b.record(t, p)
	name := p.Models[0].Name
	p.Models[0].Serves = map[string]digest.Digest{"production": trackerKey(t, "v2")}
	if r := b.record(t, p); len(r.Drift) != 0 {
		t.Errorf("a deployment is told as drift: %v", r.Drift)
	}
	if m := b.Model(t, name); len(m.Aliases) != 1 || m.Aliases["production"] != "2" {
		t.Errorf("after one was deployed and one retired: %v", m.Aliases)
	}
	before := b.Writes()
	if b.record(t, p); b.Writes() != before {
		t.Error("it does not settle")
	}
}

// trackerApproved: a version is made when its model is released, and people approve it later. What a version says of an environment is the newest entry's,
// whoever is cut off in between, and what others write there is left until there is news.
func trackerApproved(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	p.Runs = nil
	m := &p.Models[0]
	m.Versions, m.Serves, m.Deployed = m.Versions[:1], nil, nil
	m.Versions[0].Tags = map[string]string{port.TagReason: "first"}
	b.record(t, p)
	m.Serves = map[string]digest.Digest{"production": trackerKey(t, "v1")}
	for entry, by := range []string{"asha", "asha, ben", ""} {
		if m.Versions[0].Tags[port.TagApproved] = by; by == "" {
			delete(m.Versions[0].Tags, port.TagApproved)
		}
		reason := fmt.Sprint("reason ", entry)
		m.Deployed = map[string]port.TrackerDeployed{"production": {Entry: int64(20 + entry), Tags: map[string]string{port.TagReason: reason, port.TagApproved: by}}}
		for cut := range 10 {
			mend := b.Cut(1)
			_, err := b.Tracker.Record(t.Context(), p, false)
			if mend(); err == nil {
				break
			} else if cut == 9 {
				t.Fatal(err)
			}
		}
		v := b.Model(t, m.Name).Versions[0]
		_, says := v["vishwa.production.approved_by"]
		if v["vishwa.approved_by"] != "asha" || v["vishwa.production.approved_by"] != by || says != (by != "") || v["vishwa.production.reason"] != reason || v["vishwa.production.entry"] != fmt.Sprint(20+entry) {
			t.Errorf("approved by %q: the version has %v", by, v)
		}
		if r := b.record(t, p); r.Writes != 0 || len(r.Drift) != 0 {
			t.Errorf("the second time: %+v", r)
		}
	}
}

func trackerDrift(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	b.record(t, p)
	name := p.Models[0].Name
	drift := []string{"deleted"}
	if b.Model != nil {
		b.MoveAlias(t, name, "production", "2")
		drift = append(drift, "moved by hand")
	}
	told := func(r port.Recorded) bool {
		return slices.EqualFunc(r.Drift, drift, strings.Contains)
	}
	b.DeleteRun(t, p.Runs[0].Key)
	p.Heal = false
	before := b.Writes()
	if r := b.record(t, p); !told(r) || b.Writes() != before {
		t.Errorf("left as it is: %q, %d writes", r.Drift, b.Writes()-before)
	}
	p.Heal = true
	if r := b.record(t, p); !told(r) {
		t.Errorf("healed: %q", r.Drift)
	}
	b.whole(t, p)
	if b.Model != nil {
		if m := b.Model(t, name); m.Aliases["production"] != "1" {
			t.Errorf("healed: %v", m.Aliases)
		}
	}
	if r := b.record(t, p); len(r.Drift) != 0 || r.Writes != 0 {
		t.Errorf("after it was healed: %+v", r)
	}
}

// trackerClock: a run that ended before it began, as two machines whose clocks differ tell it, and one of the future, are shown as they are.
func trackerClock(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	p.Models = nil
	p.Runs[0].Finished = p.Runs[0].Started.Add(-time.Hour)
	p.Runs[1].Started = p.Runs[1].Started.AddDate(30, 0, 0)
	b.record(t, p)
	for _, run := range p.Runs {
		if shown := b.Show(t, run.Key); len(shown) != 1 || shown[0].Name != run.Name {
			t.Errorf("%s is shown as %+v", run.Name, shown)
		}
	}
	if r := b.record(t, p); r.Writes != 0 {
		t.Errorf("the second time: %+v", r)
	}
}

// trackerStopped: a trial that was ended early is no finished run, and is written once.
func trackerStopped(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	p.Models = nil
	p.Runs[0].Stopped = true
	b.record(t, p)
	if shown := b.Show(t, p.Runs[0].Key); len(shown) != 1 || shown[0].Status != "KILLED" {
		t.Errorf("it is shown as %+v", shown)
	}
	if r := b.record(t, p); r.Writes != 0 {
		t.Errorf("the second time: %+v", r)
	}
}

// trackerMoved: where that is declared, an alias that stands on another release is told and left, and all else is healed; what people declined,
// and what is no release of this ledger, is put back.
func trackerMoved(t *testing.T, b TrackerBench) {
	if b.Model == nil {
		t.Skip("it has no aliases")
	}
	p := trackerProjection(t)
	b.record(t, p)
	name := p.Models[0].Name
	p.Heal, p.Propose = true, true
	if r := b.record(t, p); len(r.Moved) != 0 {
		t.Errorf("nothing was moved: %+v", r.Moved)
	}
	b.MoveAlias(t, name, "production", "2")
	b.DeleteRun(t, p.Runs[0].Key)
	want := port.TrackerMoved{Model: name, Environment: "production", Serves: trackerKey(t, "v1"), To: trackerKey(t, "v2"), From: 1, At: 2}
	for range 2 {
		if r := b.record(t, p); !slices.Equal(r.Moved, []port.TrackerMoved{want}) || b.Model(t, name).Aliases["production"] != "2" {
			t.Errorf("moved: %+v; it is on %s", r.Moved, b.Model(t, name).Aliases["production"])
		}
	}
	if shown := b.Show(t, p.Runs[0].Key); len(shown) != 1 {
		t.Errorf("a deleted run was not healed: %+v", shown)
	}
	p.Declined = func(m port.TrackerMoved) bool { return m == want }
	if r := b.record(t, p); len(r.Moved) != 0 || b.Model(t, name).Aliases["production"] != "1" {
		t.Errorf("declined: %+v; it is on %s", r.Moved, b.Model(t, name).Aliases["production"])
	}
}

// trackerDeletedVersion: an alias that pointed to a version which somebody deleted is put right where that is declared, and else left.
func trackerDeletedVersion(t *testing.T, b TrackerBench) {
	if b.DeleteVersion == nil {
		t.Skip("it has no versions that can be deleted")
	}
	p := trackerProjection(t)
	b.record(t, p)
	name := p.Models[0].Name
	b.DeleteVersion(t, name, "1")
	p.Heal = false
	before := b.Writes()
	r := b.record(t, p)
	if len(r.Drift) == 0 || !strings.Contains(r.Drift[0], "was deleted") || b.Writes() != before {
		t.Errorf("left as it is: %q, %d writes", r.Drift, b.Writes()-before)
	}
	p.Heal = true
	if r := b.record(t, p); len(r.Drift) == 0 {
		t.Error("it was healed without a word")
	}
	m := b.Model(t, name)
	if on := m.Aliases["production"]; on == "" || on == "1" {
		t.Errorf("production is on %q", on)
	}
	if r := b.record(t, p); len(r.Drift) != 0 || r.Writes != 0 {
		t.Errorf("after it was healed: %+v", r)
	}
}

func trackerOthers(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	b.MakeModel(t, p.Models[0].Name)
	_, err := b.Tracker.Record(t.Context(), p, false)
	if fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if m := b.Model(t, p.Models[0].Name); len(m.Versions) != 0 || len(m.Aliases) != 0 {
		t.Errorf("it was written to: %+v", m)
	}
	b.whole(t, p)
}

func trackerDry(t *testing.T, b TrackerBench) {
	p := trackerProjection(t)
	before := b.Writes()
	r, err := b.Tracker.Record(t.Context(), p, true)
	if err != nil || r.Writes == 0 || r.Runs != 2 || b.Writes() != before {
		t.Errorf("dry: %+v, %v; %d writes", r, err, b.Writes()-before)
	}
	if r, err := b.Tracker.Record(t.Context(), port.Projection{Ledger: p.Ledger}, false); err != nil || r.Writes != 0 || b.Writes() != before {
		t.Errorf("of nothing: %+v, %v", r, err)
	}
}
