// A release is tried next to the one that serves, by the weights of a route.

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// routed is a release behind a route.
func (s *stage) routed(version string, how ...string) port.Release {
	s.t.Helper()
	r := s.release("one", version, how...)
	r.Kubernetes.Route = &s.route
	return r
}

// by counts what n requests for the host are answered by, as its Gateway divides them.
func (s *stage) by(n int) map[string]int {
	s.t.Helper()
	out := map[string]int{}
	s.asked.Store(0)
	for range n {
		version, err := s.byRoute()
		if err != nil {
			s.t.Fatal(err)
		}
		out[version]++
	}
	return out
}

// byRoute is what one request for the host is answered by.
func (s *stage) byRoute() (version string, err error) {
	addr, ok := s.double.RouteTo("one.example.com", int(s.asked.Add(1)-1)*37)
	if !ok {
		return "", errors.New("no pod takes it")
	}
	return porttest.ByHost(s.t, "http://"+addr, "one.example.com")()
}

func (s *stage) split(r port.Release, weight int) port.Live {
	s.t.Helper()
	l, err := s.server.(port.Splitter).Split(s.t.Context(), r, port.Part{Weight: weight})
	if err != nil {
		s.t.Fatalf("split %d: %v (%s)", weight, err, fault.HintOf(err))
	}
	if l.Health != port.Ready || l.Beside == nil || l.Beside.Key != r.Key || l.Beside.Weight != weight || l.Beside.Health != port.Ready {
		s.t.Fatalf("split %d: %+v, %+v", weight, l, l.Beside)
	}
	return l
}

// stands tells what of ours stands for one.
func (s *stage) stands() string {
	s.t.Helper()
	return fmt.Sprint(len(s.double.Objects("deployments")), len(s.double.Objects("services")), len(s.double.Objects("httproutes")))
}

func TestPodsAreTriedByTheWeightsOfTheirRoute(t *testing.T) {
	t.Parallel()
	porttest.Splitter(t, func(t *testing.T) porttest.Splitting {
		s := onDouble(t)
		return s.splitting(func(_, version string, how ...string) port.Release { return s.routed(version, how...) }, s.by, func() int {
			return len(s.double.Objects("deployments"))
		})
	})
}

// TestNoRequestThatComesByARouteIsLost: its Gateway hears late of pods, and of Services.
func TestNoRequestThatComesByARouteIsLost(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.o.Drain = time.Second
	s.server = New(s.o)
	losesNoRequest(t, s, s.byRoute, time.Second)
}

// losesNoRequest: from one release to the next by weights, back again, at once, and past a release that does not come up. ends is until the
// pods of a release that was taken away have ended.
func losesNoRequest(t *testing.T, s *stage, request func() (version string, err error), ends time.Duration) {
	t.Helper()
	try := s.server.(port.Splitter)
	s.apply(s.routed("1"))
	asks := porttest.Ask(t, request)
	two, three, broken := s.routed("2"), s.routed("3"), s.routed("broken", "exit")
	if _, err := try.Split(t.Context(), broken, port.Part{Weight: 50}); err == nil {
		t.Error("a release that ends at once was tried")
	}
	asks.Meanwhile("a broken release is tried", "1")
	s.split(two, 20)
	s.split(two, 60)
	asks.Meanwhile("another is tried", "1", "2")
	join := func(of port.Release, promote bool) {
		t.Helper()
		if _, err := try.Join(t.Context(), "one", port.Trial{Key: of.Key}, promote); err != nil {
			t.Fatal(err)
		}
	}
	join(two, true)
	asks.Meanwhile("it is promoted", "1", "2")
	time.Sleep(ends) // the old one ends meanwhile
	asks.Meanwhile("after that", "2")
	s.split(three, 40)
	join(three, false)
	asks.Meanwhile("a third is tried, and given up", "2", "3")
	time.Sleep(ends)
	asks.Meanwhile("after that", "2")
	if _, err := s.server.Apply(t.Context(), broken); err == nil {
		t.Error("a release that ends at once was applied")
	}
	asks.Meanwhile("a broken release is applied", "2")
	s.apply(s.routed("4"))
	time.Sleep(ends)
	asks.Meanwhile("a fourth takes all at once", "2", "4")
	time.Sleep(time.Second)
	asks.Meanwhile("after that", "4")
	asks.End()
}

