// What does not answer holds a plan up for so long and no longer, and is never taken for gone.

package pass

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// silent answers nothing.
type silent struct {
	packer
	port.Server
}

func (silent) Inspect(ctx context.Context, _ port.Registry, _ port.Packed, _ []string) (port.PackageState, error) {
	<-ctx.Done()
	return port.PackageState{}, ctx.Err()
}

func (silent) Observe(ctx context.Context, _ string) (port.Live, error) {
	<-ctx.Done()
	return port.Live{}, ctx.Err()
}

// deaf is a server that does not answer for one name.
type deaf struct {
	port.Server
	name string
}

func (s deaf) Observe(ctx context.Context, name string) (port.Live, error) {
	if name == s.name {
		return silent{}.Observe(ctx, name)
	}
	return s.Server.Observe(ctx, name)
}

func TestWhatDoesNotAnswerIsNotKnownAndNotGone(t *testing.T) {
	packs := with("vishwa/package.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Package\nmetadata: {name: m}\nspec: {model: model/m, oci: {repository: registry.example.com/team/m}}\n")
	work := tree(packs)
	h, w := newHouse(work)
	h.Packager, h.Signer.Statement = packer{}, notary{}.Sign
	apply(t, h)
	in, err := Read(t.Context(), work)
	if err != nil {
		t.Fatal(err)
	}
	rev, err := w.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	looks := func(eyes Observers) (s *Snapshot, took time.Duration, err error) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			s, err = Observe(t.Context(), in, rev, eyes)
			took = time.Since(began)
		})
		return s, took, err
	}
	t.Run("a registry", func(t *testing.T) {
		eyes := h.Observers
		eyes.Packager = silent{}
		s, took, err := looks(eyes)
		if err != nil || took > forAnswers.one {
			t.Fatalf("after %s: %v", took, err)
		}
		if why := s.Unobservable[ref("package/m")]; !strings.HasPrefix(why, "no answer within 20s (see that it is up") || s.Openly[ref("package/m")] != plan.NotKnown+": no answer within 20s" {
			t.Errorf("it says %q, and to others %q", why, s.Openly[ref("package/m")])
		}
	})
	t.Run("a server", func(t *testing.T) {
		eyes := h.Observers
		eyes.Server = deaf{eyes.Server, "s"}
		s, took, err := looks(eyes)
		if err != nil || took > forAnswers.one {
			t.Fatalf("after %s: %v", took, err)
		}
		p, err := h.Plan(t.Context(), s, ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range p.Steps {
			switch does := step.Ref == ref("deployment/s"); {
			case does && (step.Do == plan.Keep || step.Held != plan.NotAsked+"no answer within 20s" || !strings.HasPrefix(step.Aside, "no answer within 20s (see that it is up")):
				t.Errorf("it is to %s: %s; held: %q", step.Do, step.Why, step.Held)
			case !does && (step.Do != plan.Keep || step.Held != ""):
				t.Errorf("%s is to %s: %s; held: %q", step.Ref, step.Do, step.Why, step.Held)
			}
		}
	})
}

// TestAllThatDoNotAnswerTakeNoLongerThanTheirPatience: however many they are, and each hears why it was ended.
func TestAllThatDoNotAnswerTakeNoLongerThanTheirPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := forAnswers.places()
		whole, done := forAnswers.whole(t.Context())
		defer done()
		var all routine.Set
		var ended atomic.Int64
		for range 500 {
			all.Start(func() {
				at.each(whole, func(ctx context.Context) {
					<-ctx.Done()
					if err := overdue(ctx, ctx.Err()); fault.Of(err) == fault.Transient && strings.Contains(err.Error(), "no answer within") {
						ended.Add(1)
					}
				})
			})
		}
		all.Wait()
		if took := time.Since(began); took != forAnswers.all || ended.Load() != 500 {
			t.Errorf("%d of 500 ended with their reason, after %s", ended.Load(), took)
		}
	})
}

// TestWhoGivesUpIsNotToldOfPatience: a look that was cancelled is no server that does not answer.
func TestWhoGivesUpIsNotToldOfPatience(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	whole, done := forAnswers.whole(ctx)
	defer done()
	cancel()
	forAnswers.places().each(whole, func(ctx context.Context) {
		if err := overdue(ctx, ctx.Err()); fault.Of(err) != fault.Cancelled {
			t.Errorf("%v", err)
		}
	})
}

