// One proposal a training is open: whoever looks at one is not given another in its place.

package app

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAnotherProposalForTheTrainingIsLeftOpen(t *testing.T) {
	ref := func(name string) schemas.Ref { return schemas.Ref{Kind: schemas.KindMonitor, Name: name} }
	proposed := func(sha string) *ledger.Entry {
		return &ledger.Entry{Watched: &ledger.Watched{Proposals: []ledger.Proposed{{SHA: sha}}}}
	}
	p := &Proposer{Base: "main", Facts: &ledger.Facts{Observed: map[schemas.Ref]*ledger.Entry{ref("a"): proposed("of-a"), ref("b"): proposed("of-b")}}}
	for name, c := range map[string]struct {
		open port.PullRequest
		want string
	}{
		"another's":           {port.PullRequest{Number: 7, Head: "vishwa/retrain/main/e", HeadSHA: "of-b"}, "pull request 7, which monitor/b proposed"},
		"its own":             {port.PullRequest{Number: 7, Head: "vishwa/retrain/main/e", HeadSHA: "of-a"}, ""},
		"one of people":       {port.PullRequest{Number: 7, Head: "vishwa/retrain/main/e", HeadSHA: "theirs"}, ""},
		"of another training": {port.PullRequest{Number: 7, Head: "vishwa/retrain/main/f", HeadSHA: "of-b"}, ""},
		"in a fork":           {port.PullRequest{Number: 7, Head: "vishwa/retrain/main/e", HeadSHA: "of-b", Fork: true}, ""},
		"the calendar's":      {port.PullRequest{Number: 8, Head: "vishwa/retrain-scheduled/main/e"}, "pull request 8, which the training's calendar"},
	} {
		got, err := p.openAlready(t.Context(), ref("a"), "e", Answering{Open: func(context.Context, string) ([]port.PullRequest, error) { return []port.PullRequest{c.open}, nil }})
		if err != nil || !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := p.openAlready(t.Context(), ref("a"), "e", Answering{}); got != "" || err != nil {
		t.Errorf("without a forge: %q, %v", got, err)
	}
}
