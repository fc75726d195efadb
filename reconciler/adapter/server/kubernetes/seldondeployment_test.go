// What people rely on when Seldon Core 1 serves, on a stand-in of its controller that goes by its documented states.

package kubernetes

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// predicts is a release of the target seldonDeployment.
func (s *stage) predicts(name, version string, how ...string) port.Release {
	s.t.Helper()
	r := s.release(name, version, how...)
	r.Kubernetes = nil
	r.SeldonDeployment = &port.SeldonDeploymentRelease{SeldonDeploymentTarget: schemas.SeldonDeploymentTarget{
		Cluster: "prod", Image: s.image, Gateway: "gateway.istio", Pods: schemas.Pods{Worker: s.worker},
	}}
	return r
}

// onCore1 is a stage whose requests go by Seldon's ingress.
func onCore1(t *testing.T, options ...func(*kubetest.Options)) *stage {
	s := onDouble(t, options...)
	s.byIngress()
	return s
}

// byIngress has requests go by Seldon's ingress.
func (s *stage) byIngress() {
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: ingress1{s, s.double.Mesh(func(service string) string { return service })}}
}

// ingress1 has the prefix of a SeldonDeployment lead to one of its predictors.
type ingress1 struct {
	*stage
	to http.RoundTripper
}

func (i ingress1) RoundTrip(r *http.Request) (*http.Response, error) {
	parts := strings.SplitN(r.URL.Path, "/", 5) // /seldon/NAMESPACE/NAME/...
	if r.URL.Host != "gateway.istio" || len(parts) != 5 || parts[1] != "seldon" || parts[2] != kubetest.Namespace {
		return nil, fmt.Errorf("nobody is at %s", r.URL)
	}
	service := i.double.Predictor(parts[3], int(i.asked.Add(1)-1)*37)
	if service == "" {
		return nil, fmt.Errorf("no route for %s", parts[3])
	}
	out := r.Clone(r.Context())
	out.URL.Host, out.URL.Path = service, "/"+parts[4]
	return i.to.RoundTrip(out)
}

func TestSeldonDeploymentsKeepTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s := onCore1(t)
		return s.serving(s.predicts)
	})
}

func TestSeldonDeploymentsByABranchKeepTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s, _ := onBranch(t)
		s.byIngress()
		return s.serving(delivered(s.predicts))
	})
}

// byPredictor counts what n requests through Seldon's ingress are answered by.
func (s *stage) byPredictor(n int) map[string]int {
	s.t.Helper()
	out := map[string]int{}
	for range n {
		out[s.ask(port.Live{URL: "http://gateway.istio/seldon/" + kubetest.Namespace + "/one"}, "/infer")]++
	}
	return out
}

func TestPredictorsAreTriedByTheirTraffic(t *testing.T) {
	t.Parallel()
	porttest.Splitter(t, func(t *testing.T) porttest.Splitting {
		s := onCore1(t)
		return s.splitting(s.predicts, s.byPredictor, func() int { return max(len(s.double.Objects("deployments")), len(s.double.Objects("secrets"))) })
	})
}

func TestWhatSeldonDeploymentsServeIsVerifiedInTheirPods(t *testing.T) {
	t.Parallel()
	s := onCore1(t)
	l := s.apply(s.predicts("one", "1"))
	if l.Bytes != port.BytesVerified || l.URL != "http://gateway.istio/seldon/"+kubetest.Namespace+"/one" || s.ask(l, "/infer") != "1" {
		t.Errorf("applied %+v", l)
	}
	r := s.predicts("one", "2")
	s.corrupt(r.Model.Files[0].Digest, "weights of another")
	s.refused(r, fault.Invalid, "its bytes are not what they are named", "store")
	if s.ask(l, "/infer") != "1" {
		t.Error("the old one does not go on")
	}
	s.apply(port.Release{Name: "one"})
	s.until("nothing is left", func() bool {
		return len(s.double.Objects("deployments"))+len(s.double.Objects("seldondeployments"))+len(s.double.Objects("services"))+len(s.double.Objects("secrets")) == 0
	})
}

