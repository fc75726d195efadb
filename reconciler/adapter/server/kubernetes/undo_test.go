// What serves goes on when a release fails, also where no record of this machine tells of it.

package kubernetes

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// forgets has the server be one whose disk was lost, or another replica.
func (s *stage) forgets(name string) {
	s.t.Helper()
	server := s.server.(*server)
	if err := os.Remove(server.file(name)); err != nil {
		s.t.Fatal(err)
	}
	s.server = New(s.o)
}

// theirs is an InferenceService that somebody made of json, and that serves.
func (s *stage) theirs(name string) {
	s.t.Helper()
	s.double.Put("inferenceservices", map[string]any{"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"team": "b"}, "annotations": map[string]any{"serving.kserve.io/deploymentMode": "Standard", "of": "them"}},
		"spec": map[string]any{"predictor": map[string]any{"minReplicas": 1, "timeout": 7, "model": map[string]any{
			"name": "", "storageUri": "s3://theirs/model", "modelFormat": map[string]any{"name": "json"},
		}}}})
	s.until("their pods are made", func() bool { return s.double.Objects("deployments")[name+predictor] != "" })
}

func TestAnInferenceServiceThatIsTakenOverIsGivenBackWhereTheReleaseFails(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.theirs("one")
	r := s.infers("one", "1")
	r.KServe.Adopt, r.KServe.ModelFormat = true, "onnx"
	for range 2 {
		s.refused(r, fault.Invalid, "No runtime found", "runtime")
		raw := s.double.Objects("inferenceservices")["one"]
		for _, has := range []string{"s3://theirs/model", `"timeout":7`, `"name":"json"`, `"team":"b"`, `"of":"them"`, `deploymentMode":"Standard"`} {
			if !strings.Contains(raw, has) {
				t.Errorf("without %s it is %s", has, raw)
			}
		}
		for _, ours := range []string{`"` + owned.LabelOwner + `"`, `"` + noteKey + `"`, "vishwa-release\",", `"onnx"`} {
			if strings.Contains(raw, ours) {
				t.Errorf("with %s it is %s", ours, raw)
			}
		}
		if n := len(s.double.Objects("secrets")); n != 0 {
			t.Errorf("%d Secrets are left", n)
		}
	}
	// And then nothing of theirs is in what serves.
	r.KServe.ModelFormat = "json"
	if got := s.ask(s.apply(r), "/"); got != "1" {
		t.Errorf("%s answers", got)
	}
	if raw := s.double.Objects("inferenceservices")["one"]; strings.Contains(raw, "s3://theirs") && strings.Contains(raw, `"storageUri"`) {
		t.Errorf("it is %s", raw)
	}
	// A rule of the cluster that lets nobody change it leaves it as it is.
	s.theirs("two")
	before := s.double.Objects("inferenceservices")["two"]
	s.double.Rule(func(string, map[string]any) string { return `admission webhook "x" denied the request: no` })
	r = s.infers("two", "1")
	r.KServe.Adopt = true
	s.refused(r, fault.Invalid, "a rule of the cluster refuses it", "")
	if now := s.double.Objects("inferenceservices")["two"]; strings.Contains(now, "vishwa") || !strings.Contains(now, "s3://theirs") {
		t.Errorf("it was %s, and is %s", before, now)
	}
}

// What a release that fails had laid out for Seldon is taken away with it, and what lay there before is not.
func TestAReleaseThatFailsTakesAwayWhatItLaidAndNoMore(t *testing.T) {
	t.Parallel()
	s := onSeldon(t)
	l := s.apply(s.loads("one", "1"))
	s.refused(s.loads("one", "2", "exit"), fault.Invalid, "does not load it", "")
	if all := s.laid("one"); len(all) != 1 {
		t.Errorf("there are %v", all)
	}
	s.forgets("one")
	r := s.loads("one", "1")
	r.Seldon.Requirements = []string{"cuda"}
	s.refused(r, fault.Invalid, "ScheduleFailed", "")
	if all := s.laid("one"); len(all) != 1 || s.ask(l, "/infer") != "1" {
		t.Errorf("there are %v", all)
	}
}

// Of every target, a release that fails where nothing is recorded leaves what serves.
func TestAReleaseThatFailsWithoutARecordLeavesWhatServes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bed    func(t *testing.T) *stage
		by     func(s *stage) func(name, version string, how ...string) port.Release
		path   string
		kind   string
		breaks func(s *stage, r *port.Release) // the same release
	}{
		"kserve": {func(t *testing.T) *stage { return onDouble(t) }, func(s *stage) func(string, string, ...string) port.Release { return s.infers }, "/", "inferenceservices",
			func(_ *stage, r *port.Release) {
				k := *r.KServe
				k.ModelFormat, r.KServe = "onnx", &k
			}},
		"seldon": {func(t *testing.T) *stage { return onSeldon(t) }, func(s *stage) func(string, string, ...string) port.Release { return s.loads }, "/infer", "models",
			func(_ *stage, r *port.Release) {
				k := *r.Seldon
				k.Requirements, r.Seldon = []string{"cuda"}, &k
			}},
		"seldonDeployment": {func(t *testing.T) *stage { return onCore1(t) }, func(s *stage) func(string, string, ...string) port.Release { return s.predicts }, "/infer", "seldondeployments",
			func(_ *stage, r *port.Release) {
				k := *r.SeldonDeployment
				k.Image, r.SeldonDeployment = noSuch, &k
			}},
		"kubernetes": {func(t *testing.T) *stage { return onDouble(t) }, func(s *stage) func(string, string, ...string) port.Release { return s.release }, "/", "deployments",
			func(s *stage, _ *port.Release) {
				s.o.Shelf = func() (port.Bucket, error) { return nil, fault.New(fault.Invalid, "it is declared otherwise") }
				s.server = New(s.o)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.bed(t)
			old := c.by(s)("one", "1")
			l := s.apply(old)
			serves := func(when string) {
				t.Helper()
				if got := s.ask(l, c.path); got != "1" {
					t.Errorf("%s: %s answers", when, got)
				}
				s.until(when+", and what serves is left", func() bool {
					n := 0
					for name := range s.double.Objects(c.kind) {
						if name != "one"+predictor { // which is KServe's
							n++
						}
					}
					return n == 1
				})
				if got := s.ask(l, c.path); got != "1" {
					t.Errorf("%s: then %s answers", when, got)
				}
			}
			s.forgets("one")
			s.refused(c.by(s)("one", "2", "exit"), fault.Invalid, "", "")
			serves("another release failed")
			s.forgets("one")
			same, shelf := old, s.o.Shelf
			c.breaks(s, &same)
			if _, err := s.server.Apply(t.Context(), same); err == nil {
				t.Error("it was applied")
			}
			s.o.Shelf = shelf
			serves("one of the same model failed")
			s.forgets("one")
			end := s.double.Halt(map[string]string{"kserve": "kserve", "seldon": "seldon", "seldonDeployment": "seldon"}[name])
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			r := c.by(s)("one", "3", "never")
			if _, err := s.server.Apply(ctx, r); err == nil || fault.Of(err) != fault.Cancelled {
				t.Errorf("cancelled: %v", err)
			}
			end()
			s.ask(l, c.path)
			if l = s.apply(old); l.Key != old.Key || s.ask(l, c.path) != "1" {
				t.Errorf("applied %+v", l)
			}
			s.until("one is left", func() bool { return len(s.double.Objects(c.kind)) == 1 })
		})
	}
}
