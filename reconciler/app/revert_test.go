// What was rolled back is taken back by a commit that declares what serves, once, and nothing else is.

package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const tried = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: p}
spec: {environments: {staging: {}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: e}
spec: {run: [python, e.py], code: [e.py]}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: m}
spec: {from: training/e, select: {metric: auc}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: s}
spec:
  model: model/m
  environment: staging
  target: {local: {run: [python, s.py], code: [s.py]}}
  rollout: {canary: {steps: [{setWeight: 5}, {pause: {}}]}}
`

// reverted is a repository whose first commit serves, with commits on top of it.
type reverted struct {
	*Proposer
	dir      string
	branches map[string]string
	refuses  error // to move the tracked branch
	moves    int
	commits  []string
}

func revertible(t *testing.T, commits ...map[string]string) *reverted {
	t.Helper()
	dir := gittest.NewRepo(t)
	r := &reverted{dir: dir, branches: map[string]string{}}
	for _, files := range append([]map[string]string{{"vishwa.yaml": tried, "e.py": "1\n2\n3\n4\n5\n", "s.py": "# s\n"}}, commits...) {
		for path, text := range files {
			gittest.Write(t, dir, path, text)
		}
		gittest.Git(t, dir, "add", "-A")
		gittest.Git(t, dir, "commit", "-q", "-m", "Change "+strings.Join(slices.Sorted(maps.Keys(files)), " "))
		r.commits = append(r.commits, gittest.Git(t, dir, "rev-parse", "HEAD"))
	}
	opened, err := repo.Open(dir, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	at := schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}
	head := r.commits[len(r.commits)-1]
	r.branches["main"] = head
	r.Proposer = &Proposer{Repo: opened, Base: "main", Head: head,
		Tip: func(_ context.Context, branch string) (string, error) { return r.branches[branch], nil },
		Move: func(_ context.Context, branch, was, sha string) error {
			if branch == "main" && r.refuses != nil {
				return r.refuses
			}
			if r.branches[branch] != was {
				return fault.New(fault.Conflict, "%s has moved", branch)
			}
			r.branches[branch], r.moves = sha, r.moves+1
			return nil
		},
		Facts: &ledger.Facts{
			Latest: map[schemas.Ref]*ledger.Entry{at: {Action: ledger.Deploy, Seq: 4, Ref: at, Revision: r.commits[0], Key: digest.Of([]byte("old"))}},
			Rollouts: map[schemas.Ref]*ledger.Entry{at: {Action: ledger.RollOut, Seq: 9, Ref: at, Key: digest.Of([]byte("new")), Reason: "analysis errors: worse", Time: time.Unix(1e9, 0),
				Rollout: &ledger.Rollout{Phase: rollout.RolledBack, Canary: port.Asked{Requests: 1200, Failed: 300}, Baseline: port.Asked{Requests: 1199}}}},
		}}
	return r
}

func (r *reverted) revert(t *testing.T, direct bool) (Proposed, error) {
	t.Helper()
	return r.Revert(t.Context(), schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}, direct, func(_ context.Context, p port.Proposal) (int, string, error) {
		for _, text := range []string{"analysis errors: worse", "1,200 requests to the new release 300 failed", "vishwa retry deployment/s", "(entry 4)"} {
			if !strings.Contains(p.Body, text) {
				t.Errorf("the pull request does not say %q:\n%s", text, p.Body)
			}
		}
		return 7, "https://forge/7", nil
	})
}

// TestWhatMadeTheReleaseIsTakenBack: its commits, whatever else came in between, once, and as one commit.
func TestWhatMadeTheReleaseIsTakenBack(t *testing.T) {
	r := revertible(t, map[string]string{"e.py": "1\ntwo\n3\n4\n5\n"}, map[string]string{"README.md": "# p\n"}, map[string]string{"s.py": "# other\n"}, map[string]string{"notes.txt": "x\n"})
	got, err := r.revert(t, false)
	if err != nil || got.Branch != "vishwa/revert/main/s" || got.Pull != 7 || r.branches[got.Branch] != got.SHA {
		t.Fatalf("%+v, %v", got, err)
	}
	if changed := gittest.Git(t, r.dir, "diff", "--name-only", r.commits[0], got.SHA); changed != "README.md\nnotes.txt" {
		t.Errorf("besides what made it, it takes back more, or less: %q", changed)
	}
	says := gittest.Git(t, r.dir, "log", "-1", "--format=%B", got.SHA)
	if !strings.Contains(says, "This reverts commit "+r.commits[3]+".\nThis reverts commit "+r.commits[1]+".\n") || strings.Contains(says, r.commits[2]) || !strings.Contains(says, "Vishwa-Rollout: 9") {
		t.Errorf("it says %q", says)
	}
	again, err := r.revert(t, false)
	if err != nil || again.SHA != got.SHA || r.moves != 1 {
		t.Errorf("once more: %+v, %v, after %d moves", again, err, r.moves)
	}
}

// TestARevertThatIsKeptIsLookedAtAgain: one that another program made under the same words is made anew where it does not declare what
// serves, and what goes back with one is told though whoever made it was killed before they asked.
func TestARevertThatIsKeptIsLookedAtAgain(t *testing.T) {
	r := revertible(t, map[string]string{"e.py": "1\ntwo\n3\n4\n5\n", "notes.txt": "x\n"})
	at := schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}
	if _, err := r.Revert(t.Context(), at, false, func(context.Context, port.Proposal) (int, string, error) { return 0, "", errors.New("killed") }); err == nil {
		t.Fatal("it is asked")
	}
	body := ""
	ask := func(_ context.Context, p port.Proposal) (int, string, error) {
		body = p.Body
		return 7, "", nil
	}
	got, err := r.Revert(t.Context(), at, false, ask)
	if err != nil || r.moves != 1 || !strings.Contains(body, "Look at each, as it goes back, too:\n\n- `notes.txt`") {
		t.Errorf("%+v, %v after %d moves:\n%s", got, err, r.moves, body)
	}
	message := gittest.Git(t, r.dir, "log", "-1", "--format=%B", got.SHA)
	older, err := r.Repo.Write(t.Context(), repo.CommitDraft{Parent: r.Head, Files: map[string][]byte{"README.md": []byte("# p\n")}, Message: message + "\n", Time: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	r.branches[got.Branch] = older
	if again, err := r.Revert(t.Context(), at, false, ask); err != nil || again.SHA != got.SHA || r.branches[got.Branch] != got.SHA {
		t.Errorf("one that declares what was rolled back is kept: %+v, %v", again, err)
	}
}

// TestCommitsOfAReleaseThatStaysRolledBackAreReadOnce: but where what they declare was not known, and may be by now.
func TestCommitsOfAReleaseThatStaysRolledBackAreReadOnce(t *testing.T) {
	r := revertible(t, map[string]string{"e.py": "1\ntwo\n3\n4\n5\n"}, map[string]string{"README.md": "# p\n"}, map[string]string{"s.py": "# other\n"})
	r.Remember = &remembered{}
	at := schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}
	want := stated{at: r.commits[0], all: mustDeclare(t, r, r.commits[0], at).all}
	commits := func() (out []string) {
		made, err := r.made(t.Context(), at, want)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range made {
			out = append(out, c.SHA)
		}
		return out
	}
	first := commits()
	if want := []string{r.commits[3], r.commits[1]}; !slices.Equal(first, want) || len(r.Remember.of[at]) != 4 {
		t.Fatalf("%v of %v, %d remembered", first, want, len(r.Remember.of[at]))
	}
	// What is remembered is what is gone by.
	other := r.Remember.of[at][r.commits[2]]
	other.all = "sha256:other"
	r.Remember.of[at][r.commits[2]] = other
	if now := commits(); len(now) != 3 {
		t.Errorf("commits are read anew: %v", now)
	}
	r.Facts.Count++
	if now := commits(); !slices.Equal(now, first) {
		t.Errorf("with a ledger that has gone on, %v", now)
	}
}

func mustDeclare(t *testing.T, r *reverted, sha string, ref schemas.Ref) stated {
	t.Helper()
	s, err := r.declares(t.Context(), sha, ref)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestARevertOfMoreThanTheReleaseIsForPeople: approvers, rules, workflows, other deployments and files go back by a merge alone, which names them.
func TestARevertOfMoreThanTheReleaseIsForPeople(t *testing.T) {
	const trained = "1\ntwo\n3\n4\n5\n"
	for what, files := range map[string]map[string]string{
		"`the project`":               {"vishwa.yaml": strings.Replace(tried, "{staging: {}}", "{staging: {approvals: 1}}", 1)},
		"`the trust file`":            {"trust.yaml": "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\nprincipals: {}\n"},
		"`policy/own.rego`":           {"policy/own.rego": "package own\n\ndeny contains \"no\" if false\n"},
		"`.github/workflows/a.yaml`":  {".github/workflows/a.yaml": "on: push\n"},
		"`deployment/t`":              {"vishwa/t.yaml": strings.Replace(tried[strings.Index(tried, "apiVersion: vishwa.dev/v1alpha1\nkind: Deployment"):], "{name: s}", "{name: t}", 1)},
		"`notes.txt`":                 {"notes.txt": "x\n"},
		"`training/e spec.network`":   declaring("code: [e.py]", "code: [e.py], network: none"),
		"`training/e spec.env.pass`":  declaring("code: [e.py]", "code: [e.py], env: {pass: [E_TOKEN]}"),
		"`model/m spec.gates`":        declaring("{metric: auc}", "{metric: auc}, gates: [{metric: auc, min: 0.9}]"),
		"`model/m metadata`":          declaring("metadata: {name: m}", "metadata: {name: m, labels: {tier: high}}"),
		"`deployment/s spec.rollout`": declaring("rollout: {", "rollout: {revert: commit, "),
		"`infrastructure/i`": {"i/main.tf": "# i\n", "vishwa.yaml": strings.Replace(tried, "  environment: staging\n", "  environment: staging\n  needs: [infrastructure/i]\n", 1) +
			"---\napiVersion: vishwa.dev/v1alpha1\nkind: Infrastructure\nmetadata: {name: i}\nspec: {module: i}\n"},
	} {
		t.Run(what, func(t *testing.T) {
			change := map[string]string{"e.py": trained}
			maps.Copy(change, files)
			r, body := revertible(t, change), ""
			got, err := r.Revert(t.Context(), schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}, true, func(_ context.Context, p port.Proposal) (int, string, error) {
				body = p.Body
				return 7, "", nil
			})
			if err != nil || got.Branch != "vishwa/revert/main/s" || r.branches["main"] != r.commits[1] {
				t.Errorf("%+v, %v", got, err)
			}
			if !strings.Contains(body, "as it goes back, too") || !strings.Contains(body, "- "+what+"\n") {
				t.Errorf("it does not name %s:\n%s", what, body)
			}
		})
	}
}

// declaring is what is tried, declared with another text in the place of one.
func declaring(old, text string) map[string]string {
	return map[string]string{"vishwa.yaml": strings.Replace(tried, old, text, 1)}
}

// TestARevertGoesWhereItsDeclarationSays: on the tracked branch, or, where that takes none, on one of its own.
func TestARevertGoesWhereItsDeclarationSays(t *testing.T) {
	r := revertible(t, map[string]string{"e.py": "1\ntwo\n3\n4\n5\n"})
	if got, err := r.revert(t, true); err != nil || got.Branch != "main" || r.branches["main"] != got.SHA || got.Pull != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	r = revertible(t, map[string]string{"e.py": "1\ntwo\n3\n4\n5\n"})
	r.refuses = fault.New(fault.Denied, "the branch is protected")
	if got, err := r.revert(t, true); err != nil || got.Branch != "vishwa/revert/main/s" || got.Pull != 7 {
		t.Errorf("protected: %+v, %v", got, err)
	}
	r.refuses = fault.New(fault.Transient, "the remote does not answer")
	if got, err := r.revert(t, true); fault.Of(err) != fault.Transient {
		t.Errorf("away: %+v, %v", got, err)
	}
}

// TestNothingIsProposedThatDoesNotBringBackWhatServes: and it is said why.
func TestNothingIsProposedThatDoesNotBringBackWhatServes(t *testing.T) {
	for name, c := range map[string]struct {
		commits []map[string]string
		change  func(*reverted)
		says    string
	}{
		"the same lines": {[]map[string]string{{"s.py": "# other\n", "notes.txt": "a\n"}, {"notes.txt": "b\n"}}, nil, "notes.txt was changed since in the same place"},
		"nothing":        {[]map[string]string{{"README.md": "# p\n"}}, nil, "declares what serves already"},
		"another past": {[]map[string]string{{"s.py": "# other\n"}}, func(r *reverted) {
			r.Facts.Latest[schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}].Revision = orphan(t, r.dir)
		}, "does not hold"},
		"no rollout": {[]map[string]string{{"s.py": "# other\n"}}, func(r *reverted) { clear(r.Facts.Rollouts) }, "has no release that was rolled back"},
	} {
		t.Run(name, func(t *testing.T) {
			r := revertible(t, c.commits...)
			if c.change != nil {
				c.change(r)
			}
			_, err := r.revert(t, false)
			var none Unreverted
			if !errors.As(err, &none) || !strings.Contains(none.Why, c.says) || r.moves != 0 {
				t.Errorf("%v, after %d moves", err, r.moves)
			}
		})
	}
}

// orphan is a commit that no branch holds.
func orphan(t *testing.T, dir string) string {
	t.Helper()
	return gittest.Git(t, dir, "commit-tree", "-m", "elsewhere", "HEAD^{tree}")
}
