// What people rely on when a deployment has a Server of Seldon's of its own, on a stand-in that says what Core 2 says.

package kubernetes

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// hosts is a release that a Server of its own loads.
func (s *stage) hosts(name, version string, how ...string) port.Release {
	s.t.Helper()
	r := s.loads(name, version, how...)
	r.Seldon.OwnServer = &schemas.SeldonServer{Config: "mlserver"}
	return r
}

// another is one whose Server is another with each version.
func (s *stage) another(name, version string, how ...string) port.Release {
	s.t.Helper()
	r := s.hosts(name, version, how...)
	r.Seldon.OwnServer.ExtraCapabilities = []string{"v" + version}
	return r
}

func withServers(o *kubetest.Options) {
	o.ServerConfigs = map[string][]string{"mlserver": {"json", "sklearn"}, "triton": {"onnx"}}
}

func onServers(t *testing.T, options ...func(*kubetest.Options)) *stage {
	return onSeldon(t, append(options, withServers)...)
}

// servers are the names of those that there are.
func (s *stage) servers() (names []string) {
	for name := range s.double.Objects("servers") {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ofServer is a part of the one Server that there is.
func (s *stage) ofServer(at string) string {
	s.t.Helper()
	all := s.servers()
	if len(all) != 1 {
		s.t.Fatalf("there are Servers %v", all)
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s.double.Objects("servers")[all[0]]), &o); err != nil {
		s.t.Fatal(err)
	}
	return string(o[at])
}

func TestAnOwnServerKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s := onServers(t)
		return s.serving(s.hosts)
	})
}

func TestAnOwnServerThatChangesKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s := onServers(t)
		return s.serving(s.another)
	})
}

func TestModelsOfAnOwnServerAreTriedByTheWeightsOfTheirExperiment(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]func(*stage) func(string, string, ...string) port.Release{
		"the same Server": func(s *stage) func(string, string, ...string) port.Release { return s.hosts },
		"another":         func(s *stage) func(string, string, ...string) port.Release { return s.another },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			porttest.Splitter(t, func(t *testing.T) porttest.Splitting {
				s := onServers(t)
				return s.splitting(by(s), s.byMesh, func() int {
					for range 100 { // the Server unloads what is deleted
						if len(s.double.Objects("models")) == 1 {
							break
						}
						<-time.After(10 * time.Millisecond)
					}
					return max(len(s.double.Objects("models")), len(s.laid("one")), len(s.servers()))
				})
			})
		})
	}
}

// A release of its own model is loaded by the Server that there is; one whose Server is declared otherwise has another next to it first.
func TestAnOwnServerStaysFromReleaseToReleaseAndGoesAfterTheLastModel(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	l := s.apply(s.hosts("one", "1"))
	first := s.servers()
	s.apply(s.hosts("one", "2"))
	if now := s.servers(); !slices.Equal(now, first) || len(now) != 1 || s.ask(l, "/infer") != "2" {
		t.Errorf("Servers were %v, and are %v", first, now)
	}
	other := s.hosts("one", "2")
	other.Seldon.OwnServer = &schemas.SeldonServer{Config: "mlserver", Replicas: 2, Image: image, Resources: schemas.PodResources{Memory: "2Gi"}}
	s.apply(other)
	if now := s.servers(); slices.Equal(now, first) || len(now) != 1 || s.ask(l, "/infer") != "2" {
		t.Errorf("Servers were %v, and are %v", first, now)
	}
	if spec := s.ofServer("spec"); !strings.Contains(spec, `"replicas":2`) || !strings.Contains(spec, `"name":"mlserver"`) || !strings.Contains(spec, image) || !strings.Contains(spec, `"memory":"2Gi"`) {
		t.Errorf("it is %s", spec)
	}
	s.apply(port.Release{Name: "one"})
	if all := s.servers(); len(all)+len(s.double.Objects("models")) != 0 {
		t.Errorf("there are Servers %v and Models %v", all, s.double.Objects("models"))
	}
	// Without it, the Model is loaded by whichever server fits.
	s.apply(s.hosts("one", "1"))
	s.apply(s.loads("one", "1"))
	if all := s.servers(); len(all) != 0 || s.ask(l, "/infer") != "1" {
		t.Errorf("there are Servers %v", all)
	}
}

