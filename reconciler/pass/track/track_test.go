// What trackers are shown is the ledger's, and of a pull request only what serves.

package track

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func named(what string) digest.Digest { return digest.Of([]byte(what)) }

var (
	candidate  = schemas.Ref{Kind: schemas.KindTraining, Name: "price", Output: "line"}
	model      = schemas.Ref{Kind: schemas.KindModel, Name: "price"}
	production = schemas.Ref{Kind: schemas.KindDeployment, Name: "price-production"}
)

func train(key, makes string, by *ledger.PullRequest) ledger.Entry {
	return ledger.Entry{Action: ledger.Train, Ref: candidate, Key: named(key), PullRequest: by, Metrics: map[string]float64{"auc": 1}, Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": {Digest: named(makes)}}),
		MadeBy: &port.Recipe{Command: []string{"python", "src/train.py"}, Params: map[string]any{"net": map[string]any{"depth": 3}}}}
}

func selects(key, makes string, by *ledger.PullRequest) ledger.Entry {
	return ledger.Entry{Action: ledger.Select, Ref: model, Key: named(key), PullRequest: by, Model: &ledger.Model{Candidate: candidate, Artifact: port.Artifact{Digest: named(makes)}}}
}

func deploys(selected string, approved ...string) ledger.Entry {
	return ledger.Entry{Action: ledger.Deploy, Ref: production, Approved: approved, Release: &ledger.Release{Environment: "production", Selected: named(selected)}}
}

// book is a ledger of entries; read notes the number of each that is read.
func book(entries []ledger.Entry, read func(seq int64)) Source {
	return Source{
		At: func(seq int64) (digest.Digest, bool) {
			if seq < 0 || seq >= int64(len(entries)) {
				return "", false
			}
			return named(fmt.Sprint(seq, entries[seq].Key, entries[seq].Action)), true
		},
		Entries: func(from int64) iter.Seq2[ledger.Entry, error] {
			return func(yield func(ledger.Entry, error) bool) {
				for i := from; i < int64(len(entries)); i++ {
					e := entries[i]
					e.Seq = i
					read(i)
					if !yield(e, nil) {
						return
					}
				}
			}
		},
	}
}

// at is a deployment of a name.
func at(name, selected string) ledger.Entry {
	e := deploys(selected)
	e.Ref.Name = name
	return e
}

