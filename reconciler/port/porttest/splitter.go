// What every Splitter must keep, whatever divides the requests.

package porttest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Splitting is a Server that serves nothing yet and can try releases, all of which have the name "one".
type Splitting struct {
	Server port.Server
	// Another is the same server in another process, which knows what is recorded and no more.
	Another func() port.Server
	// Good makes a release that answers its version, and Broken one that ends before it is ready.
	Good, Broken func(version string) port.Release
	// Answers counts what n requests are answered by, a version each. Of every hundred in a row, each release has its weight, within Off.
	Answers func(n int) map[string]int
	// Off is how many of a hundred may go elsewhere, where both releases have some; zero: not one.
	Off int
	// Releases counts the releases of which anything stands.
	Releases func() int
	// Changes calls each after every change that the server makes in the world, until end.
	Changes func(each func()) (end func())
	// Most is the most that a release may be given next to another; zero is 100.
	Most int
	// Part is the weight that can be given in place of another; nil: each.
	Part func(weight int) int
	// Fails is what is said of a Broken release; empty: "no such column".
	Fails string
	// Every is how many changes lie between those that a controller is killed at; zero is two.
	Every int
}

func (s Splitting) at(weight int) int {
	if s.Part == nil {
		return weight
	}
	return s.Part(weight)
}

// parts are what hundred requests are answered by while what is tried is to have a weight.
func (s Splitting) parts(serves, tried string, weight int) map[string]int {
	out := map[string]int{serves: 100 - s.at(weight), tried: s.at(weight)}
	maps.DeleteFunc(out, func(_ string, n int) bool { return n == 0 })
	return out
}

func (s Splitting) split(t *testing.T, by port.Server, r port.Release, weight int) {
	t.Helper()
	weight = s.at(weight)
	l, err := by.(port.Splitter).Split(t.Context(), r, port.Part{Weight: weight})
	if err != nil {
		t.Fatalf("split %d: %v (%s)", weight, err, fault.HintOf(err))
	}
	if l.Health != port.Ready || l.Beside == nil || l.Beside.Key != r.Key || l.Beside.Weight != weight || l.Beside.Health != port.Ready {
		t.Fatalf("split %d: %+v, %+v", weight, l, l.Beside)
	}
}

func (s Splitting) answers(t *testing.T, what string, want map[string]int) {
	t.Helper()
	got := s.Answers(100)
	same := len(got) == len(want)
	for version, n := range want {
		same = same && max(got[version]-n, n-got[version]) <= s.Off
	}
	if !same {
		t.Errorf("%s: of 100 requests %v, want %v", what, got, want)
	}
}

func (s Splitting) alone(t *testing.T, by port.Server, version string) {
	t.Helper()
	Until(t, time.Minute, version+" stands alone", func() bool {
		l := Look(t, by, "one")
		return s.Releases() == 1 && l.Health == port.Ready && l.Beside == nil
	}, func() any { return Look(t, by, "one") })
	s.answers(t, version+" stands alone", map[string]int{version: 100})
}

// Splitter runs the suite; fresh makes a Splitting for each test.
func Splitter(t *testing.T, fresh func(t *testing.T) Splitting) {
	for name, test := range map[string]func(t *testing.T, s Splitting){
		"AReleaseHasItsPart":                 releaseHasItsPart,
		"WhatCannotBeTriedChangesNothing":    untriableChangesNothing,
		"ATrialThatIsReplacedLeavesNothing":  replacedLeavesNothing,
		"WhatIsRetiredIsGoneWithItsTrial":    retiredWithTrial,
		"WhatServesIsBroughtBackWithWeights": broughtBackWithWeights,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
	t.Run("AKilledControllerGoesOn", func(t *testing.T) {
		for at, done, every := 1, false, 0; !done && !t.Failed(); at += max(2, every) {
			if at > 100 {
				t.Fatal("it does not end")
			}
			t.Run(fmt.Sprintf("AtChange%d", at), func(t *testing.T) {
				s := fresh(t)
				done, every = killedAt(t, s, at), s.Every
			})
		}
	})
}

func (s Splitting) most() int {
	if s.Most == 0 {
		return 100
	}
	return s.Most
}

// releaseHasItsPart: until it is promoted, or the old one has all requests again; and nothing of the other is left.
func releaseHasItsPart(t *testing.T, s Splitting) {
	try := s.Server.(port.Splitter)
	one, two, three := s.Good("1"), s.Good("2"), s.Good("3")
	Serve(t, s.Server, one)
	s.answers(t, "alone", map[string]int{"1": 100})
	s.split(t, s.Server, two, 0)
	s.answers(t, "none of the requests", map[string]int{"1": 100})
	s.split(t, s.Server, two, 20)
	s.answers(t, "20 per cent", s.parts("1", "2", 20))

	other := s.Another() // goes on with the weights as they are
	if b := Look(t, other, "one").Beside; b == nil || b.Key != two.Key || b.Weight != s.at(20) || b.Health != port.Ready {
		t.Fatalf("after a kill: %+v", b)
	}
	s.answers(t, "after a kill", s.parts("1", "2", 20))
	s.split(t, other, two, s.most())
	s.answers(t, "the most", s.parts("1", "2", s.most()))

	began := time.Now()
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, false); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it is back after %s", took)
	}
	s.alone(t, s.Server, "1")
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, false); err != nil {
		t.Errorf("what is not tried ends once more: %v", err)
	}

	s.split(t, s.Server, three, 10)
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, true); err == nil || fault.Of(err) != fault.Conflict {
		t.Errorf("one that is not tried is promoted: %v", err)
	}
	l, err := try.Join(t.Context(), "one", port.Trial{Key: three.Key}, true)
	if err != nil || l.Key != three.Key || l.Beside != nil {
		t.Fatalf("promoted: %+v, %v", l, err)
	}
	s.alone(t, s.Server, "3")
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: three.Key}, false); err == nil || fault.Of(err) != fault.Conflict {
		t.Errorf("what serves is aborted: %v", err)
	}
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: three.Key}, true); err != nil {
		t.Errorf("promoted twice: %v", err)
	}
}

