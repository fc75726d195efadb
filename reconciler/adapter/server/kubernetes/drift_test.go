// What is done to objects of ours by hand is found, told and undone; what is not ours is left alone.

package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// spec is a field of an object below its spec, to be changed.
func spec(o map[string]any, path ...any) map[string]any {
	at := any(o["spec"])
	for _, p := range path {
		switch p := p.(type) {
		case string:
			at = at.(map[string]any)[p]
		case int:
			at = at.([]any)[p]
		}
	}
	return at.(map[string]any)
}

// unit is the name of the Deployment that serves name.
func (s *stage) unit(name string) string {
	s.t.Helper()
	rec, err := s.server.(*server).readRecord(name)
	if err != nil || rec.Served == nil {
		s.t.Fatalf("nothing is recorded of %s: %v", name, err)
	}
	return rec.Served.Unit
}

// everything is a release with all that can be declared of the way to it.
func (s *stage) everything(version string) port.Release {
	r := s.release("one", version)
	t := r.Kubernetes
	t.Replicas, t.MinAvailable, t.Resources.CPU = 1, "50%", "100m"
	t.Autoscale = &schemas.Autoscale{Max: 3}
	t.Ingress = &schemas.Ingress{Host: "one.example.com", TLSSecret: "one-tls"}
	t.Route = &schemas.Route{Gateway: "public", Host: "one.example.com"}
	return r
}

func TestWhatIsDoneByHandIsFoundAndUndone(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	l := s.apply(r)
	unit := s.unit("one")
	container := func(o map[string]any) map[string]any { return spec(o, "template", "spec", "containers", 0) }
	for name, c := range map[string]struct {
		do   func()
		says string
	}{
		"kubectl scale": {func() {
			s.double.Edit("deployments", unit, "kubectl", "scale", func(o map[string]any) { spec(o)["replicas"] = 3 })
		}, "Deployment " + unit + ": spec.replicas is 3, and not 1"},
		"kubectl scale to nothing": {func() {
			s.double.Edit("deployments", unit, "kubectl", "scale", func(o map[string]any) { spec(o)["replicas"] = 0 })
		}, "spec.replicas is 0, and not 1"},
		"kubectl set image": {func() {
			s.double.Edit("deployments", unit, "kubectl-set", "", func(o map[string]any) { container(o)["image"] = worker })
		}, "image is another"},
		"kubectl set env": {func() {
			s.double.Edit("deployments", unit, "kubectl-set", "", func(o map[string]any) {
				k := container(o)
				k["env"] = append(k["env"].([]any), map[string]any{"name": "LD_PRELOAD", "value": "hunter2"})
			})
		}, "was set by kubectl-set"},
		"a container beside it": {func() {
			s.double.Edit("deployments", unit, "kubectl-edit", "", func(o map[string]any) {
				p := spec(o, "template", "spec")
				p["containers"] = append(p["containers"].([]any), map[string]any{"name": "spy", "image": worker, "command": []any{"serve", "x"}})
			})
		}, "was set by kubectl-edit"},
		"a selector of somebody's": {func() {
			s.double.Edit("services", "one", "kubectl-edit", "", func(o map[string]any) { spec(o)["selector"] = map[string]any{"app": "theirs"} })
		}, "Service one: spec.selector"},
		"a note of ours": {func() {
			s.double.Edit("services", "one", "kubectl-annotate", "", func(o map[string]any) {
				o["metadata"].(map[string]any)["annotations"].(map[string]any)[noteKey] = "sha256:0"
			})
		}, "vishwa.dev/key is another"},
		"kubectl delete service":    {func() { s.double.Delete("services", "one") }, "somebody deleted Service one"},
		"kubectl delete deployment": {func() { s.double.Delete("deployments", unit) }, "somebody deleted Deployment " + unit},
	} {
		c.do()
		now := s.observe("one")
		if now.Health != port.Failing || now.Key != r.Key || !strings.Contains(now.Message, c.says) || strings.Contains(now.Message, "hunter2") {
			t.Errorf("%s: observed %s %q, want %q", name, now.Health, now.Message, c.says)
		}
		if _, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key); err != nil {
			t.Fatalf("%s: Revive: %v", name, err)
		}
		s.until(name+" is undone", func() bool { l := s.observe("one"); return l.Health == port.Ready && l.Message == "" })
		if got := s.ask(l, "/"); got != "1" {
			t.Errorf("%s: %s answers", name, got)
		}
		if raw := s.double.Objects("deployments")[unit]; strings.Contains(raw, "hunter2") || strings.Contains(raw, "spy") {
			t.Errorf("%s: it stays: %s", name, raw)
		}
	}
}

