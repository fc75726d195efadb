// What people rely on when KServe serves, on a stand-in that says what KServe 0.15 says.

package kubernetes

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// infers is a release of the target kserve.
func (s *stage) infers(name, version string, how ...string) port.Release {
	s.t.Helper()
	r := s.release(name, version, how...)
	r.Kubernetes, r.Ready = nil, "/v2/health/ready"
	r.KServe = &port.KServeRelease{KServeTarget: schemas.KServeTarget{Cluster: "prod", ModelFormat: "json", Ready: r.Ready, Pods: schemas.Pods{Worker: s.worker}}}
	return r
}

func TestKServeKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s := onDouble(t)
		return s.serving(s.infers)
	})
}

func TestWhatKServeServesIsVerifiedInItsPods(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	l := s.apply(s.infers("one", "1"))
	if l.Bytes != port.BytesVerified || l.URL != "http://one-predictor."+kubetest.Namespace+".svc" {
		t.Errorf("applied %+v", l)
	}
	r := s.infers("one", "2")
	s.corrupt(r.Model.Files[0].Digest, "weights of another")
	s.refused(r, fault.Invalid, "its bytes are not what they are named", "store")
	s.until("it is told as it was", func() bool {
		now := s.observe("one")
		return now.Key == l.Key && now.Health == port.Ready && now.Message == ""
	})
	if got := s.ask(l, "/"); got != "1" {
		t.Errorf("%s answers", got)
	}
}

// A release that does not become ready is undone by the one before it, which never stopped; the Secrets of neither stay behind.
func TestKServeGoesBackToWhatServed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		how        func(s *stage, r *port.Release)
		kind       fault.Kind
		words, way string
	}{
		"a model that does not load": {func(s *stage, r *port.Release) { *r = s.infers("one", "2", "exit") }, fault.Invalid, "with exit code 3: cannot load the model", ""},
		"one that never answers": {func(s *stage, r *port.Release) {
			*r = s.infers("one", "2", "never")
			r.Timeout = 4 * time.Second
		}, fault.Invalid, "within 4s: ", ""},
		"a runtime that is not there":  {func(_ *stage, r *port.Release) { r.KServe.Runtime = "none" }, fault.Invalid, "KServe cannot serve it: Waiting for runtime to become available", "runtime"},
		"a format that nothing serves": {func(_ *stage, r *port.Release) { r.KServe.ModelFormat = "onnx" }, fault.Invalid, "No runtime found to support specified framework/version", "runtime"},
		"an image that is not there":   {func(_ *stage, r *port.Release) { r.KServe.Image = noSuch }, fault.Invalid, "its image " + noSuch + " cannot be pulled", "spec.target.kserve.pullSecrets"},
		"a rule of the cluster": {func(s *stage, _ *port.Release) {
			s.double.Rule(func(resource string, _ map[string]any) string {
				if resource == "inferenceservices" {
					return `admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: no`
				}
				return ""
			})
		}, fault.Invalid, "a rule of the cluster refuses it", ""},
		"a name that is too long":     {func(s *stage, r *port.Release) { *r = s.infers(strings.Repeat("n", 54), "2") }, fault.Invalid, "longer than the 53 letters", "shorten"},
		"a model that was not signed": {func(_ *stage, r *port.Release) { r.Signature = "" }, fault.Invalid, "has no signature", "release the model again"},
		"no worker":                   {func(_ *stage, r *port.Release) { r.KServe.Worker = "" }, fault.Invalid, "of the worker is not named by digest", "registry"},
		"a log of predictions":        {func(_ *stage, r *port.Release) { r.Log = &port.PredictionLog{} }, fault.Invalid, "logged by the serving host", "spec.log"},
		"a controller that sleeps": {func(s *stage, r *port.Release) {
			s.t.Cleanup(s.double.Halt("kserve"))
			r.Timeout = time.Second
		}, fault.Invalid, "KServe has not taken notice of it yet", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onDouble(t)
			old := s.infers("one", "1")
			l := s.apply(old)
			r := s.infers("one", "2")
			c.how(s, &r)
			s.refused(r, c.kind, c.words, c.way)
			s.double.Rule(func(string, map[string]any) string { return "" })
			s.double.Halt("kserve")()
			s.until("the old one is told as it was", func() bool {
				now := s.observe("one")
				return now.Key == old.Key && now.Health == port.Ready && now.Message == "" && now.Restarts == 0
			})
			if got := s.ask(l, "/"); got != "1" {
				t.Errorf("%s answers", got)
			}
			if n := len(s.double.Objects("secrets")); n != 1 {
				t.Errorf("%d Secrets are left", n)
			}
		})
	}
}