func TestAnOwnServerThatDoesNotBeginSaysWhyAndTheOldGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server     schemas.SeldonServer
		how        func(s *stage, r *port.Release)
		words, way string
	}{
		"a ServerConfig that is not there": {schemas.SeldonServer{Config: "mine"}, nil, `FailedReconcile ServerConfig.mlops.seldon.io "mine" not found`, "kubectl describe servers.mlops.seldon.io"},
		"an image that cannot be pulled":   {schemas.SeldonServer{Config: "mlserver", Image: noSuch}, nil, "is not ready: WaitingForReplicas", "kubectl describe pods -l seldon-server-name"},
		"it does not offer what is asked":  {schemas.SeldonServer{Config: "triton"}, nil, "ScheduleFailed Failed to schedule model as no matching servers are available; of Servers, it has one-", "spec.target.seldon.requirements"},
		"a model that it does not load": {schemas.SeldonServer{Config: "mlserver", Replicas: 2}, func(s *stage, r *port.Release) {
			r.Model = s.hosts("one", "2", "exit").Model
			r.Signature = s.hosts("one", "2", "exit").Signature
		}, "ValueError: no such column", ""},
		"a controller that sleeps": {schemas.SeldonServer{Config: "mlserver", Replicas: 3}, func(s *stage, _ *port.Release) { s.t.Cleanup(s.double.Halt("servers")) }, "Seldon has not taken notice of its Server", "scheduler"},
		"a rule of the cluster against them": {schemas.SeldonServer{Config: "mlserver", Replicas: 4}, func(s *stage, _ *port.Release) {
			s.double.Rule(func(resource string, o map[string]any) string {
				if raw, _ := json.Marshal(o); resource == "servers" && strings.Contains(string(raw), `"replicas":4`) {
					return `admission webhook "policy.example.com" denied the request: no`
				}
				return ""
			})
		}, "a rule of the cluster refuses it", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onServers(t)
			old := s.hosts("one", "1")
			l := s.apply(old)
			first := s.servers()
			r := s.hosts("one", "2")
			r.Seldon.OwnServer, r.Timeout = &c.server, 3*time.Second
			if c.how != nil {
				c.how(s, &r)
			}
			s.refused(r, fault.Invalid, c.words, c.way)
			if now := s.servers(); !slices.Equal(now, first) || s.ask(l, "/infer") != "1" {
				t.Errorf("Servers were %v, and are %v", first, now)
			}
			if n := len(s.double.Objects("models")); n != 1 {
				t.Errorf("%d Models are left", n)
			}
		})
	}
}

func TestWhatIsDoneToAnOwnServerByHandIsUndone(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	r := s.hosts("one", "1")
	l := s.apply(r)
	name := s.servers()[0]
	for what, c := range map[string]struct {
		do   func()
		says string
	}{
		"fewer pods": {func() {
			s.double.Edit("servers", name, "kubectl-edit", "", func(o map[string]any) { spec(o)["replicas"] = 0.0 })
		}, "Server " + name + ": spec.replicas is 0, and not 1"},
		"another image": {func() {
			s.double.Edit("servers", name, "kubectl-edit", "", func(o map[string]any) {
				spec(o)["podSpec"] = map[string]any{"containers": []any{map[string]any{"name": "mlserver", "image": image}}}
			})
		}, "Server " + name},
		"kubectl delete": {func() { s.double.Delete("servers", name) }, "somebody deleted Server " + name},
	} {
		c.do()
		if now := s.observe("one"); now.Health != port.Failing || !strings.Contains(now.Message, c.says) {
			t.Errorf("%s: observed %s %q, want %q", what, now.Health, now.Message, c.says)
		}
		if _, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key); err != nil {
			t.Fatalf("%s: Revive: %v (%s)", what, err, fault.HintOf(err))
		}
		s.until(what+" is undone", func() bool { l := s.observe("one"); return l.Health == port.Ready && l.Message == "" })
		if got := s.ask(l, "/infer"); got != "1" {
			t.Errorf("%s: %s answers", what, got)
		}
	}
}

// Where Seldon is to scale it, how many pods there are is for Seldon to say, and no change by hand.
func TestAnOwnServerThatSeldonScalesIsLeftAsItScalesIt(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	scaled := func(version string) port.Release {
		r := s.hosts("one", version)
		r.Seldon.OwnServer = &schemas.SeldonServer{Config: "mlserver", MaxReplicas: 4}
		return r
	}
	s.apply(scaled("1"))
	if spec := s.ofServer("spec"); !strings.Contains(spec, `"maxReplicas":4`) || !strings.Contains(spec, `"minReplicas":1`) || strings.Contains(spec, `"replicas"`) {
		t.Fatalf("it is %s", spec)
	}
	s.double.Edit("servers", s.servers()[0], "manager", "", func(o map[string]any) { spec(o)["replicas"] = 3.0 })
	if now := s.observe("one"); now.Health != port.Ready || now.Message != "" {
		t.Errorf("observed %s %q", now.Health, now.Message)
	}
	s.apply(scaled("2"))
	if spec := s.ofServer("spec"); !strings.Contains(spec, `"replicas":3`) {
		t.Errorf("it is %s", spec)
	}
	// What somebody sets besides is undone, and the number of pods is left.
	s.double.Edit("servers", s.servers()[0], "kubectl-edit", "", func(o map[string]any) { spec(o)["disableAutoUpdate"] = true })
	if now := s.observe("one"); !strings.Contains(now.Message, "spec.disableAutoUpdate was set by kubectl-edit") {
		t.Errorf("observed %s %q", now.Health, now.Message)
	}
	s.apply(scaled("2"))
	if spec := s.ofServer("spec"); !strings.Contains(spec, `"replicas":3`) || strings.Contains(spec, "disableAutoUpdate") {
		t.Errorf("it is %s", spec)
	}
}

