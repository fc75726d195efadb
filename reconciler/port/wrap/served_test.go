// Servers side by side: one name is served by one of them.

package wrap

import (
	"context"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// shelf serves by remembering.
type shelf struct {
	live    map[string]port.Live
	asked   int // to end what it may serve
	away    bool
	renewed []string
}

func (s *shelf) Observe(_ context.Context, name string) (port.Live, error) { return s.live[name], nil }

func (s *shelf) Apply(_ context.Context, r port.Release) (port.Live, error) {
	if s.away {
		return port.Live{}, fault.New(fault.Transient, "it is away")
	}
	if !r.Serves() {
		s.asked++
		delete(s.live, r.Name)
		return port.Live{}, nil
	}
	s.live[r.Name] = port.Live{Key: r.Key}
	return s.live[r.Name], nil
}

func (s *shelf) Renew(_ context.Context, name string) error {
	s.renewed = append(s.renewed, name)
	return nil
}

func (s *shelf) Revive(_ context.Context, name string, key digest.Digest) (port.Live, error) {
	if l := s.live[name]; l.Key == key {
		return l, nil
	}
	return port.Live{}, fault.New(fault.Missing, "it does not serve it")
}

func TestANameIsServedByTheServerOfItsTarget(t *testing.T) {
	host, cluster := &shelf{live: map[string]port.Live{}}, &shelf{live: map[string]port.Live{}}
	s := Served(host, map[string]port.Server{port.TargetKubernetes: cluster}, nil)
	apply := func(r port.Release) error {
		_, err := s.Apply(t.Context(), r)
		return err
	}
	local := port.Release{Name: "one", Key: "a", Local: &port.LocalRelease{}}
	remote := port.Release{Name: "one", Key: "b", Kubernetes: &port.KubernetesRelease{}}
	if err := apply(local); err != nil || host.live["one"].Key != "a" || cluster.asked > 0 {
		t.Fatalf("%v: a cluster was asked %d times about what it never served", err, cluster.asked)
	}
	if err := apply(remote); err != nil || cluster.live["one"].Key != "b" || len(host.live) > 0 {
		t.Fatalf("%v: it moved, and the host serves %v", err, host.live)
	}
	if l, err := s.Observe(t.Context(), "one"); err != nil || l.Key != "b" {
		t.Errorf("observed %+v %v", l, err)
	}
	if l, err := s.(port.Reviver).Revive(t.Context(), "one", "b"); err != nil || l.Key != "b" {
		t.Errorf("revived %+v %v", l, err)
	}
	if _, err := s.(port.Reviver).Revive(t.Context(), "one", "a"); fault.Of(err) != fault.Missing {
		t.Errorf("what nobody serves is revived: %v", err)
	}
	if err := s.(port.Renewer).Renew(t.Context(), "one"); err != nil || len(cluster.renewed) != 1 {
		t.Errorf("renewed %v %v", cluster.renewed, err)
	}
	if err := Survey(s).(port.Renewer).Renew(t.Context(), "one"); err != nil || len(cluster.renewed) != 2 {
		t.Errorf("renewed by a survey: %v %v", cluster.renewed, err)
	}
	cluster.away = true
	if err := apply(local); fault.Of(err) != fault.Transient || host.live["one"].Key != "a" {
		t.Errorf("what cannot be ended is not told: %v", err)
	}
	if err := apply(port.Release{Name: "one"}); fault.Of(err) != fault.Transient {
		t.Errorf("what cannot be retired is not told: %v", err)
	}
	cluster.away = false
	if err := apply(port.Release{Name: "one"}); err != nil || len(cluster.live)+len(host.live) > 0 {
		t.Errorf("%v: left are %v and %v", err, cluster.live, host.live)
	}
	// What is this machine's is ended though a cluster is away.
	if err := apply(local); err != nil {
		t.Fatal(err)
	}
	cluster.away = true
	if err := apply(port.Release{Name: "one"}); err != nil {
		t.Errorf("a cluster that has nothing of it is in the way: %v", err)
	}
	// And what is known nowhere is asked for everywhere.
	if err := apply(port.Release{Name: "two"}); fault.Of(err) != fault.Transient {
		t.Errorf("it was not asked for: %v", err)
	}
}

// TestTwoThatServeOneNameAreToldInOneOrder: what is observed does not change from one look to the next.
func TestTwoThatServeOneNameAreToldInOneOrder(t *testing.T) {
	for range 50 {
		others := map[string]port.Server{}
		for _, target := range []string{"c", "a", "d", "b"} {
			others[target] = &shelf{live: map[string]port.Live{"one": {Key: digest.Digest(target)}}}
		}
		if l, err := Served(&shelf{live: map[string]port.Live{"one": {Key: "host"}}}, others, nil).Observe(t.Context(), "one"); err != nil || l.Key != "a" {
			t.Fatalf("%v, %v", l, err)
		}
	}
}

// splitter is a shelf that can try a release beside another.
type splitter struct{ shelf }

func (s *splitter) Splits(string) bool { return true }

func (s *splitter) Split(_ context.Context, r port.Release, part port.Part) (port.Live, error) {
	l := s.live[r.Name]
	l.Beside = &port.Trial{Key: r.Key, Weight: part.Weight}
	s.live[r.Name] = l
	return l, nil
}

func (s *splitter) Join(_ context.Context, name string, of port.Trial, promote bool) (port.Live, error) {
	l := s.live[name]
	if l.Beside = nil; promote {
		l.Key = of.Key
	}
	s.live[name] = l
	return l, nil
}

func TestAReleaseIsTriedByTheServerOfItsTarget(t *testing.T) {
	host, cluster := &splitter{shelf{live: map[string]port.Live{"one": {Key: "a"}}}}, &shelf{live: map[string]port.Live{}}
	s := Served(host, map[string]port.Server{port.TargetKubernetes: cluster}, nil).(port.Splitter)
	if l, err := s.Split(t.Context(), port.Release{Name: "one", Key: "b", Local: &port.LocalRelease{}}, port.Part{Weight: 5}); err != nil || l.Beside == nil || l.Beside.Weight != 5 {
		t.Fatalf("%+v, %v", l, err)
	}
	if _, err := s.Split(t.Context(), port.Release{Name: "one", Key: "b", Kubernetes: &port.KubernetesRelease{}}, port.Part{Weight: 5}); fault.Of(err) != fault.Invalid {
		t.Fatalf("a target that serves one release at a time: %v", err)
	}
	if l, err := s.Join(t.Context(), "one", port.Trial{Key: "b"}, true); err != nil || l.Key != "b" || host.live["one"].Beside != nil {
		t.Fatalf("%+v, %v", l, err)
	}
	if _, err := s.Join(t.Context(), "other", port.Trial{Key: "b"}, true); fault.Of(err) != fault.Missing {
		t.Fatalf("beside nothing: %v", err)
	}
}