func TestSeldonDeploymentsSayWhyAndTheOldGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		how        func(s *stage, r *port.Release)
		kind       fault.Kind
		words, way string
	}{
		"a model that does not load": {func(s *stage, r *port.Release) { *r = s.predicts("one", "2", "exit") }, fault.Invalid, "with exit code 3: cannot load the model", ""},
		"one that never answers": {func(s *stage, r *port.Release) {
			*r = s.predicts("one", "2", "never")
			r.Timeout = 4 * time.Second
		}, fault.Invalid, "within 4s: ", ""},
		"an image that is not there": {func(_ *stage, r *port.Release) { r.SeldonDeployment.Image = noSuch }, fault.Invalid, "its image " + noSuch + " cannot be pulled", "spec.target.seldonDeployment.pullSecrets"},
		"a rule of the cluster for Seldon": {func(s *stage, _ *port.Release) {
			s.double.Rule(func(resource string, _ map[string]any) string {
				return map[string]string{"deployments": `deployments.apps is forbidden: User "seldon-manager" cannot create it`}[resource]
			})
		}, fault.Invalid, `Seldon cannot make it: deployments.apps is forbidden`, "kubectl describe seldondeployment"},
		"a controller that sleeps": {func(s *stage, r *port.Release) {
			s.t.Cleanup(s.double.Halt("seldon"))
			r.Timeout = time.Second
		}, fault.Invalid, "Seldon has not taken notice of it yet", "controller"},
		"a name that is too long":     {func(s *stage, r *port.Release) { *r = s.predicts(strings.Repeat("n", 44), "2") }, fault.Invalid, "longer than the 43 letters", "shorten"},
		"a model that was not signed": {func(_ *stage, r *port.Release) { r.Signature = "" }, fault.Invalid, "has no signature", "release the model again"},
		"no worker":                   {func(_ *stage, r *port.Release) { r.SeldonDeployment.Worker = "" }, fault.Invalid, "of the worker is not named by digest", "registry"},
		"a log of predictions":        {func(_ *stage, r *port.Release) { r.Log = &port.PredictionLog{} }, fault.Invalid, "logged by the serving host", "spec.log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onCore1(t)
			old := s.predicts("one", "1")
			l := s.apply(old)
			r := s.predicts("one", "2")
			c.how(s, &r)
			s.refused(r, c.kind, c.words, c.way)
			s.double.Rule(func(string, map[string]any) string { return "" })
			s.double.Halt("seldon")()
			s.until("the old one is told as it was", func() bool {
				now := s.observe("one")
				return now.Key == old.Key && now.Health == port.Ready && now.Message == ""
			})
			if got := s.ask(l, "/infer"); got != "1" {
				t.Errorf("%s answers", got)
			}
			s.until("nothing of it is left", func() bool { return len(s.double.Objects("secrets")) == 1 && len(s.double.Objects("deployments")) == 1 })
		})
	}
}

// TestAPredictorThatIsBegunHasNoRequests: whoever asks is answered by the old release, and from some time on by the new one alone.
func TestAPredictorThatIsBegunHasNoRequests(t *testing.T) {
	t.Parallel()
	s := onCore1(t)
	l := s.apply(s.predicts("one", "1"))
	two := s.predicts("one", "2")
	two.SeldonDeployment.Replicas = 2
	over, done := make(chan struct{}), make(chan []string, 1)
	go func() {
		for answers := []string{"1"}; ; {
			got := answers[len(answers)-1]
			if a, err := s.client.Get(l.URL + "/infer"); err == nil { // the stand-in ends pods at once, without the wait that Seldon gives them
				raw, _ := io.ReadAll(a.Body)
				a.Body.Close()
				got = string(raw)
			}
			if got != "" && got != answers[len(answers)-1] {
				answers = append(answers, got)
			}
			select {
			case <-over:
				done <- answers
				return
			default:
			}
		}
	}()
	s.apply(two)
	if s.ask(l, "/infer") != "2" {
		t.Error("it is applied, and the old one answers")
	}
	close(over)
	if answers := <-done; len(answers) > 2 {
		t.Errorf("it is answered by %v", answers)
	}
}

func TestASeldonDeploymentThatLoadsAnotherModelIsRefused(t *testing.T) {
	t.Parallel()
	s := onCore1(t)
	r := s.predicts("one", "1")
	r.SeldonDeployment.Parameters = map[string]string{"model_uri": "s3://theirs/model"}
	s.refused(r, fault.Invalid, "spec.target.seldonDeployment.parameters.model_uri may have the server load another model", "/mnt/models")
}

