// The laws of acting: what is done is recorded, in order, once, and whatever goes
// wrong stops what needs it and nothing else.

package execute

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// all is how every step of the project ends where nothing goes wrong.
func all() map[string]EventKind {
	return map[string]EventKind{"dataset/d": Ended, "transform/a": Ended, "transform/b": Ended, "training/a:one": Ended, "training/a:two": Ended,
		"training/b:same": Ended, "training/b:twin": Ended, "model/a": Ended, "infrastructure/i": Ended, "deployment/a": Ended}
}

func TestADependantStartsWhenItsInputsAreRecorded(t *testing.T) {
	s := newShop()
	s.on = func(r string) { // the shop is locked
		for _, c := range [][2]string{{"training/a", "transform/a"}, {"training/b", "transform/b"}, {"transform", "dataset/d"}} {
			if strings.HasPrefix(r, c[0]) && seqOf(s, c[1]) < 0 {
				t.Errorf("%s started before %s was recorded", r, c[1])
			}
		}
	}
	got := s.run(t)
	ends := all()
	for _, twin := range []string{"training/b:same", "training/b:twin"} {
		ends[twin] = got[twin].End // one of them finds the other's
	}
	wantEnds(t, got, ends)
	for _, c := range [][2]string{{"training/a:one", "model/a"}, {"model/a", "deployment/a"}, {"infrastructure/i", "deployment/a"}} {
		if seqOf(s, c[0]) > seqOf(s, c[1]) {
			t.Errorf("%s was recorded after %s", c[0], c[1])
		}
	}
	if r := s.served["a"]; string(r.Inputs["i"]) != `{"url":"u"}` || r.Model.Digest == "" {
		t.Errorf("served %+v", r)
	}
	if e := s.facts.Latest[ref("deployment/a")]; e.Release.Isolation == nil || e.Release.Isolation.Level != "landlock" {
		t.Errorf("the level that it is served at is recorded as %v", e.Release.Isolation)
	}
	if again := s.run(t); len(again) != 0 {
		t.Errorf("acting again does %v", again)
	}
}

// TestAPanicEndsItsStepAndNothingElse: whatever a tool or a cluster answers, the process and the other steps go on.
func TestAPanicEndsItsStepAndNothingElse(t *testing.T) {
	s := newShop()
	s.on = func(r string) {
		if r == "transform/a" {
			panic("a broken answer")
		}
	}
	got := s.run(t)
	ends := all()
	ends["transform/a"] = Failed
	for _, r := range []string{"training/a:one", "training/a:two", "model/a", "deployment/a"} {
		ends[r] = Held
	}
	for _, twin := range []string{"training/b:same", "training/b:twin"} {
		ends[twin] = got[twin].End
	}
	wantEnds(t, got, ends)
	o := got["transform/a"]
	if fault.Of(o.Error) != fault.Internal || !strings.HasPrefix(o.Text, "transform/a: panic: a broken answer, in ") || !strings.Contains(o.Text, "execute.(*execution).follow (command.go:") || o.Do != plan.Make {
		t.Errorf("%+v", o)
	}
	s.on = nil
	if o := s.run(t)["transform/a"]; o.End != Ended {
		t.Errorf("%+v", o)
	}
}

// TestAPanicOfWhoIsToldEndsItsStep: a step that cannot tell that it panicked ends all the same.
func TestAPanicOfWhoIsToldEndsItsStep(t *testing.T) {
	s, g := newShop(), project(t)
	seen := s.see(g)
	p := plan.Gate(plan.Compute(g, seen), nil)
	for _, o := range Run(t.Context(), p, Config{
		Graph: g, Facts: seen.Facts, Live: seen.Live, Changes: seen.Stacks, Store: store{}, Runner: s, Provisioner: stacks{}, Server: s.server(), Services: s, Now: s.clock, Parallel: 1,
		Stack: func(context.Context, schemas.Ref) (port.Infrastructure, error) { return port.Infrastructure{}, nil }, Tell: func(Event) { panic("nobody listens") },
	}) {
		if o.End != Failed || !strings.Contains(o.Text, "nobody listens") {
			t.Errorf("%+v", o)
		}
	}
}

