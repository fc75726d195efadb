// Programs that serve models of a format, in place of a command of the team's own.

package schemas

import (
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Runtime is a program that serves, which Vishwa begins and whose settings it writes. Exactly one is given.
type Runtime struct {
	// MLServer is Seldon's server, as the Python package mlserver of the environment has it.
	MLServer *MLServer `json:"mlserver,omitempty" part:"key"`
	// Triton is NVIDIA's server with its Python backend: the program tritonserver of the environment, or the one that its Python package nvidia-pytriton brings.
	Triton *Triton `json:"triton,omitempty" part:"key"`
	// ONNXRuntime is Microsoft's onnxruntime, as the Python package onnxruntime of the environment has it, with numpy, behind a server of Vishwa's.
	ONNXRuntime *ONNXRuntime `json:"onnxruntime,omitempty" part:"key"`
	// BentoML serves a service of BentoML, as the Python package bentoml of the environment does.
	BentoML *BentoML `json:"bentoml,omitempty" part:"key"`
}

// BentoML is asked as its service says: by the paths of its APIs.
type BentoML struct {
	// Program is the Python file, of the declared code, with the class that bentoml.service decorates. It loads the model from VISHWA_MODEL_DIR.
	Program string `json:"program" jsonschema:"required" part:"key"`
	// Service is the name of the one that serves; without it, the program has only one.
	Service string `json:"service,omitempty" part:"key"`
}

// ONNXRuntime is asked by the Open Inference Protocol, for a model with the deployment's name.
type ONNXRuntime struct {
	// File is the model's file in the format ONNX, by its path in the model's folder; without it, the only one that ends in .onnx.
	File string `json:"file,omitempty" part:"key"`
}

// Triton is asked by the Open Inference Protocol, for a model with the deployment's name.
type Triton struct {
	// Program is the Python file, of the declared code, with the class TritonPythonModel that loads the model from VISHWA_MODEL_DIR and answers. What it takes and gives it says itself, in auto_complete_config.
	Program string `json:"program" jsonschema:"required" part:"key"`
}

// MLServer is asked by the Open Inference Protocol, for a model with the deployment's name.
type MLServer struct {
	// Implementation is the Python class that loads the model and answers: of a package of the environment, such as mlserver_xgboost.XGBoostModel, or of the declared code, such as src.serve.Price.
	Implementation string `json:"implementation" jsonschema:"required" part:"key"`
	// File is the file or folder of the model that it is handed, by its path there; without it, the model's only file, or else its folder.
	File string `json:"file,omitempty" part:"key"`
}

// pythonClass is a class by the names of its modules.
var pythonClass = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// runtimes are the fields of a runtime, each one that serves.
var runtimes = namesOf(reflect.TypeFor[Runtime]())

// pythonName is what a service of BentoML may be called.
var pythonName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// program checks the file at field that a runtime is to run: it is of the declared code.
func program(c *checker, d *document, field, name string, code []string) {
	if name == "" {
		return
	}
	c.path(d, field, name, file)
	if !slices.ContainsFunc(code, func(p string) bool {
		p = path.Clean(p)
		return p == path.Clean(name) || strings.HasPrefix(path.Clean(name), p+"/")
	}) {
		target, _, _ := strings.Cut(field, "runtime.")
		d.problem(field, "%s is not of the code; add it to %s", short(name), target+"code")
	}
}

func (r *Runtime) check(c *checker, d *document, field string, code []string) {
	var given []string
	for _, name := range runtimes {
		if d.has(field + "." + name) {
			given = append(given, name)
		}
	}
	switch {
	case len(given) > 1:
		d.problem(field+"."+given[1], "and %s are both given, but one program serves; remove one of them", given[0])
	case len(given) == 0 && !d.wrong(field):
		d.problem(field, "names none; give one of %s", strings.Join(runtimes, ", "))
	}
	if t := r.Triton; t != nil {
		program(c, d, field+".triton.program", t.Program, code)
	}
	if b := r.BentoML; b != nil {
		program(c, d, field+".bentoml.program", b.Program, code)
		if b.Service != "" && (len(b.Service) > maxRunnerText || !pythonName.MatchString(b.Service)) {
			d.problem(field+".bentoml.service", "%s is not the name of a service; write that of its class, such as Price", short(b.Service))
		}
	}
	if o := r.ONNXRuntime; o != nil && o.File != "" && plain(d, field+".onnxruntime.file", o.File) && !fs.ValidPath(o.File) {
		d.problem(field+".onnxruntime.file", "%s is not a path of the model's folder; write one such as model.onnx", short(o.File))
	}
	if m := r.MLServer; m != nil {
		if m.Implementation != "" && (len(m.Implementation) > maxRunnerText || !pythonClass.MatchString(m.Implementation)) {
			d.problem(field+".mlserver.implementation", "%s is not a class of Python; write it with its module, such as mlserver_xgboost.XGBoostModel", short(m.Implementation))
		}
		if m.File != "" && plain(d, field+".mlserver.file", m.File) && !fs.ValidPath(m.File) {
			d.problem(field+".mlserver.file", "%s is not a path of the model's folder; write one such as model.json", short(m.File))
		}
	}
}