func TestKServeNeedsItsKinds(t *testing.T) {
	t.Parallel()
	s := onDouble(t, func(o *kubetest.Options) { o.Lacks = []string{"inferenceservices"} })
	s.refused(s.infers("one", "1"), fault.Invalid, "has no inferenceservices.serving.kserve.io", "install what brings inferenceservices.serving.kserve.io of version v1beta1")
	// And what serves by pods needs none of them.
	s.apply(s.release("one", "1"))
	s.apply(port.Release{Name: "one"})
	// One without the Gateway API has KServe make an Ingress.
	s = onDouble(t, func(o *kubetest.Options) { o.Lacks = []string{"httproutes"} })
	s.apply(s.exposed("one", "1"))
}

func TestAnInferenceServiceOfSomebodyElseIsNotTouched(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.double.Put("inferenceservices", map[string]any{"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
		"metadata": map[string]any{"name": "one", "labels": map[string]any{"team": "b"}},
		"spec":     map[string]any{"predictor": map[string]any{"minReplicas": 0, "model": map[string]any{"name": "", "modelFormat": map[string]any{"name": "onnx"}}}}})
	r := s.infers("one", "1")
	s.refused(r, fault.Conflict, "InferenceService one of namespace "+kubetest.Namespace+" already exists, and is not Vishwa's", "spec.target.kserve.adopt: true")
	if raw := s.double.Objects("inferenceservices")["one"]; strings.Contains(raw, "vishwa") || !strings.Contains(raw, "onnx") {
		t.Errorf("it is %s", raw)
	}
	s.apply(port.Release{Name: "one"})
	if s.double.Objects("inferenceservices")["one"] == "" {
		t.Error("it was taken away")
	}
	r.KServe.Adopt = true
	s.apply(r)
}

func TestWhatIsDoneToAnInferenceServiceByHandIsUndone(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.infers("one", "1")
	l := s.apply(r)
	for name, c := range map[string]struct {
		do   func()
		says string
	}{
		"other bytes": {func() {
			s.double.Edit("inferenceservices", "one", "kubectl-edit", "", func(o map[string]any) {
				spec(o, "predictor", "model")["storageUri"] = "s3://theirs/hunter2"
			})
		}, "spec.predictor.model.storageUri was set by kubectl-edit"},
		"another runtime": {func() {
			s.double.Edit("inferenceservices", "one", "kubectl-edit", "", func(o map[string]any) { spec(o, "predictor", "model")["image"] = noSuch })
		}, "image was set by kubectl-edit"},
		"more pods": {func() {
			s.double.Edit("inferenceservices", "one", "kubectl-edit", "", func(o map[string]any) { spec(o, "predictor")["minReplicas"] = 3 })
		}, "minReplicas is 3, and not 1"},
		"kubectl delete": {func() { s.double.Delete("inferenceservices", "one") }, "somebody deleted InferenceService one"},
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
		if got := s.ask(l, "/"); got != "1" {
			t.Errorf("%s: %s answers", name, got)
		}
	}
}

// A deployment moves from pods of our own to KServe and back: what served goes on until the other does, and nothing of it is left.
func TestADeploymentMovesToKServeAndBack(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.apply(s.release("one", "1"))
	l := s.apply(s.infers("one", "2"))
	if got := s.ask(l, "/"); got != "2" {
		t.Errorf("%s answers", got)
	}
	s.until("KServe's is the only Deployment", func() bool { return len(s.double.Objects("deployments")) == 1 })
	l = s.apply(s.release("one", "3"))
	if got := s.ask(l, "/"); got != "3" {
		t.Errorf("%s answers", got)
	}
	s.until("the InferenceService is gone", func() bool { return len(s.double.Objects("inferenceservices")) == 0 })
	s.apply(port.Release{Name: "one"})
	s.until("nothing is left", func() bool {
		return len(s.double.Objects("deployments"))+len(s.double.Objects("services"))+len(s.double.Objects("secrets")) == 0
	})
}