func TestTwoNodesWithOneKeyRunOnce(t *testing.T) {
	s := newShop()
	got := s.run(t)
	n := 0
	for _, r := range s.started {
		if strings.HasPrefix(r, "training/b:") {
			n++
		}
	}
	ends := []EventKind{got["training/b:same"].End, got["training/b:twin"].End}
	slices.Sort(ends)
	if n != 1 || !slices.Equal(ends, []EventKind{Ended, Kept}) {
		t.Errorf("%d runs, ended %v", n, ends)
	}
}

func TestAFailureHoldsWhatNeedsItAndNothingElse(t *testing.T) {
	s := newShop()
	exit := port.Result{Cause: port.Exit, Message: "exit 1", Tail: "Traceback"}
	s.results["transform/a"] = []port.Result{exit, exit}
	got := s.run(t)
	for _, r := range []string{"training/a:one", "training/a:two", "model/a", "deployment/a"} {
		if got[r].End != Held || s.actions(r)[ledger.Fail] != 0 {
			t.Errorf("%s: %+v", r, got[r])
		}
	}
	for _, r := range []string{"dataset/d", "transform/b", "infrastructure/i"} {
		if got[r].End != Ended {
			t.Errorf("%s: %+v", r, got[r])
		}
	}
	if o := got["transform/a"]; o.End != Failed || fault.Of(o.Error) != fault.Invalid || !strings.Contains(o.Text, "Traceback") {
		t.Errorf("%+v", o)
	}
	if got["training/a:one"].Text != "needs transform/a, which failed" {
		t.Errorf("%q", got["training/a:one"].Text)
	}
}

// TestAFailedRunIsTriedAgainAndThenHeld: as often as declared, in one pass and
// over many, until a person lets it go.
func TestAFailedRunIsTriedAgainAndThenHeld(t *testing.T) {
	s := newShop()
	exit := port.Result{Cause: port.Exit, Message: "exit 1"}
	s.results["transform/a"] = []port.Result{exit, exit, exit}
	s.run(t)
	if got := s.actions("transform/a"); got[ledger.Fail] != 2 {
		t.Fatalf("%v", got)
	}
	if o := s.run(t)["transform/a"]; o.End != Held || !strings.Contains(o.Text, "vishwa retry transform/a") || s.actions("transform/a")[ledger.Fail] != 2 {
		t.Fatalf("%+v", o)
	}
	s.pull = true
	if o := s.run(t)["transform/a"]; !strings.Contains(o.Text, "say /vishwa retry transform/a") || strings.Contains(o.Text, "run vishwa") {
		t.Fatalf("in a pull request: %+v", o)
	}
	_, _ = s.Append(t.Context(), ledger.Entry{Action: ledger.Retry, Ref: ref("transform/a"), Actor: "principal:ada"})
	if o := s.run(t)["transform/a"]; o.End != Ended {
		t.Fatalf("%+v", o)
	}
}

func TestWhatLiesOutsideTheKeyDoesNotCountAgainstIt(t *testing.T) {
	s := newShop()
	s.results["transform/b"] = []port.Result{{Cause: port.BadEnv, Message: "no network"}, {Cause: port.Lost, Message: "gone"}}
	for range 2 {
		if o := s.run(t)["transform/b"]; o.End != Failed || fault.Of(o.Error) != fault.Transient {
			t.Fatalf("%+v", o)
		}
	}
	if o := s.run(t)["transform/b"]; o.End != Ended {
		t.Fatalf("%+v", o)
	}
}

func TestARefusalIsRecordedOnce(t *testing.T) {
	s := newShop()
	no := ledger.Finding{Rule: "deployment/approval", Level: ledger.Denied, Ref: ref("deployment/a"), Message: "nobody approved", Hint: "vishwa approve"}
	for range 2 {
		o := s.run(t, no)["deployment/a"]
		if o.End != Held || fault.Of(o.Error) != fault.Held {
			t.Fatalf("%+v", o)
		}
	}
	// The first was refused while its key was not known: that is another refusal.
	for range 2 {
		s.run(t, no)
	}
	if n := s.actions("deployment/a")[ledger.Deny]; n > 2 {
		t.Errorf("%d refusals are recorded", n)
	}
}