// What others set beside our fields, and what scales, is no drift.
func TestWhatIsOthersToSetIsNoDrift(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.everything("1")
	l := s.apply(r)
	if l.URL != "http://one.example.com" || l.Health != port.Ready {
		t.Fatalf("applied %+v", l)
	}
	unit := s.unit("one")
	s.double.Edit("deployments", unit, "kube-controller-manager", "scale", func(o map[string]any) { spec(o)["replicas"] = 2 })
	s.double.Edit("services", "one", "external-dns", "", func(o map[string]any) {
		o["metadata"].(map[string]any)["annotations"].(map[string]any)["external-dns/owner"] = "them"
	})
	s.until("two pods serve", func() bool { return len(s.double.Pods(labelUnit, unit)) == 2 && s.observe("one").Message == "" })
	if now := s.observe("one"); now.Health != port.Ready {
		t.Fatalf("observed %+v", now)
	}
	// The next release begins with as many pods as there are.
	s.apply(s.everything("2"))
	next := s.unit("one")
	if n := len(s.double.Pods(labelUnit, next)); n != 2 || next == unit {
		t.Errorf("%s has %d pods after %s had 2", next, n, unit)
	}
	if !strings.Contains(s.double.Objects("services")["one"], "external-dns/owner") {
		t.Error("a note of somebody else was taken away")
	}
	s.until("the old ones are gone", func() bool { return len(s.double.Objects("deployments")) == 1 })
	if n := len(s.double.Objects("horizontalpodautoscalers")); n != 1 {
		t.Errorf("%d autoscalers", n)
	}
	s.apply(port.Release{Name: "one"})
	s.until("nothing is left", func() bool {
		for _, resource := range []string{"deployments", "services", "secrets", "pods", "horizontalpodautoscalers", "poddisruptionbudgets", "ingresses", "httproutes"} {
			if len(s.double.Objects(resource)) > 0 {
				return false
			}
		}
		return true
	})
}

func TestANamesakeIsRefusedUntilItIsToBeTakenOver(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	theirs := map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "one", "labels": map[string]any{"team": "b"}},
		"spec": map[string]any{"selector": map[string]any{"app": "theirs"}, "ports": []any{map[string]any{"port": 80.0, "protocol": "TCP"}}}}
	s.double.Put("services", theirs)
	before := s.double.Objects("services")["one"]
	r := s.release("one", "1")
	s.refused(r, fault.Conflict, "Service one of namespace team-a already exists, and is not Vishwa's", "adopt: true")
	if s.double.Objects("services")["one"] != before || len(s.double.Objects("deployments")) > 0 {
		t.Fatal("something was changed")
	}
	s.apply(port.Release{Name: "one"})
	if s.double.Objects("services")["one"] != before {
		t.Fatal("retiring what we never served took a Service of somebody else")
	}
	r.Kubernetes.Adopt = true
	if got := s.ask(s.apply(r), "/"); got != "1" {
		t.Errorf("%s answers", got)
	}
	if now := s.double.Objects("services")["one"]; strings.Contains(now, `"app"`) || !strings.Contains(now, `"team":"b"`) {
		t.Errorf("taken over, it is %s", now)
	}
	if l := s.observe("one"); l.Health != port.Ready || l.Message != "" {
		t.Errorf("observed %+v", l)
	}
	// Another installation has other objects.
	other := newStage(t, s.double.Kubeconfig(), s.at)
	other.o.Seal = other.o.Seal.Derive("another")
	other.server, other.words, other.image, other.worker = New(other.o), s.words, s.image, s.worker
	other.refused(other.release("one", "2"), fault.Conflict, "of another Vishwa", "retire it there")
}