func TestSeldonDeploymentsNeedTheirKindAndTouchNothingOfOthers(t *testing.T) {
	t.Parallel()
	s := onCore1(t, func(o *kubetest.Options) { o.Lacks = []string{"seldondeployments"} })
	s.refused(s.predicts("one", "1"), fault.Invalid, "has no seldondeployments.machinelearning.seldon.io", "of version v1")
	s = onCore1(t)
	s.double.Put("seldondeployments", map[string]any{"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": map[string]any{"name": "one"},
		"spec": map[string]any{"predictors": []any{map[string]any{"name": "default", "replicas": 0.0, "graph": map[string]any{"name": "theirs"},
			"componentSpecs": []any{map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "theirs", "image": s.image, "ports": []any{map[string]any{"containerPort": 9000.0}}}}}}}}}}})
	r := s.predicts("one", "1")
	s.refused(r, fault.Conflict, "SeldonDeployment one of namespace "+kubetest.Namespace+" already exists, and is not Vishwa's", "spec.target.seldonDeployment.adopt: true")
	if raw := s.double.Objects("seldondeployments")["one"]; !strings.Contains(raw, "theirs") || strings.Contains(raw, "vishwa") {
		t.Errorf("it is %s", raw)
	}
	r.SeldonDeployment.Adopt = true
	l := s.apply(r)
	if raw := s.double.Objects("seldondeployments")["one"]; strings.Contains(raw, "theirs") || s.ask(l, "/infer") != "1" {
		t.Errorf("it is %s", raw)
	}
}

func TestWhatIsDoneToASeldonDeploymentByHandIsUndone(t *testing.T) {
	t.Parallel()
	s := onCore1(t)
	r := s.predicts("one", "1")
	l := s.apply(r)
	edit := func(change func(p map[string]any)) func() {
		return func() {
			s.double.Edit("seldondeployments", "one", "kubectl-edit", "", func(o map[string]any) {
				change(spec(o)["predictors"].([]any)[0].(map[string]any))
			})
		}
	}
	for name, c := range map[string]struct {
		do   func()
		says string
	}{
		"other bytes":    {edit(func(p map[string]any) { p["graph"].(map[string]any)["modelUri"] = "s3://theirs/hunter2" }), "spec.predictors"},
		"more pods":      {edit(func(p map[string]any) { p["replicas"] = 3 }), "spec.predictors"},
		"kubectl delete": {func() { s.double.Delete("seldondeployments", "one") }, "somebody deleted SeldonDeployment one"},
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

// Every field is one that the CRD of Seldon Core 1.19 has, of its type: testdata has as much of its schema as is set.
func TestASeldonDeploymentHasTheFieldsOfItsCRD(t *testing.T) {
	t.Parallel()
	s := onCore1(t)
	plan := func(version string) *work {
		r := s.predicts("one", version)
		k := &r.SeldonDeployment.SeldonDeploymentTarget
		k.Replicas, k.ContainerPort, k.Parameters, k.Variables = 2, 8080, map[string]string{"method": "predict_proba", "note": "$(MLSERVER_DEBUG)"}, map[string]string{"MLSERVER_DEBUG": "$(HOME)"}
		k.Pods = schemas.Pods{
			Worker: s.worker, ServiceAccount: "models", NodeSelector: map[string]string{"disk": "ssd"}, PullSecrets: []string{"registry"},
			Resources: schemas.PodResources{CPU: "1", Memory: "1Gi", GPU: 1}, Tolerations: []schemas.Toleration{{Key: "spot", Operator: "Exists", Effect: "NoSchedule"}},
		}
		server := s.server.(*server)
		p, _ := server.shapes[port.TargetSeldonDeployment].part(r)
		w, err := server.plan(t.Context(), r, p)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one, two := plan("1"), plan("2")
	schema, err := jsonschema.NewCompiler().Compile("testdata/seldondeployment.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]map[string]any{
		"alone": one.unit.Body, "begun": beginsPredictor(two, one.unit.Body).Body, "tried": byPredictors().divided(one.standing, two.standing, 30).Body,
	} {
		if err := schema.Validate(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := json.Marshal(one.unit.Body)
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), `"value":"predict_proba"`) || !strings.Contains(string(raw), `"value":"$$(HOME)"`) || !strings.Contains(string(raw), `"value":"$$(MLSERVER_DEBUG)"`) || !strings.Contains(string(raw), `"value":"/mnt/models"`) {
		t.Errorf("it is %s", raw)
	}
	spec(o, "predictors", 0)["modelURI"] = "x"
	if schema.Validate(o) == nil {
		t.Error("a field that the CRD does not have passes")
	}
}
