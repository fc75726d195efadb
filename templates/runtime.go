// What a program that serves is begun by, and its settings: a repository of one model, as the program reads it.

package templates

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed runtime/mlserver.py
var mlserverProgram []byte

//go:embed runtime/triton.py
var tritonProgram []byte

//go:embed runtime/onnxruntime.py
var onnxruntimeProgram []byte

//go:embed runtime/bento.py
var bentoProgram []byte

// RuntimeDir is the folder of the code that holds what is written for a runtime.
const RuntimeDir = "vishwa-runtime"

// MLServerFiles are what MLServer is begun with, by their names in RuntimeDir: the model of a name, which a class loads
// from file of the folder of the model that is next to the code; "." is the folder.
func MLServerFiles(name, implementation, file string) (map[string][]byte, error) {
	model, err := json.MarshalIndent(map[string]any{
		"name": name, "implementation": implementation, "parameters": map[string]any{"uri": "../../model/" + file},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	// In one process, so that what is asked stays behind the wall that it was begun behind.
	settings := []byte("{\n  \"parallel_workers\": 0,\n  \"metrics_endpoint\": null,\n  \"model_repository_root\": \"vishwa-runtime\"\n}\n")
	return map[string][]byte{"model-settings.json": append(model, '\n'), "settings.json": settings, "serve.py": mlserverProgram}, nil
}

// ONNXRuntimeFiles are what serves a model by onnxruntime, by their names in RuntimeDir.
func ONNXRuntimeFiles() map[string][]byte { return map[string][]byte{"serve.py": onnxruntimeProgram} }

// BentoMLFiles are what a service of BentoML is begun with, by their names in RuntimeDir.
func BentoMLFiles() map[string][]byte { return map[string][]byte{"serve.py": bentoProgram} }

// TritonModel is the folder of RuntimeDir that is a model's one version.
func TritonModel(name string) string { return "models/" + name + "/1" }

// TritonFiles are what Triton is begun with, by their names in RuntimeDir, but for the program of the model, which is
// model.py of TritonModel. What the model takes and gives it completes itself.
func TritonFiles(name string) map[string][]byte {
	return map[string][]byte{"serve.py": tritonProgram, "models/" + name + "/config.pbtxt": fmt.Appendf(nil, "name: %q\nbackend: \"python\"\n", name)}
}
