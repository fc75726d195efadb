// A search that asks is rounds and trials from the start, in an order in which each round knows what the ones before came to.

package graph

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

const declaredCandidates = "  candidates:\n    a: {params: {c: 1}}\n    b: {params: {c: 2}}\n"

func asking(trials, batch int, more string) string {
	return strings.Replace(project, declaredCandidates, fmt.Sprintf("  search:\n    ask: {run: [python, s.py], code: [e.py], trials: %d, batch: %d, metric: auc, space: {c: {min: 0, max: 1}}%s}\n", trials, batch, more), 1)
}

func TestASearchThatAsksIsRoundsAndTrialsFromTheStart(t *testing.T) {
	g := build(t, files(asking(5, 2, "")))
	at := map[string]int{}
	for i, n := range g.Nodes {
		at[n.Ref.String()] = i
	}
	for _, pair := range [][2]string{{"transform/e-ask-001", "training/e:trial-0001"}, {"training/e:trial-0001", "transform/e-ask-002"}, {"transform/e-ask-002", "training/e:trial-0004"}, {"training/e:trial-0004", "transform/e-ask-003"}, {"transform/e-ask-003", "training/e:trial-0005"}, {"training/e:trial-0005", "model/m"}} {
		before, has := at[pair[0]]
		after, too := at[pair[1]]
		if !has || !too || before >= after {
			t.Errorf("%s does not come before %s", pair[0], pair[1])
		}
	}
	last := g.Node(schemas.AskRef("e", 3))
	if len(last.Ask.Told) != 4 || len(last.Ask.Says) != 1 || len(last.Reads()) != 0 {
		t.Errorf("the last round is told of %v and says %v; it reads %v", last.Ask.Told, last.Ask.Says, last.Reads())
	}
	if n := len(g.Node(schemas.Ref{Kind: schemas.KindModel, Name: "m"}).Candidates()); n != 5 {
		t.Errorf("the model chooses among %d", n)
	}
}

// TestWhatIsAskedMovesTheRoundsAlone: a trial has the key of its parameters, whatever says them.
func TestWhatIsAskedMovesTheRoundsAlone(t *testing.T) {
	was := keys(t, files(asking(4, 2, "")))
	for more, moves := range map[string]bool{", seed: 7": true, ", goal: minimize": true, ", timeout: 1m": false, ", retries: 2": false} {
		now := moved(was, keys(t, files(asking(4, 2, more))))
		for _, ref := range now {
			if !strings.HasPrefix(ref, "transform/e-ask-") {
				t.Errorf("%s moves %s", more, ref)
			}
		}
		if (len(now) == 2) != moves || !moves && len(now) > 0 {
			t.Errorf("%s moves %v", more, now)
		}
	}
	if now := moved(was, keys(t, files(asking(6, 2, "")))); len(now) != 3 { // what is new: a round, and two trials
		t.Errorf("more trials move %v", now)
	}
}

func TestARunOfASearchHasANameOfItsOwn(t *testing.T) {
	fsys := files(asking(2, 1, "") + "---\napiVersion: vishwa.dev/v1alpha1\nkind: Transform\nmetadata: {name: e-ask-002}\nspec: {run: [python, t.py], code: [t.py], outputs: {o: o.csv}}\n")
	decls, problems := schemas.Load(t.Context(), fsys)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	pins, problems := Survey(fsys, decls)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	_, problems = Build(decls, pins)
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "is the name of a run of the search of training/e") {
		t.Errorf("got %v", problems)
	}
}
