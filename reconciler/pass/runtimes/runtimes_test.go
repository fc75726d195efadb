// What is laid out for a runtime: a repository of one model, next to the code that was declared.

package runtimes

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestARuntimeIsGivenARepositoryOfTheReleasedModel(t *testing.T) {
	code := digest.Manifest{{Path: "src/price.py", Digest: digest.Of([]byte("program")), Size: 7}}
	files := digest.Manifest{{Path: "m/a.bin", Digest: digest.Of(nil)}, {Path: "model.json", Digest: digest.Of(nil)}}
	mlserver := func(m schemas.MLServer) *schemas.Runtime { return &schemas.Runtime{MLServer: &m} }
	for name, c := range map[string]struct {
		runtime *schemas.Runtime
		docker  bool
		pods    bool
		code    digest.Manifest
		ready   string
		command string
		up      string // the path of readiness; empty: that of the protocol
		paths   string
		holds   map[string]string // what stands in a file
		says    string            // of the error
	}{
		"a command": {runtime: nil, code: code, command: "x", paths: "src/price.py"},
		"MLServer": {runtime: mlserver(schemas.MLServer{Implementation: "a.B", File: "model.json"}), code: code, command: "python3 vishwa-runtime/serve.py 127.0.0.1",
			paths: "src/price.py vishwa-runtime/model-settings.json vishwa-runtime/serve.py vishwa-runtime/settings.json",
			holds: map[string]string{"vishwa-runtime/model-settings.json": `"uri": "../../model/model.json"`}},
		"MLServer, a folder of the model": {runtime: mlserver(schemas.MLServer{Implementation: "a.B", File: "m"}), holds: map[string]string{"vishwa-runtime/model-settings.json": `"uri": "../../model/m"`}},
		"MLServer, the model":             {runtime: mlserver(schemas.MLServer{Implementation: "a.B"}), holds: map[string]string{"vishwa-runtime/model-settings.json": `"uri": "../../model/."`}},
		"MLServer, in a container":        {runtime: mlserver(schemas.MLServer{Implementation: "a.B"}), docker: true, command: "python3 vishwa-runtime/serve.py 0.0.0.0"},
		"MLServer, in pods": {runtime: mlserver(schemas.MLServer{Implementation: "a.B"}), pods: true, code: code, command: "python3 vishwa-runtime/serve.py 0.0.0.0",
			paths: "src/price.py vishwa-runtime/model-settings.json vishwa-runtime/serve.py vishwa-runtime/settings.json"},
		"Triton, in pods": {runtime: &schemas.Runtime{Triton: &schemas.Triton{Program: "src/price.py"}}, pods: true, code: code, command: "python3 vishwa-runtime/serve.py 0.0.0.0 price",
			paths: "src/price.py vishwa-runtime/models/price/1/model.py vishwa-runtime/models/price/config.pbtxt vishwa-runtime/serve.py"},
		"BentoML": {runtime: &schemas.Runtime{BentoML: &schemas.BentoML{Program: "./src/price.py", Service: "Price"}}, code: code, command: "python3 vishwa-runtime/serve.py 127.0.0.1 src/price.py Price",
			paths: "src/price.py vishwa-runtime/serve.py", holds: map[string]string{"vishwa-runtime/serve.py": "import bentoml"}, up: "/readyz"},
		"BentoML, in a container":              {runtime: &schemas.Runtime{BentoML: &schemas.BentoML{Program: "src/price.py"}}, docker: true, code: code, command: "python3 vishwa-runtime/serve.py 0.0.0.0 src/price.py ", up: "/readyz"},
		"BentoML, a program that is not there": {runtime: &schemas.Runtime{BentoML: &schemas.BentoML{Program: "src/other.py"}}, code: code, says: "the code has no src/other.py"},
		"MLServer, no such file":               {runtime: mlserver(schemas.MLServer{Implementation: "a.B", File: "model"}), says: "the model has no model"},
		"Triton": {runtime: &schemas.Runtime{Triton: &schemas.Triton{Program: "./src/price.py"}}, code: code, command: "python3 vishwa-runtime/serve.py 127.0.0.1 price",
			paths: "src/price.py vishwa-runtime/models/price/1/model.py vishwa-runtime/models/price/config.pbtxt vishwa-runtime/serve.py",
			holds: map[string]string{"vishwa-runtime/models/price/config.pbtxt": "name: \"price\"\nbackend: \"python\"\n"}},
		"Triton, a program that is not there": {runtime: &schemas.Runtime{Triton: &schemas.Triton{Program: "src/other.py"}}, code: code, says: "the code has no src/other.py"},
		"onnxruntime": {runtime: &schemas.Runtime{ONNXRuntime: &schemas.ONNXRuntime{File: "m/a.bin"}}, code: code, command: "python3 vishwa-runtime/serve.py 127.0.0.1 price m/a.bin",
			paths: "src/price.py vishwa-runtime/serve.py", holds: map[string]string{"vishwa-runtime/serve.py": "import onnxruntime"}},
		"onnxruntime, no such file":      {runtime: &schemas.Runtime{ONNXRuntime: &schemas.ONNXRuntime{File: "x.onnx"}}, says: "the model has no x.onnx"},
		"onnxruntime, and no file of it": {runtime: &schemas.Runtime{ONNXRuntime: &schemas.ONNXRuntime{}}, says: "the model has 0 files that end in .onnx"},
		"a folder that is Vishwa's":      {runtime: mlserver(schemas.MLServer{Implementation: "a.B"}), code: digest.Manifest{{Path: "vishwa-runtime/serve.py", Digest: digest.Of(nil)}}, says: "that folder is for what Vishwa writes"},
		"its own path of readiness":      {runtime: mlserver(schemas.MLServer{Implementation: "a.B"}), ready: "/up"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := store.Dir(filepath.Join(t.TempDir(), "store"))
			if err != nil {
				t.Fatal(err)
			}
			r := port.Release{Name: "price", Model: port.Artifact{Digest: files.Digest(), Files: files}, Ready: "/v2/health/ready"}
			hosted := schemas.Hosted{Runtime: c.runtime, Readiness: schemas.Readiness{Ready: c.ready}}
			here := port.Hosted{Command: []string{"x"}, Code: c.code}
			by := &schemas.Target{Local: &schemas.LocalTarget{Hosted: hosted}}
			r.Local = &port.LocalRelease{Hosted: here}
			if c.docker {
				by = &schemas.Target{Docker: &schemas.DockerTarget{Hosted: hosted}}
				r.Local, r.Docker = nil, &port.DockerRelease{Hosted: here}
			}
			if c.pods {
				target := schemas.KubernetesTarget{Runtime: c.runtime, Readiness: hosted.Readiness}
				by = &schemas.Target{Kubernetes: &target}
				r.Local, r.Kubernetes = nil, &port.KubernetesRelease{KubernetesTarget: target, Code: c.code}
			}
			if c.ready != "" {
				r.Ready = c.ready
			}
			err = Begin(t.Context(), s, &r, by)
			if c.says != "" {
				if err == nil || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%v, hint %q", err, fault.HintOf(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			run, laid := r.Program()
			paths := []string(nil)
			for _, f := range *laid {
				paths = append(paths, f.Path)
				if want := c.holds[f.Path]; want != "" {
					raw, err := artifact.ReadAll(t.Context(), s, f.Digest)
					if err != nil || !strings.Contains(string(raw), want) {
						t.Errorf("%s has %s, %v", f.Path, raw, err)
					}
				}
			}
			if got := strings.Join(paths, " "); c.paths != "" && got != c.paths || !slices.IsSorted(paths) {
				t.Errorf("laid out are %s", got)
			}
			if got := strings.Join(*run, " "); c.command != "" && got != c.command {
				t.Errorf("begun is %s", got)
			}
			if want := map[bool]string{true: cmp.Or(c.up, "/v2/models/price/ready"), false: r.Ready}[c.runtime != nil && c.ready == ""]; r.Ready != want || c.ready != "" && r.Ready != c.ready {
				t.Errorf("ready is %s", r.Ready)
			}
		})
	}
}