// dies has the double abort the n-th change that s asks for; the process that asked is no more then. It tells how many there were.
func (s *stage) dies(n int, r port.Release) (changes int, err error) {
	ctx, die := context.WithCancel(context.Background())
	defer die()
	s.double.After(func(r *http.Request) {
		if r.Method == http.MethodGet || r.URL.Query().Get("dryRun") != "" {
			return
		}
		if changes++; changes == n {
			die()
			panic(http.ErrAbortHandler)
		}
	})
	_, err = s.server.Apply(ctx, r)
	s.double.After(func(*http.Request) {})
	s.server = New(s.o) // another process
	return changes, err
}

// Whatever request a controller dies at, what serves goes on, and the next one goes on from there.
func TestACrashAtAnyRequestIsGoneOnWith(t *testing.T) {
	t.Parallel()
	for _, retires := range []bool{false, true} {
		bed := func(t *testing.T) (s *stage, old, next port.Release, l port.Live) {
			s = onDouble(t)
			old, next = s.release("one", "1"), port.Release{Name: "one"}
			if !retires {
				next = s.release("one", "2")
			}
			return s, old, next, s.apply(old)
		}
		s, _, next, _ := bed(t)
		changes, err := s.dies(0, next)
		if err != nil || changes < 2 {
			t.Fatalf("it makes %d changes: %v", changes, err)
		}
		for n := 1; n <= changes; n++ {
			t.Run(fmt.Sprintf("retires=%v at %d", retires, n), func(t *testing.T) {
				t.Parallel()
				s, old, next, l := bed(t)
				if _, err := s.dies(n, next); err == nil {
					t.Fatal("it did not die")
				}
				if retires {
					s.apply(next)
					s.until("none is left", func() bool {
						return len(s.double.Objects("deployments"))+len(s.double.Objects("services"))+len(s.double.Objects("secrets")) == 0
					})
					return
				}
				if now := s.observe("one"); now.Key != old.Key && now.Key != next.Key {
					t.Fatalf("observed %+v", now)
				}
				if got := s.ask(l, "/"); got != "1" && got != "2" {
					t.Fatalf("%s answers", got)
				}
				if got := s.ask(s.apply(next), "/"); got != "2" {
					t.Fatalf("then %s answers", got)
				}
				if now := s.observe("one"); now.Key != next.Key || now.Health != port.Ready || now.Message != "" {
					t.Fatalf("then %+v", now)
				}
				s.until("one is left", func() bool { return len(s.double.Objects("deployments")) == 1 && len(s.double.Objects("secrets")) == 1 })
			})
		}
	}
}

// A change of how many pods there are, or of the way to them, begins no pod anew.
func TestAChangeAroundThePodsBeginsNoneAnew(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	first := s.apply(r)
	unit := s.unit("one")
	pod := s.double.Pods(labelUnit, unit)[0]
	r.Key, r.Kubernetes.Replicas, r.Kubernetes.MinAvailable = digest.Of([]byte("two of it")), 2, "1"
	r.Kubernetes.Ingress = &schemas.Ingress{Host: "one.example.com"}
	l := s.apply(r)
	if l.Key != r.Key || !l.Since.Equal(first.Since) || s.unit("one") != unit || len(s.double.Pods(labelUnit, unit)) != 2 || !slices.Contains(s.double.Pods(labelUnit, unit), pod) {
		t.Errorf("applied %+v: pods %v", l, s.double.Pods(labelUnit, unit))
	}
	// And what is no longer declared is taken away.
	r.Key, r.Kubernetes.Ingress, r.Kubernetes.MinAvailable = digest.Of([]byte("without a way in")), nil, ""
	s.apply(r)
	if n := len(s.double.Objects("ingresses")) + len(s.double.Objects("poddisruptionbudgets")); n > 0 {
		t.Errorf("%d objects are left of what is not declared", n)
	}
}