// TestARegistryThatDoesNotAnswerIsWaitedForOnce: however many packages it has.
func TestARegistryThatDoesNotAnswerIsWaitedForOnce(t *testing.T) {
	var more []func(fstest.MapFS)
	for i := range 40 {
		more = append(more, with(fmt.Sprintf("vishwa/p%d.yaml", i), fmt.Sprintf("apiVersion: vishwa.dev/v1alpha1\nkind: Package\nmetadata: {name: p%[1]d}\nspec: {model: model/m, oci: {repository: registry.example.com/team/p%[1]d}}\n", i)))
	}
	work := tree(more...)
	h, w := newHouse(work)
	h.Packager, h.Signer.Statement = packer{}, notary{}.Sign
	apply(t, h)
	in, err := Read(t.Context(), work)
	if err != nil {
		t.Fatal(err)
	}
	rev, err := w.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eyes := h.Observers
	eyes.Packager = silent{}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s, err := Observe(t.Context(), in, rev, eyes)
		if took := time.Since(began); err != nil || took > forAnswers.one {
			t.Fatalf("after %s: %v", took, err)
		}
		for i := range 40 {
			if why := s.Unobservable[ref(fmt.Sprintf("package/p%d", i))]; !strings.Contains(why, "no answer within 20s") {
				t.Errorf("package %d: %q", i, why)
			}
		}
	})
}

// TestARollbackOfWhatDoesNotAnswerIsTriedAgain: it is suspended so long, and no try says that it is over.
func TestARollbackOfWhatDoesNotAnswerIsTriedAgain(t *testing.T) {
	for name, first := range map[string]func(h *Reconciler, w *town, o Rollback){
		"at its first try": func(*Reconciler, *town, Rollback) {},
		"tried again": func(h *Reconciler, w *town, o Rollback) {
			defer h.failing(w, fault.New(fault.Transient, "down"))()
			if out, err := h.Rollback(t.Context(), o); err == nil && out.Err() == nil || held(t, w) == "" {
				t.Fatalf("the server is down: %v, suspended by %q", err, held(t, w))
			}
		},
	} {
		h, w, a, _ := threeReleases(t)
		o := Rollback{To: &a, Reason: "too dear"}
		first(h, w, o)
		answers := h.Server
		h.Server = deaf{answers, "s"}
		synctest.Test(t, func(t *testing.T) {
			out, err := h.Rollback(t.Context(), o)
			if fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "deployment/s could not be asked: no answer within 20s") || len(out.Outcomes) != 0 {
				t.Errorf("%s: %v, %+v", name, err, out.Outcomes)
			}
		})
		if got := held(t, w); got != fmt.Sprintf("rollback to entry %d: too dear", a.Seq) {
			t.Errorf("%s: suspended by %q", name, got)
		}
		h.Server = answers
		if out, err := h.Rollback(t.Context(), o); err != nil || out.Err() != nil || w.served["s"].Key != a.Key || held(t, w) == "" {
			t.Errorf("%s, once it answers: %v, %v; %s serves", name, err, out.Err(), w.served["s"].Key.Short())
		}
	}
}

