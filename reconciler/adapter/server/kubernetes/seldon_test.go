// What people rely on when Seldon serves, on a stand-in of its scheduler that says what Core 2 says.

package kubernetes

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// loads is a release of the target seldon.
func (s *stage) loads(name, version string, how ...string) port.Release {
	s.t.Helper()
	r := s.release(name, version, how...)
	r.Kubernetes, r.Ready = nil, "/ready"
	r.Seldon = &port.SeldonRelease{SeldonTarget: schemas.SeldonTarget{Cluster: "prod", Requirements: []string{"json"}}}
	return r
}

// said is what the model says that a server of Seldon reads there.
func (s *stage) said(uri string) []string {
	if s == nil {
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, "store", strings.TrimPrefix(uri, "s3://tests/vishwa/"), "model.json"))
	if words := strings.Fields(string(raw)); err == nil && len(words) > 2 {
		return words[2:]
	}
	return nil
}

// laid are the files that servers of Seldon are given to read for name.
func (s *stage) laid(name string) []string {
	s.t.Helper()
	all, err := filepath.Glob(filepath.Join(s.dir, "store", "serving", "*", name, "*", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// load is a server of Seldon that loads what is there.
func (s *stage) load(uri string, requirements []string) (state, why string) {
	said := s.said(uri)
	switch {
	case len(requirements) != 1 || requirements[0] != "json":
		return "ScheduleFailed", "Failed to schedule model as no matching server had enough suitable replicas"
	case said == nil:
		return "ModelFailed", "Failed to download model: directory not found"
	case strings.Join(said[1:], " ") == "exit":
		return "ModelFailed", "rpc error: code = InvalidArgument desc = ValueError: no such column"
	case strings.Join(said[1:], " ") == "never":
		return "ModelProgressing", ""
	}
	return "ModelAvailable", ""
}

// mesh answers as Seldon's does to who asks by the header Seldon-Model: NAME.experiment.
type mesh struct{ *stage }

func (m mesh) RoundTrip(r *http.Request) (*http.Response, error) {
	parts := strings.Split(r.URL.Path, "/") // /v2/models/NAME/...
	if len(parts) < 4 || !strings.HasPrefix(r.URL.Host, "seldon-mesh.") {
		return nil, fmt.Errorf("nobody is at %s", r.URL)
	}
	uri, ok := m.double.Routed(parts[3], int(m.asked.Add(1)-1)*37)
	if !ok {
		return nil, fmt.Errorf("no experiment %s", parts[3])
	}
	said := m.said(uri)
	if said == nil {
		return nil, fmt.Errorf("what %s reads is gone", parts[3])
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(strings.NewReader(said[0]))}, nil
}

func onSeldon(t *testing.T, options ...func(*kubetest.Options)) *stage {
	s := onDouble(t, options...)
	s.client = &http.Client{Transport: mesh{s}}
	return s
}

func TestSeldonKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s := onSeldon(t)
		return s.serving(s.loads)
	})
}

func TestWhatSeldonServesIsTrustedAndTakenAwayWithIt(t *testing.T) {
	t.Parallel()
	s := onSeldon(t)
	l := s.apply(s.loads("one", "1"))
	if l.Bytes != port.BytesTrusted || s.observe("one").Bytes != port.BytesTrusted || l.URL != "http://seldon-mesh."+kubetest.Namespace+".svc/v2/models/one" {
		t.Errorf("applied %+v", l)
	}
	laid := func() []string { return s.laid("one") }
	s.apply(s.loads("one", "2"))
	if all := laid(); len(all) != 1 || s.ask(l, "/infer") != "2" {
		t.Errorf("there are %v", all)
	}
	// Bytes that are not what they are named, or that nobody signed, come nowhere near it.
	r := s.loads("one", "3")
	s.corrupt(r.Model.Files[0].Digest, "weights of another")
	if _, err := s.server.Apply(t.Context(), r); err == nil || fault.Of(err) != fault.Corrupt {
		t.Errorf("other bytes were served: %v", err)
	}
	r = s.loads("one", "4")
	r.Signature = ""
	s.refused(r, fault.Invalid, "has no signature", "release the model again")
	s.apply(port.Release{Name: "one"})
	if all := laid(); len(all) != 0 || len(s.double.Objects("models"))+len(s.double.Objects("experiments")) != 0 {
		t.Errorf("there are %v", all)
	}
}

func TestSeldonSaysWhyAndTheOldGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		how        func(s *stage, r *port.Release)
		kind       fault.Kind
		words, way string
	}{
		"a model that does not load":       {func(s *stage, r *port.Release) { *r = s.loads("one", "2", "exit") }, fault.Invalid, "Seldon does not load it: ModelFailed rpc error: code = InvalidArgument desc = ValueError: no such column", "kubectl get servers"},
		"no server that has what it needs": {func(_ *stage, r *port.Release) { r.Seldon.Requirements = []string{"cuda"} }, fault.Invalid, "ScheduleFailed Failed to schedule model", "spec.target.seldon.requirements"},
		"a scheduler that sleeps": {func(s *stage, r *port.Release) {
			s.t.Cleanup(s.double.Halt("seldon"))
			r.Timeout = time.Second
		}, fault.Invalid, "Seldon has not taken notice of it yet", "scheduler"},
		"no requirements": {func(_ *stage, r *port.Release) { r.Seldon.Requirements = nil }, fault.Invalid, "which server can load it", "requirements"},
		"a rule of the cluster": {func(s *stage, _ *port.Release) {
			s.double.Rule(func(resource string, _ map[string]any) string {
				if resource == "models" {
					return `admission webhook "policy.example.com" denied the request: no`
				}
				return ""
			})
		}, fault.Invalid, "a rule of the cluster refuses it", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onSeldon(t)
			old := s.loads("one", "1")
			l := s.apply(old)
			r := s.loads("one", "2")
			c.how(s, &r)
			s.refused(r, c.kind, c.words, c.way)
			s.double.Rule(func(string, map[string]any) string { return "" })
			if now := s.observe("one"); now.Key != old.Key || now.Health != port.Ready || now.Message != "" {
				t.Errorf("observed %+v", now)
			}
			if got := s.ask(l, "/infer"); got != "1" {
				t.Errorf("%s answers", got)
			}
			if n := len(s.double.Objects("models")); n != 1 {
				t.Errorf("%d Models are left", n)
			}
		})
	}
}

func TestSeldonNeedsItsKindsAndTouchesNothingOfOthers(t *testing.T) {
	t.Parallel()
	s := onSeldon(t, func(o *kubetest.Options) { o.Lacks = []string{"models", "experiments"} })
	s.refused(s.loads("one", "1"), fault.Invalid, "has no models.mlops.seldon.io", "of version v1alpha1")
	s = onSeldon(t)
	s.double.Put("experiments", map[string]any{"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Experiment", "metadata": map[string]any{"name": "one"},
		"spec": map[string]any{"candidates": []any{map[string]any{"name": "theirs", "weight": 100}}}})
	s.refused(s.loads("one", "1"), fault.Conflict, "Experiment one of namespace "+kubetest.Namespace+" already exists, and is not Vishwa's", "spec.target.seldon.adopt: true")
	if raw := s.double.Objects("experiments")["one"]; !strings.Contains(raw, "theirs") || len(s.double.Objects("models")) != 0 {
		t.Errorf("it is %s", raw)
	}
}