// A controller that dies in the middle leaves the old release serving, and the next one goes on, or goes back.
func TestKServeIsGoneOnWithAfterACrash(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	old := s.infers("one", "1")
	l := s.apply(old)
	r := s.infers("one", "2")
	end := s.double.Halt("kserve")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	written, waits := false, make(chan func(), 1)
	s.double.After(func(q *http.Request) { // the cluster goes away once all is written, while the release is waited for
		written = written || q.Method == http.MethodPatch && strings.Contains(q.URL.Path, "/secrets/") && q.URL.Query().Get("dryRun") == ""
		if written && q.Method == http.MethodGet && len(waits) == 0 {
			waits <- s.double.Outage()
			time.AfterFunc(300*time.Millisecond, cancel)
		}
	})
	if _, err := s.server.Apply(ctx, r); fault.Of(err) != fault.Cancelled {
		t.Fatalf("applied: %v", err)
	}
	(<-waits)()
	s.double.After(func(*http.Request) {})
	end()
	s.until("the cluster answers", func() bool {
		return s.observe("one").Key == old.Key && !strings.Contains(s.observe("one").Message, "does not answer")
	})
	if got := s.ask(l, "/"); got != "1" && got != "2" {
		t.Errorf("%s answers", got)
	}
	s.server = New(s.o)
	if l = s.apply(r); l.Key != r.Key || s.ask(l, "/") != "2" {
		t.Errorf("applied %+v", l)
	}
	if l = s.apply(old); l.Key != old.Key || s.ask(l, "/") != "1" {
		t.Errorf("applied %+v", l)
	}
}

// TestKServeServesAtTheHostThatIsDeclared: which one that is, KServe's own settings say, and others' requests come by another.
func TestKServeServesAtTheHostThatIsDeclared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on func(t *testing.T, options ...func(*kubetest.Options)) *stage
		by func(s *stage, name, version string, how ...string) port.Release
	}{"standard": {onDouble, (*stage).infers}, "knative": {onKnative, (*stage).revises}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.on(t)
			by := func(s *stage, version, host string) port.Release {
				r := c.by(s, "one", version)
				r.KServe.Expose, r.KServe.Host = true, host
				return r
			}
			const words, way = "KServe gives it the address http://one.example.com, and it is declared to be at the host payroll.example.com", "write the host that KServe gives it as host of spec.target.kserve"
			s.refused(by(s, "1", "payroll.example.com"), fault.Invalid, words, way)
			s.until("nothing is left", func() bool {
				return len(s.double.Objects("inferenceservices"))+len(s.double.Objects("deployments")) == 0
			})
			r := by(s, "1", "one.example.com")
			l := s.apply(r)
			s.refused(by(s, "2", "payroll.example.com"), fault.Invalid, words, way)
			s.until("the one before is told as it was", func() bool {
				now := s.observe("one")
				return now.Key == r.Key && now.Health == port.Ready && now.Message == ""
			})
			if got := s.ask(l, "/"); got != "1" {
				t.Errorf("%s answers", got)
			}
		})
	}
	for _, host := range []string{"payroll.example.com", "payroll.default.svc.example.com"} {
		odd := onKnative(t, func(o *kubetest.Options) { o.OwnHost = host })
		own := odd.revises("one", "1")
		own.KServe.Expose, own.KServe.Host = true, "one.example.com"
		odd.refused(own, fault.Invalid, "Knative gives its own route the address http://"+host, "domain-template of Knative's ConfigMap config-network")
	}
	// What was reached within the cluster alone has the address of that until KServe has made its way in.
	s := onDouble(t)
	r := s.infers("one", "1")
	s.apply(r)
	r.KServe.Expose, r.KServe.Host, r.Key = true, "one.example.com", digest.Of([]byte("exposed"))
	s.apply(r)
}

// TestAHostOfTheClusterEndsAsItsServicesDo: a name with svc in it is anybody's, and a cluster's domain is what it says by an address that is always its own.
func TestAHostOfTheClusterEndsAsItsServicesDo(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"http://one.models.svc":                        true,
		"http://one.models.svc.cluster.local/v1":       true,
		"http://one.models.svc.cluster.local.":         true,
		"http://one-models.svc.cluster.local:8080":     true,
		"HTTP://one.models.SVC.cluster.local":          true,
		"http://one.models.svc.corp.invalid":           true,
		"http://one.models.svc.example.com":            false,
		"http://one.models.svc.cluster.local.evil.com": false,
		"http://one.models.svc.svc.corp.invalid.com":   false,
		"http://svc.cluster.local":                     false,
		"http://onesvc":                                false,
		"http://one.svc@example.com":                   false,
		"http://example.com/one.models.svc":            false,
		"one.models.svc":                               false,
		"":                                             false,
	} {
		var is inferenceService
		is.Status.Address.URL = "http://one-predictor.models.svc.corp.invalid/v1/models/one:predict"
		if got := is.ofCluster(address); got != want {
			t.Errorf("%s is of the cluster: %v", address, got)
		}
	}
	for _, own := range []string{"", "http://one.models.svc", "http://svc.example.com", "http://a.one.models.svc.example.com", "http://one.svc.example.com", "%"} {
		var is inferenceService
		is.Status.Address.URL = own
		if is.ofCluster("http://one.models.svc.example.com") || !is.ofCluster("http://one.models.svc.cluster.local") {
			t.Errorf("where it says %q", own)
		}
	}
}

