// Laws of pull requests: what is made ahead is found after the merge, and a change
// does not judge itself.

package pass

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	head   = "3333333333333333333333333333333333333333"
	trials = "4444444444444444444444444444444444444444"
)

// pulled considers work as a pull request onto what h tracks.
func pulled(t *testing.T, h *Reconciler, w *town, work fstest.MapFS) (*Reconciler, *Proposal) {
	t.Helper()
	_, base, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.trees[trials] = work
	in, _, err := Propose(t.Context(), work, base, Reading{})
	if err != nil {
		t.Fatal(err)
	}
	apart := *h
	apart.Worktree = nil
	apart.PullRequest = &ledger.PullRequest{Pull: 7, Head: head, Base: one, By: "github:ben"}
	p, err := apart.Review(t.Context(), in, port.Revision{SHA: trials})
	if err != nil {
		t.Fatal(err)
	}
	return &apart, p
}

// written are the hands in a change that these have written.
func written(by ...string) func(context.Context, string, string) ([]port.Hand, error) {
	return func(context.Context, string, string) (out []port.Hand, err error) {
		for _, a := range by {
			out = append(out, port.Hand{SHA: "1", Author: a, Committer: a})
		}
		return out, nil
	}
}

func make7(t *testing.T, h *Reconciler, p *Proposal) {
	t.Helper()
	for _, o := range h.Make(t.Context(), p) {
		if o.Error != nil {
			t.Fatalf("%s: %v", o.Ref, o.Error)
		}
	}
}

func TestWhatAPullRequestMadeIsFoundAfterTheMerge(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	w.ran = nil
	work := tree(replaced("auc: 0.9", "auc: 0.95"))
	apart, p := pulled(t, h, w, work)
	make7(t, apart, p)
	if !slices.Equal(w.ran, []string{"training/e:high"}) || len(w.served) != 1 {
		t.Errorf("ran %v", w.ran)
	}
	e := w.facts.Latest[ref("training/e:high")]
	if e.PullRequest == nil || e.PullRequest.Pull != 7 || e.Revision != head {
		t.Errorf("recorded for %v at %s", e.PullRequest, e.Revision)
	}
	if live := w.facts.Latest[ref("deployment/s")]; live.Model.Artifact.Digest == w.facts.Latest[ref("model/m")].Model.Artifact.Digest {
		t.Error("the pull request was deployed before the merge")
	}
	was, err := apart.Review(t.Context(), p.World.Intent, p.World.Revision)
	if err != nil {
		t.Fatal(err)
	}
	h.commit(w, two, work)
	w.ran = nil
	if now := apply(t, h); len(now) != 1 || now["deployment/s"].End != execute.Ended || len(w.ran) != 0 {
		t.Errorf("after the merge: %v, ran %v", ends(now), w.ran)
	}
	if live := w.facts.Latest[ref("deployment/s")]; live.Plan != was.Plan.Digest() {
		t.Errorf("the plan after the merge is %s, and %s before it", live.Plan.Short(), was.Plan.Digest().Short())
	}
}

func TestAChangeDoesNotJudgeItself(t *testing.T) {
	for name, change := range map[string]func(fstest.MapFS){
		"its gate's environment": replaced("production: {}", "production: {approvals: 0}"),
		"its reviews":            replaced("production: {}", "production: {reviews: true}"),
		"its rules": func(f fstest.MapFS) {
			replaced("environments:", "policy: {modelFormats: [json, csv]}, environments:")(f)
		},
	} {
		h, w := newHouse(tree())
		work := tree(change, replaced("environment: staging", "environment: production"))
		apart, p := pulled(t, h, w, work)
		make7(t, apart, p)
		p, err := apart.Review(t.Context(), p.World.Intent, p.World.Revision)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(p.Plan.Steps, func(s plan.Step) bool { return s.Ref.Kind == "deployment" })
		if s := p.Plan.Steps[i]; !strings.HasPrefix(s.Held, "deployment/approval") {
			t.Errorf("%s: the release is held by %q", name, s.Held)
		}
		if needs := p.Needs(); len(needs) != 1 || needs[0].Count != 1 || needs[0].Reviews {
			t.Errorf("%s: it needs %+v", name, needs)
		}
	}
	h, _ := newHouse(tree())
	_, base, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, alters, err := Propose(t.Context(), tree(replaced("production: {}", "production: {approvals: 2}")), base, Reading{}); err != nil || !slices.Equal(alters, []string{"project"}) {
		t.Errorf("alters %v, %v", alters, err)
	}
	if _, _, err := Propose(t.Context(), tree(with("trust.yaml", "kind: Nothing\n")), base, Reading{}); fault.Of(err) != fault.Invalid {
		t.Errorf("a trust file that is broken is proposed: %v", err)
	}
}

