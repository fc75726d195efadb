// A release is tried in a container, beside the one that serves.

package docker

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// units are the containers that stand for name, by the unit that they serve.
func units(e *dockertest.Engine, name string) map[string]int {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	out := map[string]int{}
	for _, b := range e.Boxes {
		if labels, _ := b.Config["Labels"].(dockertest.Object); labels[labelName] == name {
			unit, _ := labels[labelUnit].(string)
			out[unit]++
		}
	}
	return out
}

// TestAReleaseIsTriedInAContainer: with its part of the requests, as a shadow too, through the host's death, until it is promoted or
// the old one has all of them; and no container is left.
func TestAReleaseIsTriedInAContainer(t *testing.T) {
	s, e := onDouble(t)
	try := s.server.(port.Splitter)
	if !try.Splits(port.TargetDocker) || try.Splits(port.TargetKubernetes) {
		t.Fatal("it tries what it cannot serve, or does not try what it can")
	}
	one, two := s.release("one", "1"), s.release("one", "2")
	l := s.apply(one)
	by := func(n int) map[string]int {
		t.Helper()
		out := map[string]int{}
		for range n {
			out[s.ask(l, "/version")]++
		}
		return out
	}
	split := func(p port.Part) {
		t.Helper()
		if live, err := try.Split(t.Context(), two, p); err != nil || live.Beside == nil || live.Beside.Weight != p.Weight {
			t.Fatalf("%+v: %+v, %v", p, live.Beside, err)
		}
	}
	split(port.Part{Shadow: &port.Shadow{Percent: 100, Paths: []string{"/version"}}})
	if got := by(40); got["1"] != 40 {
		t.Errorf("a shadow answers: %v", got)
	}
	s.until("pairs are seen", func() bool {
		b := s.observe("one").Beside
		return b != nil && b.Pairs != nil && b.Pairs.Pairs == 40 && b.Pairs.Differ == 40
	})
	split(port.Part{Weight: 50})
	if got := by(200); got["2"] < 50 || got["1"]+got["2"] != 200 {
		t.Errorf("half of the requests: %v", got)
	}
	if got := units(e, "one"); len(got) != 3 {
		t.Errorf("stable, baseline and canary are containers of their own: %v", got)
	}

	s.killHost()
	s.apply(one)
	s.until("what was tried is back", func() bool { b := s.observe("one").Beside; return b != nil && b.Health == port.Ready && b.Weight == 50 })
	s.until("each is there once", func() bool {
		got := units(e, "one")
		for _, n := range got {
			if n != 1 {
				return false
			}
		}
		return len(got) == 3
	})
	if got := by(200); got["2"] < 50 || got["1"]+got["2"] != 200 {
		t.Errorf("after the host's death: %v", got)
	}

	// Back at once, then once more, and promoted.
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, false); err != nil {
		t.Fatal(err)
	}
	if got := by(50); got["1"] != 50 {
		t.Errorf("the old one is back: %v", got)
	}
	s.until("one container is left", func() bool { return len(units(e, "one")) == 1 })
	split(port.Part{Weight: 10})
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, true); err != nil {
		t.Fatal(err)
	}
	if got := by(50); got["2"] != 50 {
		t.Errorf("promoted: %v", got)
	}
	s.until("one container is left", func() bool { return len(units(e, "one")) == 1 })
	if live := s.observe("one"); live.Key != two.Key || live.Health != port.Ready || live.Beside != nil {
		t.Errorf("it serves %+v", live)
	}
}

// TestABaselineThatAKilledHostLeftGoes: no record names it, and the release whose second container it was goes on.
func TestABaselineThatAKilledHostLeftGoes(t *testing.T) {
	s, e := onDouble(t)
	one, two := s.release("one", "1"), s.release("one", "2")
	s.apply(one)
	if _, err := s.server.(port.Splitter).Split(t.Context(), two, port.Part{Weight: 10}); err != nil {
		t.Fatal(err)
	}
	s.killHost()
	s.forget("one")
	s.apply(one)
	s.until("one container is left, and what was tried", func() bool { return len(units(e, "one")) <= 2 })
	for unit := range units(e, "one") {
		if len(unit) > 9 && unit[len(unit)-9:] == "-baseline" {
			t.Errorf("%s is left", unit)
		}
	}
	three := s.release("one", "3", "exit")
	if _, err := s.server.(port.Splitter).Split(t.Context(), three, port.Part{Weight: 10}); fault.Of(err) != fault.Invalid {
		t.Errorf("one that does not begin: %v", err)
	}
	s.until("and no more", func() bool { return len(units(e, "one")) == 1 })
}
