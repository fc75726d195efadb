// InferenceServices on a real API server, with the schema of KServe 0.15.2 and what that fills in, and pods of a real cluster. What makes
// these of them is a stand-in, which says what KServe 0.15 says.

package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

// runtimeCode is a runtime of KServe: it serves what lies in the folder that all of them have it in.
const runtimeCode = `
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *a: os._exit(0))
words = open("/mnt/models/model.json").read().split()
version, how = words[2], words[3:]
if "exit" in how:
    print("cannot load the model: no such column", flush=True)
    sys.exit(3)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if "never" in how else 200)
        self.end_headers()
        self.wfile.write(version.encode())
    def log_message(self, *a): pass

http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
`

type fields = map[string]any

// standInKServe makes pods of the InferenceServices of the stage's namespace until the test ends.
func (s *realStage) standInKServe() {
	s.t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	s.t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
			var all struct{ Items []fields }
			raw, err := s.TryKubectl("", "get", "inferenceservices", "-n", s.namespace, "-o", "json")
			if err == nil {
				err = json.Unmarshal([]byte(raw), &all)
			}
			for _, is := range all.Items {
				if err == nil {
					err = s.reconcile(is)
				}
			}
			if err != nil && !strings.Contains(err.Error(), "not found") && !strings.Contains(err.Error(), "NotFound") {
				s.t.Logf("the stand-in of KServe: %v", err)
			}
		}
	}()
}

