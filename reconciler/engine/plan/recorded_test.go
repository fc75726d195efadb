// The law of recorded reasons: what an entry says is true when it is read later. It waits
// for nothing, and says nothing of a store or a server as it is now.

package plan

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestWhatIsRecordedIsTrueLater(t *testing.T) {
	training, deployment := schemas.Ref{Kind: "training", Name: "t"}, schemas.Ref{Kind: "deployment", Name: "d"}
	was := &ledger.Entry{Action: ledger.Train, MadeBy: &port.Recipe{Kind: "Training", Inputs: nil, Params: nil, Command: []string{"a"}}}
	now := port.Recipe{Kind: "Training", Command: []string{"b"}}
	for name, c := range map[string]struct {
		step Step
		last *ledger.Entry
		want string
	}{
		"absent":          {Step{Ref: training, Do: Remake, Why: "made in entry 3 by controller:a; " + NotInStore + " (share it with spec.store)"}, was, "made again: this machine's store did not have it"},
		"in a folder":     {Step{Ref: training, Do: Remake, Why: "made in entry 3 in another folder of this machine (/home/ada/homes); " + NotInFolder + " (move it back)"}, was, "made again: this folder's store did not have it"},
		"first":           {Step{Ref: training, Do: Make, Why: "never made"}, nil, "never made before"},
		"first pin":       {Step{Ref: training, Do: Pin, Why: "never pinned"}, nil, "never pinned before"},
		"first release":   {Step{Ref: deployment, Do: Make, Why: "never deployed"}, nil, "never deployed before"},
		"first, failed":   {Step{Ref: training, Do: Make, Why: "never packed: it failed: no answer"}, nil, "never packed before: it failed: no answer"},
		"first, waited":   {Step{Ref: training, Do: Make, Pending: true, Why: "never made; waits for dataset/d"}, nil, "never made before"},
		"waited":          {Step{Ref: training, Do: Remake, Pending: true, Why: "waits for dataset/d"}, was, explainChange(*was.Recipe(), now)},
		"first served":    {Step{Ref: deployment, Do: Make, Pending: true, Why: "never made; waits for model/m"}, nil, "never deployed before"},
		"down":            {Step{Ref: deployment, Do: Remake, Why: "is not served any more: killed"}, was, "was no longer served: killed"},
		"with a hint":     {Step{Ref: deployment, Do: Remake, Why: "is down: its serving host is not running; run vishwa apply to bring it back"}, was, "was down: its serving host is not running"},
		"half released":   {Step{Ref: deployment, Do: Remake, Why: "serves, and x is at a step of a release that has not ended"}, was, "served; at that time x is at a step of a release that has not ended"},
		"unhealthy":       {Step{Ref: deployment, Do: Remake, Why: "is starting: slow"}, was, "was starting: slow"},
		"retired":         {Step{Ref: deployment, Do: Retire, Why: "no longer declared; cannot be looked at"}, was, "no longer declared"},
		"not whole":       {Step{Ref: training, Do: Remake, Why: "is not whole: layer 2"}, was, "was not whole: layer 2"},
		"not seen":        {Step{Ref: training, Do: Remake, Why: NotKnown + ": no answer from https://example.com (try again)"}, was, "it was not known whether it was there"},
		"a fact as it is": {Step{Ref: training, Do: Remake, Why: "code src/train.py changed"}, was, "code src/train.py changed"},
	} {
		got := Recorded(c.step, now, c.last)
		if got != c.want || got == "" || strings.Contains(got, "waits for") || strings.Contains(got, NotInStore) || strings.Contains(got, "run vishwa") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