// TestARouteIsNeededAndNothingElseIsDivided: no route, a shadow, and a weight that somebody else set.
func TestARouteIsNeededAndNothingElseIsDivided(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	refused := func(r port.Release, p port.Part, kind fault.Kind, words string) {
		t.Helper()
		if _, err := s.server.(port.Splitter).Split(t.Context(), r, p); err == nil || fault.Of(err) != kind || !strings.Contains(err.Error(), words) || fault.HintOf(err) == "" {
			t.Errorf("%v (%v; %s): want %v with %q", err, fault.Of(err), fault.HintOf(err), kind, words)
		}
	}
	s.apply(s.release("one", "1"))
	refused(s.routed("2"), port.Part{Weight: 10}, fault.Invalid, "no HTTPRoute")
	s.apply(s.routed("1"))
	refused(s.routed("2"), port.Part{Shadow: &port.Shadow{Percent: 10}}, fault.Invalid, "compares answers")
	refused(s.release("one", "2"), port.Part{Weight: 10}, fault.Invalid, "no route")
	s.split(s.routed("2"), 20)
	if s.stands() != "2 2 1" {
		t.Errorf("deployments, services and routes: %s", s.stands())
	}
	s.double.Edit("httproutes", "one", "somebody", "", func(o map[string]any) {
		refs := o["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)["backendRefs"].([]any)
		refs[0].(map[string]any)["weight"], refs[1].(map[string]any)["weight"] = float64(10), float64(90)
	})
	if b := s.observe("one").Beside; b == nil || b.Weight != 90 {
		t.Errorf("whatever is recorded, the route says the weight: %+v", b)
	}
}

// TestAClusterThatDoesNotSayHoldsNothingAgainstATrial: what serves is brought back as it was, with the weights that there were; one that cannot be asked for a moment is no release that fails; one whose pods were taken
// away is.
func TestAClusterThatDoesNotSayHoldsNothingAgainstATrial(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	two := s.routed("2")
	s.apply(s.routed("1"))
	s.split(two, 30)
	end := s.double.Outage()
	if l := s.observe("one"); l.Health != port.Failing || l.Beside != nil {
		t.Errorf("while the cluster is away: %+v, %+v", l, l.Beside)
	}
	end()
	s.until("the cluster is back", func() bool {
		l := s.observe("one")
		return l.Health == port.Ready && l.Beside != nil && l.Beside.Health == port.Ready && l.Beside.Weight == 30
	})
	s.double.Edit("services", "one", "somebody", "", func(o map[string]any) {
		o["spec"].(map[string]any)["selector"] = map[string]any{"app": "another"}
	})
	l := s.observe("one")
	if l.Health != port.Down || !strings.Contains(l.Message, "somebody changed Service one") || l.Beside == nil || l.Beside.Health != port.Ready {
		t.Errorf("what serves was changed by hand: %+v, %+v", l, l.Beside)
	}
	if l, err := s.server.(port.Reviver).Revive(t.Context(), "one", l.Key); err != nil || l.Health != port.Ready || l.Beside == nil || l.Beside.Weight != 30 {
		t.Errorf("brought back: %+v, %v", l, err)
	}
	if got := s.by(100); got["2"] != 30 || got["1"] != 70 {
		t.Errorf("brought back: %v", got)
	}
	for name := range s.double.Objects("deployments") {
		if strings.HasPrefix(s.server.(*server).tried(t, "one"), name) {
			s.double.Delete("deployments", name)
		}
	}
	s.until("what is tried is told as failing", func() bool {
		l := s.observe("one")
		return l.Health == port.Ready && l.Beside != nil && l.Beside.Health == port.Failing && l.Beside.Weight == 30
	})
	if _, err := s.server.(port.Splitter).Join(t.Context(), "one", port.Trial{Key: two.Key}, false); err != nil {
		t.Fatal(err)
	}
	if got := s.by(20); got["1"] != 20 {
		t.Errorf("back: %v", got)
	}
}

// tried is the name of the pods' Deployment of what is tried.
func (s *server) tried(t *testing.T, name string) string {
	t.Helper()
	rec, err := s.readRecord(name)
	if err != nil || rec.Tried == nil {
		t.Fatalf("%+v, %v", rec, err)
	}
	return rec.Tried.Unit
}

// TestARouteThatNobodyTakesIsSaidSo: what is behind it is not told as served, and a trial by it is none.
func TestARouteThatNobodyTakesIsSaidSo(t *testing.T) {
	t.Parallel()
	s := onDouble(t, func(*kubetest.Options) {})
	s.o.Reach = time.Second
	s.server = New(s.o)
	s.route.Gateway = "none"
	s.refused(s.routed("1"), fault.Transient, "no Gateway says anything of it", "kubectl describe httproute")
	s.route.Gateway = "public"
	s.apply(s.routed("1"))
	s.route.Gateway = "none" // what the other said of it stays in its status
	s.refused(s.routed("2"), fault.Transient, "no Gateway says anything of it", "kubectl describe httproute")
	s.route.Gateway = "public"
	s.apply(s.routed("1"))
	end := s.double.Halt("gateway")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := s.server.(port.Splitter).Split(ctx, s.routed("2"), port.Part{Weight: 30}); err == nil {
		t.Fatal("it is tried, and no Gateway says so")
	}
	end()
	s.split(s.routed("2"), 30)
}

// TestWhatDividesRequestsAndIsSomebodyElsesIsLeftAlone: whoever took it over says who has the requests, whatever a rollout wants.
func TestWhatDividesRequestsAndIsSomebodyElsesIsLeftAlone(t *testing.T) {
	t.Parallel()
	for of, c := range map[string]struct {
		on   func(t *testing.T, options ...func(*kubetest.Options)) *stage
		make func(s *stage, version string) port.Release
	}{
		"httproutes":        {onDouble, func(s *stage, version string) port.Release { return s.routed(version) }},
		"experiments":       {onSeldon, func(s *stage, version string) port.Release { return s.loads("one", version) }},
		"seldondeployments": {onCore1, func(s *stage, version string) port.Release { return s.predicts("one", version) }},
		"inferenceservices": {onKnative, func(s *stage, version string) port.Release { return s.revises("one", version) }},
	} {
		s := c.on(t)
		two := c.make(s, "2")
		s.apply(c.make(s, "1"))
		s.split(two, 30)
		s.double.Edit(of, "one", "another-team", "", func(o map[string]any) {
			o["metadata"].(map[string]any)["labels"] = map[string]any{"team": "b"}
		})
		was := s.double.Objects(of)["one"]
		spec := func(raw string) string {
			_, after, _ := strings.Cut(raw, `"spec":`)
			before, _, _ := strings.Cut(after, `"status":`)
			return before
		}
		try := s.server.(port.Splitter)
		if _, err := try.Split(t.Context(), two, port.Part{Weight: 50}); err == nil || fault.Of(err) != fault.Conflict {
			t.Errorf("%s: another weight: %v", of, err)
		}
		for _, promote := range []bool{false, true} {
			if _, err := try.Join(t.Context(), "one", port.Trial{Key: two.Key}, promote); err == nil || fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "not Vishwa's any more") {
				t.Errorf("%s: ended (promoted: %v): %v", of, promote, err)
			}
		}
		if now := s.double.Objects(of)["one"]; spec(now) != spec(was) || !strings.Contains(now, `"labels":{"team":"b"}`) {
			t.Errorf("%s: it is %s, and was %s", of, now, was)
		}
	}
}