// What a Server says counts where a Model goes on saying what it said.
func TestAnOwnServerThatServesNothingIsNoHealthyOne(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	s.apply(s.hosts("one", "1"))
	end := s.double.Halt("seldon")
	defer end()
	name := s.servers()[0]
	at := func(field string, v any) {
		var o map[string]any
		if err := json.Unmarshal([]byte(s.double.Objects("servers")[name]), &o); err != nil {
			t.Fatal(err)
		}
		o["status"].(map[string]any)[field] = v
		s.double.Put("servers", o)
	}
	for what, c := range map[string]struct {
		field string
		v     any
		says  string
	}{
		"it has lost its models": {"loadedModels", 0.0, "its Server " + name + " says that it has loaded no model"},
		"it has no pods":         {"replicas", 0.0, "its Server " + name + " has no pods"},
	} {
		at(c.field, c.v)
		if now := s.observe("one"); now.Health == port.Ready || !strings.Contains(now.Message, c.says) {
			t.Errorf("%s: observed %s %q", what, now.Health, now.Message)
		}
		at(c.field, 1.0)
	}
	if now := s.observe("one"); now.Health != port.Ready {
		t.Errorf("observed %s %q", now.Health, now.Message)
	}
}

// While a release is tried on another Server, what is done to either Server is told of that release alone, and is undone or given up with it.
func TestWhatIsDoneToServersDuringATrialIsToldOfTheirRelease(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	two := s.another("one", "2")
	s.apply(s.another("one", "1"))
	served := s.servers()[0]
	s.split(two, 30)
	tried := slices.DeleteFunc(s.servers(), func(name string) bool { return name == served })[0]
	end := s.double.Outage()
	if l := s.observe("one"); l.Health != port.Failing || l.Beside != nil {
		t.Errorf("while the cluster is away: %+v, %+v", l, l.Beside)
	}
	end()
	s.until("the cluster is back", func() bool {
		l := s.observe("one")
		return l.Health == port.Ready && l.Beside != nil && l.Beside.Health == port.Ready && l.Beside.Weight == 30
	})
	s.double.Edit("servers", served, "kubectl-edit", "", func(o map[string]any) { spec(o)["replicas"] = 5.0 })
	l := s.observe("one")
	if l.Health != port.Down || !strings.Contains(l.Message, "Server "+served+": spec.replicas is 5") || l.Beside == nil || l.Beside.Health != port.Ready {
		t.Errorf("the Server of what serves was changed: %+v, %+v", l, l.Beside)
	}
	if l, err := s.server.(port.Reviver).Revive(t.Context(), "one", l.Key); err != nil || l.Health != port.Ready || l.Beside == nil || l.Beside.Weight != 30 {
		t.Errorf("brought back: %+v, %v", l, err)
	}
	// One that is loaded by the Server of what is tried, and fails, leaves that there.
	three := s.another("one", "3", "exit")
	three.Seldon.OwnServer = two.Seldon.OwnServer
	s.refused(three, fault.Invalid, "no such column", "")
	if all := s.servers(); !slices.Contains(all, served) || !slices.Contains(all, tried) {
		t.Errorf("of %s and %s there are %v", served, tried, all)
	}
	s.double.Delete("servers", tried)
	s.until("what is tried is told as failing", func() bool {
		l := s.observe("one")
		return l.Health == port.Ready && l.Beside != nil && l.Beside.Health == port.Failing && strings.Contains(l.Beside.Message, "somebody deleted Server "+tried)
	})
	s.double.Put("servers", map[string]any{"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Server", "metadata": map[string]any{"name": tried}, "spec": map[string]any{"serverConfig": "mlserver"}})
	if _, err := s.server.(port.Splitter).Join(t.Context(), "one", port.Trial{Key: two.Key}, false); err != nil {
		t.Fatal(err)
	}
	if got := s.byMesh(20); got["1"] != 20 {
		t.Errorf("back: %v", got)
	}
	s.until("its Server has unloaded what was tried", func() bool { return len(s.double.Objects("models")) == 1 })
	if raw := s.double.Objects("servers")[tried]; raw == "" {
		t.Error("somebody else's Server was taken away")
	}
}