func TestWhatIsDoneToSeldonsObjectsByHandIsUndone(t *testing.T) {
	t.Parallel()
	s := onSeldon(t)
	r := s.loads("one", "1")
	l := s.apply(r)
	unit := s.unit("one")
	for name, c := range map[string]struct {
		do   func()
		says string
	}{
		"other bytes": {func() {
			s.double.Edit("models", unit, "kubectl-edit", "", func(o map[string]any) { spec(o)["storageUri"] = "s3://theirs/hunter2" })
		}, "Model " + unit + ": spec.storageUri"},
		"requests that go elsewhere": {func() {
			s.double.Edit("experiments", "one", "kubectl-edit", "", func(o map[string]any) {
				spec(o)["candidates"] = []any{map[string]any{"name": "theirs", "weight": 100}}
			})
		}, "Experiment one: spec.candidates"},
		"kubectl delete": {func() { s.double.Delete("models", unit) }, "somebody deleted Model " + unit},
	} {
		c.do()
		now := s.observe("one")
		if now.Health != port.Failing || now.Key != r.Key || !strings.Contains(now.Message, c.says) || strings.Contains(now.Message, "hunter2") {
			t.Errorf("%s: observed %s %q, want %q", name, now.Health, now.Message, c.says)
		}
		if _, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key); err != nil {
			t.Fatalf("%s: Revive: %v (%s)", name, err, fault.HintOf(err))
		}
		s.until(name+" is undone", func() bool { l := s.observe("one"); return l.Health == port.Ready && l.Message == "" })
		if got := s.ask(l, "/infer"); got != "1" {
			t.Errorf("%s: %s answers", name, got)
		}
	}
}

// What is lost or changed in the folder that Seldon reads is written again, by the same release and by who looks after it.
func TestWhatSeldonReadsIsWrittenAgain(t *testing.T) {
	t.Parallel()
	s := onSeldon(t)
	r := s.loads("one", "1")
	l := s.apply(r)
	file := s.laid("one")[0]
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, again := range map[string]func() error{
		"apply":  func() error { _, err := s.server.Apply(t.Context(), r); return err },
		"revive": func() error { _, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key); return err },
	} {
		for what, do := range map[string]func() error{
			"lost":    func() error { return os.Remove(file) },
			"changed": func() error { return os.WriteFile(file, []byte(strings.Replace(string(want), "1", "9", 1)), 0o600) },
			"added": func() error {
				return os.WriteFile(filepath.Join(filepath.Dir(file), "model-settings.json"), []byte("{}"), 0o600)
			},
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
			if err := again(); err != nil {
				t.Fatalf("%s, then %s: %v (%s)", what, name, err, fault.HintOf(err))
			}
			if now, err := os.ReadFile(file); err != nil || string(now) != string(want) || len(s.laid("one")) != 1 || s.ask(l, "/infer") != "1" {
				t.Errorf("%s, then %s: %q, and there are %v", what, name, now, s.laid("one"))
			}
		}
	}
}

// A model's path that leads out of its folder is written nowhere: beside it are all objects of the store.
func TestWhatSeldonReadsIsWrittenBelowItsFolderAlone(t *testing.T) {
	t.Parallel()
	s := onSeldon(t)
	d, n := s.put("weights")
	shelf, err := s.o.Shelf()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../../../sha256/00/00", "/etc/passwd", "a/../../b", ".", ""} {
		if err := served.LayFile(t.Context(), s.o.Store, shelf, s.o.Dir, "serving/s/one/0", digest.File{Path: path, Digest: d, Size: n}); err == nil || fault.Of(err) != fault.Denied {
			t.Errorf("%q: %v", path, err)
		}
	}
	if err := served.LayFile(t.Context(), s.o.Store, shelf, s.o.Dir, "serving/s/one/0", digest.File{Path: "a/b.json", Digest: d, Size: n}); err != nil {
		t.Error(err)
	}
	if err := served.LayFile(t.Context(), s.o.Store, shelf, s.o.Dir, "serving/s/one/0", digest.File{Path: "c.json", Digest: d, Size: n + 1}); err == nil || fault.Of(err) != fault.Corrupt {
		t.Errorf("of another size: %v", err)
	}
}

// byMesh counts what n requests through Seldon's mesh are answered by.
func (s *stage) byMesh(n int) map[string]int {
	s.t.Helper()
	out := map[string]int{}
	for range n {
		out[s.ask(port.Live{URL: "http://seldon-mesh." + kubetest.Namespace + ".svc/v2/models/one"}, "/infer")]++
	}
	return out
}

func TestModelsAreTriedByTheWeightsOfTheirExperiment(t *testing.T) {
	t.Parallel()
	porttest.Splitter(t, func(t *testing.T) porttest.Splitting {
		s := onSeldon(t)
		return s.splitting(s.loads, s.byMesh, func() int { // what it is read from goes with it
			return max(len(s.double.Objects("models")), len(s.laid("one")))
		})
	})
}