func untriableChangesNothing(t *testing.T, s Splitting) {
	one := s.Good("1")
	refused := func(r port.Release, p port.Part, kind fault.Kind, words string) {
		t.Helper()
		if _, err := s.Server.(port.Splitter).Split(t.Context(), r, p); err == nil || fault.Of(err) != kind || !strings.Contains(err.Error(), words) || fault.HintOf(err) == "" {
			t.Errorf("%v (%v; %s): want %v with %q", err, fault.Of(err), fault.HintOf(err), kind, words)
		}
	}
	refused(one, port.Part{Weight: s.at(10)}, fault.Missing, "nothing serves")
	Serve(t, s.Server, one)
	refused(one, port.Part{Weight: s.at(10)}, fault.Conflict, "serves already")
	refused(s.Good("2"), port.Part{Weight: 101}, fault.Invalid, "101 is not a weight")
	refused(s.Good("2"), port.Part{Weight: -1}, fault.Invalid, "-1 is not a weight")
	again := one
	again.Key = digest.Of([]byte("the same again"))
	refused(again, port.Part{Weight: s.at(10)}, fault.Invalid, "there is nothing to compare")
	refused(s.Broken("2"), port.Part{Weight: s.at(10)}, fault.Invalid, cmp.Or(s.Fails, "no such column"))
	s.alone(t, s.Server, "1")
}

// replacedLeavesNothing: another release is tried in its place, or applied.
func replacedLeavesNothing(t *testing.T, s Splitting) {
	Serve(t, s.Server, s.Good("1"))
	s.split(t, s.Server, s.Good("2"), 30)
	s.split(t, s.Server, s.Good("3"), 10)
	s.answers(t, "another is tried", s.parts("1", "3", 10))
	Until(t, time.Minute, "the first trial is gone", func() bool { return s.Releases() == 2 }, nil)
	Serve(t, s.Server, s.Good("4"))
	s.alone(t, s.Server, "4")
}

func retiredWithTrial(t *testing.T, s Splitting) {
	Serve(t, s.Server, s.Good("1"))
	s.split(t, s.Server, s.Good("2"), 30)
	if l := Serve(t, s.Server, port.Release{Name: "one"}); l != (port.Live{}) {
		t.Errorf("retired: %+v", l)
	}
	Until(t, time.Minute, "nothing is left", func() bool { return s.Releases() == 0 }, nil)
}

func broughtBackWithWeights(t *testing.T, s Splitting) {
	one, two := s.Good("1"), s.Good("2")
	Serve(t, s.Server, one)
	s.split(t, s.Server, two, 30)
	by, can := s.Another().(port.Reviver)
	if !can {
		t.Skip("it brings nothing back")
	}
	if l, err := by.Revive(t.Context(), "one", one.Key); err != nil || l.Health != port.Ready || l.Beside == nil || l.Beside.Weight != s.at(30) {
		t.Errorf("brought back: %+v, %v", l, err)
	}
	s.answers(t, "brought back", s.parts("1", "2", 30))
}

// killedAt is a trial and its promotion by a controller that is killed at its nth change of the world: what serves goes on, and the next one
// does the rest. It is done when that controller got through.
func killedAt(t *testing.T, s Splitting, n int) (done bool) {
	one, two := s.Good("1"), s.Good("2")
	Serve(t, s.Server, one)
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	left := n
	end := s.Changes(func() {
		if left--; left == 0 {
			kill()
		}
	})
	try := s.Server.(port.Splitter)
	_, err := try.Split(ctx, two, port.Part{Weight: s.at(30)})
	if err == nil {
		_, err = try.Join(ctx, "one", port.Trial{Key: two.Key}, true)
	}
	end()
	done = ctx.Err() == nil
	if got := s.Answers(20); got["1"]+got["2"] != 20 {
		t.Fatalf("killed at change %d: %v", n, got)
	}
	other := s.Another()
	try = other.(port.Splitter)
	live := Look(t, other, "one")
	switch {
	case live.Key == two.Key && live.Health != port.Ready: // healed as a change by hand is
		Serve(t, other, two)
	case live.Key == two.Key:
		if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, true); err != nil {
			t.Fatalf("killed at change %d: %v", n, err)
		}
	default:
		if live.Health != port.Ready {
			t.Fatalf("killed at change %d: what serves is %s: %s", n, live.Health, live.Message)
		}
		s.split(t, other, two, 30)
		s.answers(t, "gone on with", s.parts("1", "2", 30))
		if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, true); err != nil {
			t.Fatalf("killed at change %d: %v", n, err)
		}
	}
	s.alone(t, other, "2")
	if done && (n < 4 || err != nil) {
		t.Fatalf("it is done after %d changes: %v", n, err)
	}
	return done
}
