// What a registry of others was told to serve is proposed as the commit that declares it, once, and says nothing of what was written there.

package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/app/review"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// promotable is a repository whose first commit declares a release, with commits on top of it, and that release as the ledger has it.
func promotable(t *testing.T, commits ...map[string]string) (*reverted, port.TrackerMoved) {
	t.Helper()
	r := revertible(t, commits...)
	training, model := schemas.Ref{Kind: schemas.KindTraining, Name: "e", Output: "default"}, schemas.Ref{Kind: schemas.KindModel, Name: "m"}
	r.Facts = &ledger.Facts{ByKey: map[digest.Digest]*ledger.Entry{}, Latest: map[schemas.Ref]*ledger.Entry{}}
	made := &ledger.Entry{Action: ledger.Train, Seq: 2, Ref: training, Revision: r.commits[0], Metrics: map[string]float64{"auc": 1},
		Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": {Digest: digest.Of([]byte("m"))}})}
	key, err := r.selects(t.Context(), r.commits[0], training)
	if err != nil || key == "" {
		t.Fatalf("%q, %v", key, err)
	}
	made.Key, r.Facts.ByKey[key] = key, made
	if key, err = r.selects(t.Context(), r.commits[0], model); err != nil || key == "" {
		t.Fatalf("%q, %v", key, err)
	}
	r.Facts.ByKey[key] = &ledger.Entry{Action: ledger.Select, Seq: 3, Ref: model, Key: key, Revision: r.commits[0],
		Model: &ledger.Model{Candidate: training, Artifact: made.Outputs.Named("model")}}
	return r, port.TrackerMoved{Model: "m", Environment: "staging", Serves: digest.Of([]byte("newer")), To: key, From: 2, At: 1}
}

func (r *reverted) promote(t *testing.T, m port.TrackerMoved) (got Proposed, body string, err error) {
	t.Helper()
	got, err = r.Promote(t.Context(), schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}, "mlflow", m, func(_ context.Context, p port.Proposal) (int, string, error) {
		body = p.Title + "\n" + p.Body
		return 7, "https://forge/7", nil
	})
	return got, body, err
}

func TestAMovedAliasIsProposed(t *testing.T) {
	r, m := promotable(t, map[string]string{"e.py": "1\ntwo\n3\n4\n5\n"}, map[string]string{"README.md": "# p\n"})
	got, body, err := r.promote(t, m)
	if err != nil || got.Branch != "vishwa/promote/main/s/"+m.To.Short() || got.Pull != 7 || r.branches["main"] != r.commits[2] {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, want := range []string{"Serve the release of entry 3 with deployment/s", "the alias `staging` of model/m was moved from version 2 to version 1", "Change e.py"} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q:\n%s", want, body)
		}
	}
	if changed := gittest.Git(t, r.dir, "diff", "--name-only", r.commits[0], got.SHA); changed != "README.md" {
		t.Errorf("it takes back more, or less: %q", changed)
	}
	if again, _, err := r.promote(t, m); err != nil || again.SHA != got.SHA || r.moves != 1 {
		t.Errorf("once more: %+v, %v, after %d moves", again, err, r.moves)
	}
}

func TestNothingIsProposedForAnAliasThatNoCommitDeclares(t *testing.T) {
	for name, c := range map[string]struct {
		commits []map[string]string
		change  func(*reverted, *port.TrackerMoved)
		says    string
	}{
		"declared already": {[]map[string]string{{"README.md": "# p\n"}}, nil, "declares what serves already"},
		"unknown":          {nil, func(_ *reverted, m *port.TrackerMoved) { m.To = digest.Of([]byte("another's")) }, "does not know that release"},
		"no selection":     {nil, func(r *reverted, m *port.TrackerMoved) { r.Facts.ByKey[m.To].Action = ledger.Train }, "does not know that release"},
		"a pull request's": {[]map[string]string{{"e.py": "x\n"}}, func(r *reverted, m *port.TrackerMoved) {
			r.Facts.ByKey[m.To].PullRequest = &ledger.PullRequest{Pull: 1}
		}, "no commit of the branch declares the release"},
		"another commit's": {[]map[string]string{{"e.py": "x\n"}}, func(r *reverted, m *port.TrackerMoved) {
			r.Facts.ByKey[m.To].Revision = r.commits[1]
		}, "no commit of the branch declares the release"},
	} {
		t.Run(name, func(t *testing.T) {
			r, m := promotable(t, c.commits...)
			if c.change != nil {
				c.change(r, &m)
			}
			_, _, err := r.promote(t, m)
			var none Unreverted
			if !errors.As(err, &none) || !strings.Contains(none.Why, c.says) || r.moves != 0 {
				t.Errorf("%v (%v), after %d moves", err, fault.Of(err), r.moves)
			}
		})
	}
}

// board is a forge with pull requests that are open.
type board struct {
	port.Forge
	open      []port.PullRequest
	withdrawn map[int]string
}

func (b *board) Open(context.Context, string) ([]port.PullRequest, error) { return b.open, nil }

func (b *board) Withdraw(_ context.Context, n int, why string) error {
	b.withdrawn[n] = why
	return nil
}

// An alias that went back asks for nothing: what was proposed for it is closed, and what is asked for, or is no such proposal, is not.
func TestAnAliasThatGoesBackClosesItsProposal(t *testing.T) {
	b := &board{withdrawn: map[int]string{}, open: []port.PullRequest{
		{Number: 1, Head: "vishwa/promote/main/s/aaaa"}, {Number: 2, Head: "vishwa/promote/main/s2/bbbb"}, {Number: 3, Head: "vishwa/promote/main-2/s/aaaa"},
		{Number: 4, Head: "vishwa/promote/main/s/aaaa", Fork: true}, {Number: 5, Head: "vishwa/retrain/main/s"}, {Number: 6, Head: "vishwa/promote/main/gone/aaaa"},
	}}
	s := &ManagedRepository{o: ManagedOptions{Forge: b}, office: &review.Service{Forge: b}}
	if err := s.withdrawUnasked(t.Context(), "main", map[string]bool{"s2": true}); err != nil {
		t.Fatal(err)
	}
	if len(b.withdrawn) != 2 || !strings.Contains(b.withdrawn[1], "nobody asks for this release") || b.withdrawn[6] == "" {
		t.Errorf("%v", b.withdrawn)
	}
	if err := (&ManagedRepository{}).withdrawUnasked(t.Context(), "main", nil); err != nil {
		t.Errorf("without a forge: %v", err)
	}
}

func TestANewerProposalClosesThoseBeforeIt(t *testing.T) {
	b := &board{withdrawn: map[int]string{}, open: []port.PullRequest{
		{Number: 1, Head: "vishwa/promote/main/s/aaaa"}, {Number: 2, Head: "vishwa/promote/main/s/bbbb"}, {Number: 3, Head: "vishwa/promote/main/s2/aaaa"},
		{Number: 4, Head: "vishwa/promote/main/s/aaaa", Fork: true}, {Number: 5, Head: "vishwa/retrain/main/s"},
	}}
	s := &ManagedRepository{office: &review.Service{Forge: b}}
	if err := s.withdrawOlder(t.Context(), "main", schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}, Proposed{Branch: "vishwa/promote/main/s/bbbb", Pull: 2}); err != nil {
		t.Fatal(err)
	}
	if len(b.withdrawn) != 1 || !strings.Contains(b.withdrawn[1], "Pull request #2") {
		t.Errorf("%v", b.withdrawn)
	}
}