func TestTrackedRunsAreRunAgain(t *testing.T) {
	h, w := newHouse(tree(replaced("staging: {}", "staging: {trackedRuns: true}")))
	work := w.trees[one].(fstest.MapFS)
	apart, p := pulled(t, h, w, work)
	make7(t, apart, p)
	w.ran = nil
	got := apply(t, h)
	if want := []string{"training/e:high", "training/e:low", "transform/t"}; !slices.Equal(slices.Sorted(slices.Values(w.ran)), want) {
		t.Errorf("ran %v again, want %v", w.ran, want)
	}
	if got["deployment/s"].End != execute.Ended {
		t.Errorf("ended as %v", ends(got))
	}
	for r, e := range w.facts.Latest {
		if r.Kind != "dataset" && e.PullRequest != nil {
			t.Errorf("%s is still what the pull request made", r)
		}
	}
	if again := apply(t, h); len(again) != 0 {
		t.Errorf("and once more: %v", ends(again))
	}
}

func TestAnApprovalIsSpentByTheRelease(t *testing.T) {
	people := "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\ncontrollers: {}\nprincipals:\n  asha: {emails: [asha@example.com], forge: {github: Asha-K}, roles: [approver]}\n  ben: {emails: [ben@example.com]}\n"
	guarded := func(auc string) fstest.MapFS {
		return tree(with("trust.yaml", people), replaced("staging: {}", "staging: {approvals: 1, reviews: true}"), replaced("auc: 0.9", "auc: "+auc))
	}
	h, w := newHouse(guarded("0.9"))
	h.Hands = written("Ben <ben@example.com>")
	release := func(sha, auc string, yes bool) execute.EventKind {
		t.Helper()
		h.commit(w, sha, guarded(auc))
		if _, err := h.Apply(t.Context(), ApplyOptions{}); err != nil && fault.Of(err) != fault.Held && fault.Of(err) != fault.Refused {
			t.Fatal(err)
		}
		rev, in, err := h.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Review(t.Context(), in, rev)
		if err != nil {
			t.Fatal(err)
		}
		if yes {
			models, err := Want(p.Plan)
			if err != nil {
				t.Fatal(err)
			}
			r := trust.Request{Want: trust.Want{Plan: p.Plan.Digest(), Policy: p.Plan.Policy, Models: models}, Revision: sha, Principal: "asha",
				Time: time.Now(), Expires: time.Now().Add(time.Hour), Review: &trust.Review{Forge: "github", Login: "asha-k", What: "review", ID: 1, Pull: 7}}
			for _, first := range []bool{true, false} {
				if recorded, err := h.Assert(t.Context(), p, r); err != nil || recorded != first {
					t.Fatalf("recorded %v, %v", recorded, err)
				}
				if p, err = h.Review(t.Context(), in, rev); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := h.Apply(t.Context(), ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range got.Outcomes {
			if o.Ref.Kind == "deployment" {
				return o.End
			}
		}
		return execute.Kept
	}
	for _, step := range []struct {
		sha, auc string
		yes      bool
		want     execute.EventKind
	}{{one, "0.9", false, execute.Held}, {one, "0.9", true, execute.Ended}, {two, "0.95", true, execute.Ended}, {one, "0.9", false, execute.Held}} {
		if got := release(step.sha, step.auc, step.yes); got != step.want {
			t.Errorf("release of %s, approved %v: %s, want %s", step.auc, step.yes, got, step.want)
		}
	}
}

func TestOnlyThoseWhomTheTrustFileNamesApproveOnTheForge(t *testing.T) {
	text := "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\ncontrollers: {}\nprincipals:\n  asha: {emails: [asha@example.com], forge: {github: asha}, roles: [approver]}\n  ben: {emails: [ben@example.com], forge: {github: ben}, roles: [approver]}\n"
	h, w := newHouse(tree(with("trust.yaml", text), replaced("staging: {}", "staging: {approvals: 1, reviews: true}")))
	h.Hands = written("Ben <ben@example.com>")
	apart, p := pulled(t, h, w, w.trees[one].(fstest.MapFS))
	make7(t, apart, p)
	p, err := apart.Review(t.Context(), p.World.Intent, p.World.Revision)
	if err != nil {
		t.Fatal(err)
	}
	models, err := Want(p.Plan)
	if err != nil {
		t.Fatal(err)
	}
	good := trust.Request{Want: trust.Want{Plan: p.Plan.Digest(), Policy: p.Plan.Policy, Models: models}, Revision: head, Principal: "asha",
		Time: time.Now(), Expires: time.Now().Add(time.Hour), Review: &trust.Review{Forge: "github", Login: "asha", What: "review", ID: 1, Pull: 7}}
	for name, change := range map[string]func(*trust.Request){
		"the author":          func(r *trust.Request) { r.Principal, r.Review.Login = "ben", "ben" },
		"a stranger":          func(r *trust.Request) { r.Principal, r.Review.Login = "mallory", "mallory" },
		"another's login":     func(r *trust.Request) { r.Review.Login = "ben" },
		"another forge":       func(r *trust.Request) { r.Review.Forge = "gitlab" },
		"an expired approval": func(r *trust.Request) { r.Time, r.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour) },
	} {
		r, review := good, *good.Review
		r.Review = &review
		change(&r)
		if recorded, err := apart.Assert(t.Context(), p, r); err == nil || recorded {
			t.Errorf("%s approves", name)
		}
	}
	if recorded, err := apart.Assert(t.Context(), p, good); err != nil || !recorded {
		t.Errorf("asha does not approve: %v", err)
	}
	for _, e := range w.facts.Approvals {
		if e.Approval.Signature != "" || !slices.Equal(e.Approved, []string{"principal:asha (as the forge asserts)"}) ||
			!slices.Equal(e.Approvers, []ledger.Approver{{Principal: "asha", Class: trust.Forge}}) {
			t.Errorf("recorded as %+v", e)
		}
	}
}

// lasting is a run that goes on until it is stopped.
type lasting struct {
	engine
	begun   chan struct{}
	stopped bool
}

func (r *lasting) Start(_ context.Context, j port.Job) (port.Run, error) {
	r.begun <- struct{}{}
	return port.Run{Key: j.Key, State: port.Running}, nil
}

func (r *lasting) Poll(_ context.Context, key digest.Digest) (port.Run, error) {
	return port.Run{Key: key, State: port.Running}, nil
}

func (r *lasting) Wait(ctx context.Context, key digest.Digest, _ port.RunState, _ int64) (port.Run, error) {
	<-ctx.Done()
	return port.Run{}, fault.New(fault.Cancelled, "wait: %w", context.Cause(ctx))
}

func (r *lasting) Stop(context.Context, digest.Digest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	return nil
}

func TestARunThatIsHandedBackGoesOn(t *testing.T) {
	h, w := newHouse(tree())
	apart, p := pulled(t, h, w, w.trees[one].(fstest.MapFS))
	run := &lasting{engine: engine{w}, begun: make(chan struct{}, 9)}
	apart.Runner = run
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan []execute.Outcome)
	go func() { done <- apart.Make(ctx, p) }()
	<-run.begun
	cancel(execute.ErrHandedBack)
	for _, o := range <-done {
		if o.End == execute.Failed && fault.Of(o.Error) != fault.Cancelled {
			t.Errorf("%s: %v", o.Ref, o.Error)
		}
	}
	for _, e := range w.facts.Latest {
		if e.Action == ledger.Cancel {
			t.Error("a cancellation is recorded")
		}
	}
	if run.stopped {
		t.Error("it was stopped")
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	go func() { done <- apart.Make(ctx, p) }()
	<-run.begun
	cancel(errors.New("closed"))
	<-done
	if !run.stopped {
		t.Error("it was not stopped")
	}
}