// reconcile has the Deployment and the Service of an InferenceService there, and its status say how they stand.
func (s *realStage) reconcile(is fields) error {
	meta := is["metadata"].(fields)
	if meta["deletionTimestamp"] != nil {
		return nil
	}
	name := meta["name"].(string)
	child := name + predictor
	spec := is["spec"].(fields)["predictor"].(fields)
	said := fields{"deploymentMode": "RawDeployment"}
	if model, _ := spec["model"].(fields); model["modelFormat"].(fields)["name"] != "json" {
		said["modelStatus"] = fields{"transitionStatus": "InvalidSpec", "lastFailureInfo": fields{"reason": "NoSupportingRuntime", "message": "No runtime found to support specified framework/version"}}
		return s.said(name, said)
	}
	labels := fields{"app": "isvc." + child, "serving.kserve.io/inferenceservice": name}
	for _, more := range []any{meta["labels"], spec["labels"]} {
		for k, v := range more.(fields) {
			labels[k] = v
		}
	}
	owned := func(o fields) fields {
		o["metadata"] = fields{"name": child, "namespace": s.namespace, "labels": labels, "ownerReferences": []any{fields{
			"apiVersion": is["apiVersion"], "kind": "InferenceService", "name": name, "uid": meta["uid"], "controller": true,
		}}}
		return o
	}
	raw, err := json.Marshal(fields{"apiVersion": "v1", "kind": "List", "items": []any{
		owned(fields{"apiVersion": "apps/v1", "kind": "Deployment", "spec": fields{
			"replicas": spec["minReplicas"], "strategy": spec["deploymentStrategy"], "selector": fields{"matchLabels": fields{"app": "isvc." + child}},
			"template": fields{"metadata": fields{"labels": labels}, "spec": s.podOf(spec)},
		}}),
		owned(fields{"apiVersion": "v1", "kind": "Service", "spec": fields{
			"selector": fields{"app": "isvc." + child}, "ports": []any{fields{"name": "http", "port": 80, "targetPort": 8080}},
		}}),
	}})
	if err != nil {
		return err
	}
	if _, err := s.TryKubectl(string(raw), "apply", "--server-side", "--force-conflicts", "--field-manager=kserve", "-f", "-"); err != nil {
		return err
	}
	available, err := s.TryKubectl("", "get", "deployment", child, "-n", s.namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Available")].status} {.status.observedGeneration}`)
	if err != nil {
		return err
	}
	ready, model := "False", fields{"transitionStatus": "InProgress", "states": fields{"activeModelState": "Pending", "targetModelState": "Pending"}}
	if strings.HasPrefix(available, "True") {
		ready, model = "True", fields{"transitionStatus": "UpToDate", "states": fields{"activeModelState": "Loaded", "targetModelState": "Loaded"}}
	}
	said["conditions"] = []any{fields{"type": "PredictorReady", "status": ready}, fields{"type": "Ready", "status": ready}}
	said["modelStatus"] = model
	return s.said(name, said)
}

// podOf is a pod of the runtime, as it is asked for.
func (s *realStage) podOf(spec fields) fields {
	pod := fields{"restartPolicy": "Always"}
	for field, v := range spec {
		switch field {
		case "model", "minReplicas", "maxReplicas", "labels", "annotations", "deploymentStrategy", "canaryTrafficPercent":
		default:
			pod[field] = v
		}
	}
	k := fields{"image": s.image, "command": []any{"python3", "-c", runtimeCode}, "ports": []any{fields{"containerPort": 8080, "protocol": "TCP"}}}
	for field, v := range spec["model"].(fields) {
		switch field {
		case "modelFormat", "protocolVersion", "runtime", "runtimeVersion", "storageUri":
		default:
			k[field] = v
		}
	}
	security := fields{"runAsUser": 1000, "runAsNonRoot": true} // of the runtime's image
	for field, v := range k["securityContext"].(fields) {
		security[field] = v
	}
	k["securityContext"] = security
	pod["containers"] = []any{k}
	return pod
}

// said writes the status of an InferenceService.
func (s *realStage) said(name string, status fields) error {
	raw, err := json.Marshal(fields{"status": status})
	if err == nil {
		_, err = s.TryKubectl("", "patch", "inferenceservice", name, "-n", s.namespace, "--subresource=status", "--type=merge", "-p", string(raw))
	}
	return err
}

// generation is how often what is asked for of one was changed.
func (s *realStage) generation() string {
	return s.Kubectl(s.t, "", "get", "inferenceservice", "one", "-n", s.namespace, "-o", "jsonpath={.metadata.generation}")
}

// TestKubernetesTakesInferenceServices: of KServe 0.15.2, which fills in defaults and has no spec.canary. Applied twice is once, what does not
// load goes back, and what is done by hand is found and undone.
func TestKubernetesTakesInferenceServices(t *testing.T) {
	enginetest.Cluster(t).KServe(t)
	s := onCluster(t)
	s.standInKServe()
	r := s.infers("one", "1")
	r.KServe.Expose = true
	l := s.apply(r)
	if got := s.ask(l, "/"); got != "1" || l.Bytes != port.BytesVerified || l.URL != fmt.Sprintf("http://one-predictor.%s.svc", s.namespace) {
		t.Errorf("%s answers, applied %+v", got, l)
	}
	was := s.generation()
	if l := s.apply(r); l.Message != "" || s.generation() != was {
		t.Errorf("applied again it is of generation %s, and was of %s: %+v", s.generation(), was, l)
	}
	s.refused(s.infers("one", "2", "exit"), fault.Invalid, "with exit code 3: cannot load the model", "serving command")
	other := s.infers("one", "3")
	other.KServe.ModelFormat = "onnx"
	s.refused(other, fault.Invalid, "No runtime found to support specified framework/version", "runtime")
	s.until("it is told as it was", func() bool {
		now := s.observe("one")
		return now.Key == r.Key && now.Health == port.Ready && now.Message == "" && s.ask(l, "/") == "1"
	})
	for says, patch := range map[string]string{
		"storageUri was set by kubectl-patch": `{"spec":{"predictor":{"model":{"storageUri":"s3://theirs/model"}}}}`,
		"minReplicas is 2, and not 1":         `{"spec":{"predictor":{"minReplicas":2}}}`,
	} {
		s.Kubectl(t, "", "patch", "inferenceservice", "one", "-n", s.namespace, "--type=merge", "-p", patch)
		if now := s.observe("one"); now.Health != port.Failing || !strings.Contains(now.Message, says) {
			t.Errorf("observed %s %q, want %q", now.Health, now.Message, says)
		}
		if _, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key); err != nil {
			t.Fatalf("%s: %v (%s)", says, err, fault.HintOf(err))
		}
		s.until("it is undone", func() bool { now := s.observe("one"); return now.Health == port.Ready && now.Message == "" })
	}
	two := s.infers("one", "2")
	two.KServe.Expose = true
	if _, err := s.server.(port.Splitter).Split(t.Context(), two, port.Part{Weight: 20}); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "takes no spec.canary") || !strings.Contains(fault.HintOf(err), "0.20") {
		t.Errorf("a canary of a KServe that has none: %v (%s)", err, fault.HintOf(err))
	}
	s.apply(two)
	s.until("the next release answers", func() bool { return s.ask(l, "/") == "2" }) // pods of the old one that end do so for a while
	s.apply(port.Release{Name: "one"})
	s.Await(t, time.Minute, "", "get", "inferenceservices,deployments,services,secrets,pods", "-n", s.namespace, "-o", "name")
}
