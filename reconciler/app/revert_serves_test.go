// What serves is told by its release, not by when it was last made to serve.

package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

var deployed = schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}

// bad and worse are releases of deployed that were rolled back, bad by hand.
var bad, worse = map[string]string{"e.py": "1\ntwo\n3\n4\n5\n"}, map[string]string{"s.py": "# other\n"}

// byHand has the first commit serve again, though the second is declared since.
func (r *reverted) byHand() {
	first := *r.Facts.Latest[deployed]
	first.Release = &ledger.Release{Environment: "staging"}
	second := ledger.Entry{Action: ledger.Deploy, Seq: 5, Ref: deployed, Revision: r.commits[1], Key: digest.Of([]byte("bad")), Release: &ledger.Release{Environment: "staging"}}
	again := first
	again.Seq, again.Revision, again.Release = 6, r.commits[1], &ledger.Release{Environment: "staging", Restores: first.Seq}
	r.serves(first, second, again)
}

// serves has releases be those of the deployment, the newest the last.
func (r *reverted) serves(releases ...ledger.Entry) {
	r.Facts.Latest[deployed] = &releases[len(releases)-1]
	r.Releases = func(context.Context, schemas.Ref) ([]ledger.Entry, error) { return releases, nil }
}

// TestARevertDeclaresWhatServesAfterARollbackByHand: not what people rolled back from, which the branch declared when they did.
func TestARevertDeclaresWhatServesAfterARollbackByHand(t *testing.T) {
	for _, direct := range []bool{false, true} {
		r := revertible(t, bad, worse)
		r.byHand()
		got, err := r.Revert(t.Context(), deployed, direct, nil)
		if err != nil {
			t.Fatal(err)
		}
		if changed := gittest.Git(t, r.dir, "diff", "--name-only", r.commits[0], got.SHA); changed != "" {
			t.Errorf("directly %v, what serves is declared, but for %q", direct, changed)
		}
		if direct != (r.branches["main"] == got.SHA) {
			t.Errorf("directly %v, main is at %s, and the revert is %s", direct, r.branches["main"], got.SHA)
		}
	}
}

// TestARevertThatBroughtBackWhatWasRolledBackIsNotRevertedForEver: a branch that goes to and fro ends at what serves, and then stays.
func TestARevertThatBroughtBackWhatWasRolledBackIsNotRevertedForEver(t *testing.T) {
	back := map[string]string{"s.py": "# s\n"}
	r := revertible(t, bad, worse, back)
	r.byHand()
	got, err := r.Revert(t.Context(), deployed, true, nil)
	if err != nil || gittest.Git(t, r.dir, "diff", "--name-only", r.commits[0], got.SHA) != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	r.Head = got.SHA
	var none Unreverted
	if _, err = r.Revert(t.Context(), deployed, true, nil); !errors.As(err, &none) || !strings.Contains(none.Why, "declares what serves already") || r.moves != 1 {
		t.Errorf("%v, after %d moves", err, r.moves)
	}
}

// TestOnlyWhatWasChangedSinceTheBranchDeclaredWhatServesIsTakenBack: what came and went before is left.
func TestOnlyWhatWasChangedSinceTheBranchDeclaredWhatServesIsTakenBack(t *testing.T) {
	r := revertible(t, bad, map[string]string{"e.py": "1\n2\n3\n4\n5\n"}, worse)
	r.byHand()
	got, err := r.Revert(t.Context(), deployed, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if says := gittest.Git(t, r.dir, "log", "-1", "--format=%B", got.SHA); strings.Count(says, "This reverts commit") != 1 || !strings.Contains(says, r.commits[3]) {
		t.Errorf("it says %q", says)
	}
}

// TestWhatServesIsToldByItsKey: of several entries the one counts whose revision makes the release, and where none does, nothing is proposed.
func TestWhatServesIsToldByItsKey(t *testing.T) {
	r := revertible(t, bad, worse)
	keys := []digest.Digest{r.know(t, r.commits[0]), r.know(t, r.commits[1])}
	released := ledger.Entry{Action: ledger.Deploy, Seq: 4, Ref: deployed, Revision: r.commits[0], Key: keys[0]}
	again := released // put right while another was tried
	again.Seq, again.Revision = 6, r.commits[1]
	r.serves(released, again)
	got, err := r.Revert(t.Context(), deployed, true, nil)
	if err != nil || gittest.Git(t, r.dir, "diff", "--name-only", r.commits[0], got.SHA) != "" {
		t.Errorf("%+v, %v", got, err)
	}

	r = revertible(t, bad, worse)
	r.know(t, r.commits[0])
	r.know(t, r.commits[1])
	again.Revision = r.commits[1]
	r.serves(again)
	var none Unreverted
	if got, err := r.Revert(t.Context(), deployed, true, nil); !errors.As(err, &none) || !strings.Contains(none.Why, "no revision is known") || r.moves != 0 {
		t.Errorf("%+v, %v, after %d moves", got, err, r.moves)
	}
}

// know has everything be made that sha declares, and tells the release's key.
func (r *reverted) know(t *testing.T, sha string) digest.Digest {
	t.Helper()
	tree, err := r.Repo.Open(t.Context(), sha)
	if err != nil {
		t.Fatal(err)
	}
	in, err := pass.Read(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	if r.Facts.ByKey == nil {
		r.Facts.ByKey = map[digest.Digest]*ledger.Entry{}
	}
	for range in.Graph.Nodes { // each key needs those before it
		for _, s := range plan.Compute(in.Graph, plan.Observed{Facts: r.Facts}).Steps {
			if s.Key == "" || r.Facts.ByKey[s.Key] != nil {
				continue
			}
			if s.Ref == deployed {
				return s.Key
			}
			made := port.Artifact{Digest: s.Key}
			r.Facts.ByKey[s.Key] = &ledger.Entry{Ref: s.Ref, Key: s.Key, Action: ledger.Action(s.Ref.Kind.Traits().Action), Metrics: map[string]float64{"auc": 1},
				Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": made}), Model: &ledger.Model{Artifact: made}}
		}
	}
	t.Fatalf("%s declares no release that is known", sha)
	return ""
}