func TestARefusalJustBeforeActingHolds(t *testing.T) {
	s := newShop()
	s.deny[ref("model/a")] = ledger.Finding{Rule: "model/gate", Level: ledger.Denied, Ref: ref("model/a"), Message: "auc 0.5 is below 0.8"}
	got := s.run(t)
	if o := got["model/a"]; o.End != Held || fault.Of(o.Error) != fault.Refused || o.Seq == 0 || s.actions("model/a")[ledger.Select] != 0 {
		t.Errorf("%+v", o)
	}
	if o := got["deployment/a"]; o.End != Held || o.Text != "needs model/a, which is held" {
		t.Errorf("%+v", o)
	}
}

// TestAWarningWhileActingIsToldAndRecorded: one that the plan told already is not told again.
func TestAWarningWhileActingIsToldAndRecorded(t *testing.T) {
	s := newShop()
	f := ledger.Finding{Rule: "model/carries", Level: ledger.Warn, Ref: ref("model/a"), Message: "it carries a chat template", Hint: "read it"}
	s.deny[f.Ref] = f
	if o := s.run(t)["model/a"]; o.End != Ended {
		t.Fatalf("%+v", o)
	}
	if e := s.facts.Latest[f.Ref]; !slices.Equal(e.Findings, []ledger.Finding{f}) || e.Action != ledger.Select {
		t.Errorf("%+v", e)
	}
	var said []string
	a := &execution{Config: Config{Now: time.Now, Tell: func(e Event) { said = append(said, e.Text) }}}
	j := &job{}
	for range 2 { // once before a model is scored, and once after
		a.remark(j, []ledger.Finding{f})
	}
	if want := []string{"warning: model/carries: it carries a chat template; read it"}; !slices.Equal(said, want) || len(j.found) != 1 {
		t.Errorf("it said %q, and records %v", said, j.found)
	}
	a.plan.Findings, j.found, said = j.found, nil, nil
	if a.remark(j, []ledger.Finding{f}); len(said) != 0 || len(j.found) != 0 {
		t.Errorf("the plan told it already: %q, %v", said, j.found)
	}
}

func TestCancelStopsRunsAndIsRecorded(t *testing.T) {
	s := newShop()
	s.hang["transform/a"] = true
	ctx, cancel := context.WithCancel(t.Context())
	s.on = func(r string) {
		if r == "transform/a" {
			cancel()
		}
	}
	g := project(t)
	got := s.act(ctx, g, s.see(g))
	if o := got["transform/a"]; o.End != Failed || fault.Of(o.Error) != fault.Cancelled {
		t.Errorf("%+v", o)
	}
	if a := s.actions("transform/a"); !slices.Contains(s.stopped, "transform/a") || a[ledger.Cancel] != 1 || a[ledger.Fail] != 0 {
		t.Errorf("stopped %v, recorded %v", s.stopped, a)
	}
	s.hang, s.on = nil, nil
	s.run(t)
	if again := s.run(t); len(again) != 0 {
		t.Errorf("after the cancel, still to do: %v", again)
	}
}

// TestADuplicateTakesOverWhatCameFirst: where somebody else made the same
// meanwhile, theirs is what everything above is made from.
func TestADuplicateTakesOverWhatCameFirst(t *testing.T) {
	s, g := newShop(), project(t)
	s.run(t)
	first := *s.facts.ByKey[s.facts.Latest[ref("transform/b")].Key]
	theirs := digest.Of([]byte("theirs"))
	first.Outputs = ledger.OutputsOf(map[string]port.Artifact{"o": {Digest: theirs, Size: 1}})

	s = newShop()
	s.other = &first
	s.act(t.Context(), g, s.see(g))
	if e := s.facts.Latest[ref("transform/b")]; e.Outputs.Named("o").Digest != theirs {
		t.Errorf("the fact is %s", e.Outputs.Named("o").Digest)
	}
	for _, j := range s.jobs {
		if j.Ref.Name == "b" && j.Ref.Kind == "training" && j.Inputs["x"].Digest != theirs {
			t.Errorf("%s read %s", j.Ref, j.Inputs["x"].Digest)
		}
	}
}