// TestNobodySaysNoToWhatDoesNotAnswer: a release that people approved at its first step goes on once its server answers, and nothing of it is
// done before.
func TestNobodySaysNoToWhatDoesNotAnswer(t *testing.T) {
	at := ref("deployment/s")
	h, w := newHouse(tree(careful()))
	answers := h.Server
	tries := &besides{Server: answers}
	h.Server = tries
	apply(t, h)
	other := with("s.py", "# other\n")
	h.commit(w, two, tree(careful(), other))
	apply(t, h)
	begun := *w.facts.Rollouts[at]
	begun.Follows = begun.Seq
	begun.ApprovedBy([]ledger.Approver{{Principal: "alice", Class: "signature"}})
	if _, err := w.Append(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	h.commit(w, three, tree(careful(), other, with("trust.yaml", guardian), replaced("staging: {}", "staging: {approvals: 1}")))
	rev := port.Revision{SHA: three}
	_, in, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.PromoteRollout(t.Context(), in, rev, RolloutOrder{Ref: at}); err != nil {
		t.Fatal(err)
	}
	tries.Server = deaf{answers, "s"}
	waits := func(name string) {
		w.list = nil
		synctest.Test(t, func(t *testing.T) {
			r, err := h.Apply(t.Context(), ApplyOptions{})
			if err != nil || len(r.Outcomes) != 1 || len(r.Plan.Findings) != 0 {
				t.Fatalf("%s: %v, %+v: %+v", name, err, r.Outcomes, r.Plan.Findings)
			}
			if o := r.Outcomes[0]; o.Ref != at || o.End != execute.Held || o.Error != nil {
				t.Errorf("%s: %+v", name, o)
			}
		})
		if len(w.list) != 0 || tries.tried == nil || tries.tried.Key != begun.Key {
			t.Errorf("%s: recorded %+v; tried %+v", name, w.list, tries.tried)
		}
	}
	waits("as it is")
	if _, err := h.Suspend(t.Context(), rev, at, "hands off"); err != nil {
		t.Fatal(err)
	}
	waits("suspended")
	if _, err := h.Resume(t.Context(), rev, at, ""); err != nil {
		t.Fatal(err)
	}
	tries.Server = answers
	apply(t, h)
	if tries.tried != nil {
		t.Errorf("once it answers, it is not promoted: %+v", tries.tried)
	}
}

// TestWhatDoesNotAnswerIsNotSaidToBeInOrder: who asks what was rolled back, or promotes what waits, hears that it is not known.
func TestWhatDoesNotAnswerIsNotSaidToBeInOrder(t *testing.T) {
	at := ref("deployment/s")
	h, w := newHouse(tree(careful()))
	answers := h.Server
	tries := &besides{Server: answers}
	h.Server = tries
	apply(t, h)
	h.commit(w, two, tree(careful(), with("s.py", "# other\n")))
	rev := port.Revision{SHA: two}
	_, in, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	silent := func(what string, do func() error) {
		t.Helper()
		tries.Server = deaf{answers, "s"}
		synctest.Test(t, func(t *testing.T) {
			if err := do(); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "deployment/s could not be asked: no answer within 20s") || fault.HintOf(err) == "" {
				t.Errorf("%s: %v", what, err)
			}
		})
		tries.Server = answers
	}
	silent("to promote it", func() error {
		_, err := h.PromoteRollout(t.Context(), in, rev, RolloutOrder{Ref: at, Full: true})
		return err
	})
	apply(t, h)
	if _, err := h.AbortRollout(t.Context(), rev, RolloutOrder{Ref: at, Reason: "too slow"}); err != nil {
		t.Fatal(err)
	}
	back := func() error {
		was, err := h.WasRolledBack(t.Context(), in, rev, at)
		if err == nil && !was {
			err = fmt.Errorf("it was not rolled back")
		}
		return err
	}
	silent("whether it was rolled back", back)
	if err := back(); err != nil {
		t.Errorf("once it answers: %v", err)
	}
}

// lost is a server whose error tells of its machine.
type lost struct{ port.Server }

func (lost) Observe(context.Context, string) (port.Live, error) {
	return port.Live{}, fault.WithHint(fault.New(fault.Transient, "dial 10.0.0.7:6443"), "remove /var/lib/vishwa/state/s")
}

// TestWhatAMachineIsLikeIsNotToldToOthers: its user alone reads paths and addresses of it.
func TestWhatAMachineIsLikeIsNotToldToOthers(t *testing.T) {
	h, _ := newHouse(tree())
	apply(t, h)
	h.Server = lost{h.Server}
	seen, err := h.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Plan(t.Context(), seen, ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Steps, plan.Step.Unanswered)
	if i < 0 || p.Steps[i].Held != plan.NotAsked+"it did not answer, for a reason that may pass" {
		t.Fatalf("%+v", p.Steps)
	}
	for _, ours := range []string{"10.0.0.7", "/var/lib/vishwa"} {
		if !strings.Contains(p.Steps[i].Aside, ours) || strings.Contains(string(raw), ours) {
			t.Errorf("%s: its user reads %q, and others %s", ours, p.Steps[i].Aside, raw)
		}
	}
}