// Every field is one that the CRD of KServe 0.15.2 has, of its type: testdata has as much of its schema as is set.
func TestAnInferenceServiceHasTheFieldsOfItsCRD(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.infers("one", "1")
	k := &r.KServe.KServeTarget
	k.FormatVersion, k.Runtime, k.Image, k.Replicas, k.MaxReplicas, k.Expose, k.Host = "1", "tests", image, 2, 3, true, "one.example.com"
	k.Pods = schemas.Pods{
		Worker: s.worker, ServiceAccount: "models", NodeSelector: map[string]string{"disk": "ssd"}, PullSecrets: []string{"registry"},
		Resources: schemas.PodResources{CPU: "1", Memory: "1Gi", GPU: 1}, Tolerations: []schemas.Toleration{{Key: "spot", Operator: "Exists", Effect: "NoSchedule"}},
	}
	server := s.server.(*server)
	p, _ := server.shapes[port.TargetKServe].part(r)
	w, err := server.plan(t.Context(), r, p)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(w.unit.Body)
	if err != nil {
		t.Fatal(err)
	}
	if at := os.Getenv("WRITE_INFERENCE"); at != "" {
		_ = os.WriteFile(at, raw, 0o600)
	}
	c := jsonschema.NewCompiler()
	schema, err := c.Compile("testdata/inferenceservice.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	r.Package, k.Worker = packageOf("1"), ""
	p, _ = server.shapes[port.TargetKServe].part(r)
	mounts, err := server.plan(t.Context(), r, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(mounts.unit.Body); err != nil {
		t.Errorf("with a package: %v", err)
	}
	r.Package, k.Worker, k.Mode = "", s.worker, schemas.KServeKnative
	p, _ = server.shapes[port.TargetKServe].part(r)
	revised, err := server.plan(t.Context(), r, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(withPercent(revised.unit, 10).Body); err != nil {
		t.Errorf("by Knative: %v", err)
	}
	if err := newer(t).Validate(withCanary(w.standing, mounts.standing, 10).Body); err != nil {
		t.Errorf("next to a canary: %v", err)
	}
	var o any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(o); err != nil {
		t.Errorf("%v", err)
	}
	o.(map[string]any)["spec"].(map[string]any)["predictor"].(map[string]any)["model"].(map[string]any)["modelURI"] = "x"
	if schema.Validate(o) == nil {
		t.Error("a field that the CRD does not have passes")
	}
}

// newer is the schema of KServe 0.20, by its documentation: spec.canary is a list of predictors that have a name, and their part.
func newer(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile("testdata/inferenceservice.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s, again map[string]any
	for _, v := range []*map[string]any{&s, &again} {
		if err := json.Unmarshal(raw, v); err != nil {
			t.Fatal(err)
		}
	}
	spec := func(s map[string]any) map[string]any {
		return s["properties"].(map[string]any)["spec"].(map[string]any)["properties"].(map[string]any)
	}
	its := spec(again)["predictor"].(map[string]any)
	its["properties"].(map[string]any)["name"] = map[string]any{"type": "string", "minLength": float64(1)}
	its["required"] = []any{"name"}
	spec(s)["canary"] = map[string]any{"type": "array", "items": map[string]any{"type": "object", "additionalProperties": false, "required": []any{"predictor", "trafficPercent"},
		"properties": map[string]any{"predictor": its, "trafficPercent": map[string]any{"type": "integer", "minimum": float64(0), "maximum": float64(100)}}}}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("newer.json", s); err != nil {
		t.Fatal(err)
	}
	out, err := c.Compile("newer.json")
	if err != nil {
		t.Fatal(err)
	}
	return out
}