func project(t *testing.T, entries ...ledger.Entry) port.Projection {
	t.Helper()
	p, err := new(Reading).Project(book(entries, func(int64) {}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAReadingGoesOnWhereItStopped: each entry is read once, what is shown is the same as of all of them at once, and another past is read anew.
func TestAReadingGoesOnWhereItStopped(t *testing.T) {
	pull := &ledger.PullRequest{Pull: 7, Head: "abc"}
	all := []ledger.Entry{train("a", "m", nil), selects("s", "m", nil), train("b", "n", pull), selects("u", "n", pull), deploys("s"), train("c", "o", nil), selects("v", "o", nil), deploys("u", "person:bob"), {Action: ledger.Retire, Ref: production}}
	var r Reading
	times := map[int64]int{}
	count := func(seq int64) { times[seq]++ }
	for n := range len(all) + 1 {
		p, err := r.Project(book(all[:n], count))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := shown(p), shown(project(t, all[:n]...)); got != want {
			t.Errorf("after %d entries: %s, want %s", n, got, want)
		}
	}
	for seq, n := range times {
		if n != 1 {
			t.Errorf("entry %d was read %d times", seq, n)
		}
	}
	other := append([]ledger.Entry{train("z", "m", nil)}, all[1:]...)
	short := all[:3]
	for name, entries := range map[string][]ledger.Entry{"another ledger": other, "a shorter one": short} {
		p, err := r.Project(book(entries, count))
		if err != nil || shown(p) != shown(project(t, entries...)) {
			t.Errorf("%s: %s, %v", name, shown(p), err)
		}
	}
	broken := book(all, count)
	inner := broken.Entries
	broken.Entries = func(from int64) iter.Seq2[ledger.Entry, error] {
		return func(yield func(ledger.Entry, error) bool) {
			for e := range inner(from) {
				if e.Seq == 5 {
					yield(e, errors.New("the disk is away"))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	r = Reading{}
	if _, err := r.Project(broken); err == nil {
		t.Error("a reading that broke off is taken for one")
	}
	if p, err := r.Project(book(all, count)); err != nil || shown(p) != shown(project(t, all...)) {
		t.Errorf("after one that broke off: %s, %v", shown(p), err)
	}
}

// shown is a projection in a line.
func shown(p port.Projection) string {
	var out []string
	for _, r := range p.Runs {
		out = append(out, fmt.Sprintf("run %d", r.Entry))
	}
	for _, m := range p.Models {
		for _, v := range m.Versions {
			out = append(out, fmt.Sprintf("version %d by %s", v.Entry, v.Tags[port.TagApproved]))
		}
		for env, key := range m.Serves {
			i := slices.IndexFunc(m.Versions, func(v port.TrackerVersion) bool { return v.Key == key })
			out = append(out, fmt.Sprintf("%s serves %d by %s of %d", env, m.Versions[i].Entry, m.Deployed[env].Tags[port.TagApproved], m.Deployed[env].Entry))
		}
		for _, v := range m.Moves {
			i := slices.IndexFunc(m.Versions, func(w port.TrackerVersion) bool { return w.Key == v.Key })
			if v.Key == "" {
				out = append(out, fmt.Sprintf("none in %d", v.Entry))
			} else {
				out = append(out, fmt.Sprintf("%d in %d", m.Versions[i].Entry, v.Entry))
			}
		}
	}
	return strings.Join(out, ", ")
}

func TestWhatIsShownIsTheLedgers(t *testing.T) {
	pull := &ledger.PullRequest{Pull: 7, Head: "abc"}
	again := train("a", "m", nil)
	again.Duplicate = true
	for name, c := range map[string]struct {
		entries []ledger.Entry
		want    string
	}{
		"a run":                            {[]ledger.Entry{train("a", "m", nil), again}, "run 0"},
		"a release":                        {[]ledger.Entry{train("a", "m", nil), selects("s", "m", nil)}, "run 0, version 1 by "},
		"what serves, and who approved it": {[]ledger.Entry{train("a", "m", nil), selects("s", "m", nil), deploys("s", "asha", "ben")}, "run 0, version 1 by asha, ben, production serves 1 by asha, ben of 2, 1 in 2"},
		"what served":                      {[]ledger.Entry{train("a", "m", nil), selects("s", "m", nil), deploys("s"), {Action: ledger.Retire, Ref: production}}, "run 0, version 1 by , 1 in 2, none in 3"},
		"a pull request's":                 {[]ledger.Entry{train("a", "m", pull), selects("s", "m", pull)}, ""},
		"a pull request's that serves":     {[]ledger.Entry{train("a", "m", pull), train("b", "n", pull), selects("s", "m", pull), deploys("s")}, "run 0, run 1, version 2 by , production serves 2 by  of 3, 2 in 3"},
		"another pull request's beside it": {[]ledger.Entry{train("b", "n", &ledger.PullRequest{Pull: 8}), train("a", "m", pull), selects("s", "m", pull), deploys("s")}, "run 1, version 2 by , production serves 2 by  of 3, 2 in 3"},
		"the newest deployment of a place": {[]ledger.Entry{selects("s", "m", nil), selects("r", "n", nil), deploys("s"), deploys("r")}, "version 0 by , version 1 by , production serves 1 by  of 3, 0 in 2, 1 in 3"},
		"the same again":                   {[]ledger.Entry{selects("s", "m", nil), deploys("s"), deploys("s", "asha")}, "version 0 by asha, production serves 0 by asha of 2, 0 in 1"},
		"two deployments of one environment": {[]ledger.Entry{selects("s", "m", nil), selects("r", "n", nil), at("a", "s"), at("b", "r"), {Action: ledger.Retire, Ref: at("b", "").Ref}, {Action: ledger.Retire, Ref: at("a", "").Ref}},
			"version 0 by , version 1 by , 0 in 2, 1 in 3, 0 in 4, none in 5"},
		"a deployment of what nobody selected": {[]ledger.Entry{selects("s", "m", nil), deploys("s"), deploys("nothing")}, "version 0 by , 0 in 1, none in 2"},
	} {
		if got := shown(project(t, c.entries...)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	p := project(t, train("a", "m", nil), selects("s", "m", nil))
	if r := p.Runs[0]; r.Params["net.depth"] != "3" || r.Tags[port.TagSource] != "python src/train.py" || p.Models[0].Versions[0].Run != r.Key || p.Ledger != named(fmt.Sprint(0, named("a"), ledger.Train)).Hex() {
		t.Errorf("%+v", p)
	}
}

// TestDataIsShownOnceItCounts: what the tracked branch pinned, and what a pull request pinned once a model that was made of it serves,
// by way of what transforms made of it.
func TestDataIsShownOnceItCounts(t *testing.T) {
	students := schemas.Ref{Kind: schemas.KindDataset, Name: "students"}
	pull := &ledger.PullRequest{Pull: 7, Head: "abc"}
	pin := func(data string, by *ledger.PullRequest) ledger.Entry {
		return ledger.Entry{Action: ledger.Pin, Ref: students, Key: named("pin " + data), Revision: "of " + data, PullRequest: by, Outputs: ledger.OutputsOf(map[string]port.Artifact{"data": {Digest: named(data)}})}
	}
	features := func(of, makes string, by *ledger.PullRequest) ledger.Entry {
		return ledger.Entry{Action: ledger.Transform, Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "features"}, Key: named(makes), PullRequest: by,
			MadeBy: &port.Recipe{Inputs: map[string]digest.Digest{"students": named(of)}}, Outputs: ledger.OutputsOf(map[string]port.Artifact{"train": {Digest: named(makes)}})}
	}
	trains := func(of, makes string, by *ledger.PullRequest) ledger.Entry {
		e := train("run "+makes, makes, by)
		e.MadeBy.Inputs = map[string]digest.Digest{"train": named(of)}
		return e
	}
	all := []ledger.Entry{pin("first", nil), pin("proposed", pull), features("proposed", "rows", pull), trains("rows", "m2", pull), selects("s2", "m2", pull)}
	shown := func(entries []ledger.Entry) string {
		var out []string
		for _, d := range project(t, entries...).Data {
			out = append(out, fmt.Sprint(d.Name, " ", d.Entry, " ", d.Tags[port.TagRevision], " ", d.Digest == named(strings.TrimPrefix(d.Tags[port.TagRevision], "of "))))
		}
		return strings.Join(out, ", ")
	}
	if got := shown(all); got != "students 0 of first true" {
		t.Errorf("before it is merged: %s", got)
	}
	if got := shown(append(all, deploys("s2"))); got != "students 1 of proposed true" {
		t.Errorf("once it serves: %s", got)
	}
}

// TestATrialThatWasEndedEarlyIsShown: with what it had come to, and why it was ended.
func TestATrialThatWasEndedEarlyIsShown(t *testing.T) {
	best, early := 0.3, train("a", "m", nil)
	early.Metrics, early.Outputs = nil, nil
	early.Trial = &ledger.Trial{Stopped: &ledger.Stopped{Metric: "loss", Step: 4, Best: &best, Bound: 0.2, Of: 5}}
	none := train("b", "n", nil)
	none.Metrics, none.Outputs = nil, nil
	none.Trial = &ledger.Trial{Stopped: &ledger.Stopped{Metric: "loss", Step: 4, Bound: 0.2, Of: 5}}
	p := project(t, early, none)
	if len(p.Runs) != 2 || !p.Runs[0].Stopped || p.Runs[0].Metrics["loss"] != 0.3 || p.Runs[0].Tags[port.TagStopped] != early.Stopped().String() || len(p.Runs[1].Metrics) != 0 {
		t.Errorf("%+v", p.Runs)
	}
}