// TestGoneIsMadeAgainAsADuplicate: what the store has lost is run again under its key, what
// came out the same keeps the rest, and what is served stays as it is. What will not do is
// replaced.
func TestGoneIsMadeAgainAsADuplicate(t *testing.T) {
	s, g := newShop(), project(t)
	s.run(t)
	was := s.facts.Latest[ref("transform/a")]
	seen := s.see(g)
	seen.MissingArtifacts = map[digest.Digest]string{was.Key: "made in entry 1 by controller:a; " + plan.NotInStore}
	served := s.actions("deployment/a")[ledger.Deploy]
	s.started = nil
	got := s.act(t.Context(), g, seen)
	wantEnds(t, got, map[string]EventKind{"transform/a": Ended, "training/a:one": Kept, "training/a:two": Kept, "model/a": Kept, "deployment/a": Kept})
	if !slices.Equal(s.started, []string{"transform/a"}) || s.actions("deployment/a")[ledger.Deploy] != served {
		t.Errorf("started %v", s.started)
	}
	now := s.entries[slices.IndexFunc(s.entries, func(e ledger.Entry) bool { return e.Seq > was.Seq && e.Key == was.Key })]
	if now.Again || !now.Duplicate || now.Reason != "made again: this machine's store did not have it" || s.facts.ByKey[was.Key].Seq != was.Seq {
		t.Errorf("entry %d: %+v", now.Seq, now)
	}
	if again := s.run(t); len(again) != 0 {
		t.Errorf("still to do: %v", again)
	}
	seen = s.see(g)
	seen.Unfit = map[digest.Digest]string{was.Key: "it ran at the level of isolation none"}
	s.act(t.Context(), g, seen)
	if now := s.facts.ByKey[was.Key]; now.Seq == was.Seq || !now.Again || now.Duplicate {
		t.Errorf("the fact is entry %d: %+v", now.Seq, now)
	}
}

func TestRetiringStopsServing(t *testing.T) {
	s := newShop()
	s.run(t)
	p := plan.Plan{Steps: []plan.Step{{Ref: ref("deployment/a"), Do: plan.Retire, Key: s.facts.Latest[ref("deployment/a")].Key, Why: "no longer declared"}}}
	Run(t.Context(), p, Config{Facts: s.facts.Clone(), Server: server{s}, Services: s, Common: EntryContext{Actor: "controller:test"}})
	if r := s.served["a"]; r.Serves() || s.facts.Latest[ref("deployment/a")].Action != ledger.Retire {
		t.Errorf("served %+v", r)
	}
}

func TestAServerThatDoesNotTakeTheReleaseFailsTheStep(t *testing.T) {
	s := newShop()
	s.serve = fault.New(fault.Invalid, "it did not become ready")
	if o := s.run(t)["deployment/a"]; o.End != Failed || s.actions("deployment/a")[ledger.Fail] != 1 {
		t.Errorf("%+v", o)
	}
	s.serve = nil
	if o := s.run(t)["deployment/a"]; o.End != Ended {
		t.Errorf("%+v", o)
	}
}

// A failure that repeats is recorded once until something else comes of the step.
func TestTheSameFailureIsRecordedOnce(t *testing.T) {
	s := newShop()
	fails := func() int64 { return int64(s.actions("deployment/a")[ledger.Fail]) }
	try := func(err error) Outcome {
		t.Helper()
		s.serve = err
		o := s.run(t)["deployment/a"]
		if o.End != Failed || o.Error == nil {
			t.Fatalf("%+v", o)
		}
		return o
	}
	first := try(fault.New(fault.Invalid, "exit status 3 after 1.5 s; the last of its log:\n  pid 17"))
	for i := range 5 {
		if o := try(fault.New(fault.Invalid, "exit status %d after %d.25 s; the last of its log:\n  pid %d", i, i, i)); o.Seq != first.Seq || fails() != 1 {
			t.Fatalf("try %d: %+v, %d entries", i, o, fails())
		}
	}
	for range 3 { // two that take turns are two
		try(fault.New(fault.Conflict, "port 80 is taken"))
		try(fault.New(fault.Invalid, "exit status 3 after 1.5 s; the last of its log:\n  another line"))
	}
	if fails() != 2 {
		t.Fatalf("%d entries for two failures that take turns", fails())
	}
	s.serve = nil
	if o := s.run(t)["deployment/a"]; o.End != Ended {
		t.Fatalf("%+v", o)
	}
	s.served["a"] = port.Release{} // gone from the world
	try(fault.New(fault.Conflict, "port 80 is taken"))
	if fails() != 3 {
		t.Fatalf("%d entries: a failure after a success is another one", fails())
	}
}

func (s *shop) Logged(context.Context, schemas.Ref, port.Live) rollout.Evidence {
	return rollout.Evidence{}
}
