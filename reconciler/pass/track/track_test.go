// What trackers are shown is the ledger's, and of a pull request only what serves.

package track

import (
	"fmt"
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
	return ledger.Entry{Action: ledger.Train, Ref: candidate, Key: named(key), PullRequest: by, Metrics: map[string]float64{"auc": 1}, Outputs: map[string]port.Artifact{"model": {Digest: named(makes)}},
		Recipe: &port.Recipe{Command: []string{"python", "src/train.py"}, Params: map[string]any{"net": map[string]any{"depth": 3}}}}
}

func selects(key, makes string, by *ledger.PullRequest) ledger.Entry {
	return ledger.Entry{Action: ledger.Select, Ref: model, Key: named(key), PullRequest: by, Model: &ledger.Model{Candidate: candidate, Artifact: port.Artifact{Digest: named(makes)}}}
}

func deploys(selected string, approved ...string) ledger.Entry {
	return ledger.Entry{Action: ledger.Deploy, Ref: production, Approved: approved, Release: &ledger.Release{Environment: "production", Selected: named(selected)}}
}

func project(t *testing.T, entries ...ledger.Entry) port.Projection {
	t.Helper()
	p, err := Project(Source{Ledger: named("genesis"), Entries: func(yield func(ledger.Entry, error) bool) {
		for i, e := range entries {
			e.Seq = int64(i)
			if !yield(e, nil) {
				return
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
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
			out = append(out, fmt.Sprintf("%s serves %d", env, m.Versions[i].Entry))
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
		"a run":                                {[]ledger.Entry{train("a", "m", nil), again}, "run 0"},
		"a release":                            {[]ledger.Entry{train("a", "m", nil), selects("s", "m", nil)}, "run 0, version 1 by "},
		"what serves, and who approved it":     {[]ledger.Entry{train("a", "m", nil), selects("s", "m", nil), deploys("s", "asha", "ben")}, "run 0, version 1 by asha, ben, production serves 1, 1 in 2"},
		"what served":                          {[]ledger.Entry{train("a", "m", nil), selects("s", "m", nil), deploys("s"), {Action: ledger.Retire, Ref: production}}, "run 0, version 1 by , 1 in 2, none in 3"},
		"a pull request's":                     {[]ledger.Entry{train("a", "m", pull), selects("s", "m", pull)}, ""},
		"a pull request's that serves":         {[]ledger.Entry{train("a", "m", pull), train("b", "n", pull), selects("s", "m", pull), deploys("s")}, "run 0, run 1, version 2 by , production serves 2, 2 in 3"},
		"another pull request's beside it":     {[]ledger.Entry{train("b", "n", &ledger.PullRequest{Pull: 8}), train("a", "m", pull), selects("s", "m", pull), deploys("s")}, "run 1, version 2 by , production serves 2, 2 in 3"},
		"the newest deployment of a place":     {[]ledger.Entry{selects("s", "m", nil), selects("r", "n", nil), deploys("s"), deploys("r")}, "version 0 by , version 1 by , production serves 1, 0 in 2, 1 in 3"},
		"the same again":                       {[]ledger.Entry{selects("s", "m", nil), deploys("s"), deploys("s")}, "version 0 by , production serves 0, 0 in 1"},
		"a deployment of what nobody selected": {[]ledger.Entry{selects("s", "m", nil), deploys("s"), deploys("nothing")}, "version 0 by , 0 in 1, none in 2"},
	} {
		if got := shown(project(t, c.entries...)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	p := project(t, train("a", "m", nil), selects("s", "m", nil))
	if r := p.Runs[0]; r.Params["net.depth"] != "3" || r.Tags[port.TagSource] != "python src/train.py" || p.Models[0].Versions[0].Run != r.Key || p.Ledger != named("genesis").Hex() {
		t.Errorf("%+v", p)
	}
}
